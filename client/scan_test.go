package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/client"
)

var numbers = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

// stream is batches of so many rows, and perhaps the batch that says how many
// rows there were; end is whether the stream has its end marker.
func stream(t *testing.T, batches []int, complete map[string]string, end bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(numbers))
	write := func(rows int, meta map[string]string) {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for i := range rows {
			b.Append(int64(i))
		}
		if err := w.Write(array.NewRecordBatchWithMetadata(numbers, []arrow.Array{b.NewArray()}, int64(rows), arrow.MetadataFrom(meta))); err != nil {
			t.Fatal(err)
		}
	}
	for _, rows := range batches {
		write(rows, nil)
	}
	if complete != nil {
		write(0, complete)
	}
	if end {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

func says(rows int) map[string]string {
	return map[string]string{"trine.complete": "true", "trine.rows": strconv.Itoa(rows)}
}

// No cut stream is taken for a whole one, wherever it is cut.
func TestCutScan(t *testing.T) {
	whole := stream(t, []int{3, 2}, says(5), true)
	for _, tc := range []struct {
		name string
		body []byte
		ok   bool
	}{
		{"whole", whole, true},
		{"no rows", stream(t, nil, says(0), true), true},
		{"empty batches before rows", stream(t, []int{0, 5}, says(5), true), true},
		{"no completeness batch", stream(t, []int{3, 2}, nil, true), false},
		{"too few rows", stream(t, []int{3}, says(5), true), false},
		{"too many rows", stream(t, []int{3, 3}, says(5), true), false},
		{"truncated frame", append(stream(t, []int{3}, nil, false), 0xFF, 0xFF, 0xFF, 0xFF, 200, 0, 0, 0, '{', '}'), false},
		{"nothing", nil, false},
	} {
		rows, err := readScan(t, tc.body)
		if tc.ok != (err == nil) || !tc.ok && !errors.Is(err, client.ErrIncomplete) {
			t.Errorf("%s: %d rows, %v", tc.name, rows, err)
		}
	}
	// A stream that lacks no more than its end marker is whole.
	least := len(stream(t, []int{3, 2}, says(5), false))
	for n := range least {
		if rows, err := readScan(t, whole[:n]); !errors.Is(err, client.ErrIncomplete) {
			t.Errorf("cut at %d of %d: %d rows, %v", n, len(whole), rows, err)
		}
	}
}

func readScan(t *testing.T, body []byte) (rows int64, err error) {
	t.Helper()
	c := open(t, func(*http.Request) (*http.Response, error) {
		return answer(200, client.Arrow, string(body), nil), nil
	}, client.Options{})
	s, err := c.Scan(t.Context(), ref, client.ScanOptions{})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for {
		batch, err := s.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, client.ErrIncomplete) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += batch.NumRows()
	}
}
