package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

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
	return resumed(t, "", batches, nil, complete, end)
}

// resumed is a stream that goes on after a token, if that is not empty, and whose
// batches have tokens.
func resumed(t *testing.T, after string, batches []int, tokens []string, complete map[string]string, end bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	shape := numbers
	if after != "" {
		meta := arrow.MetadataFrom(map[string]string{"trine.resumed": after})
		shape = arrow.NewSchema(numbers.Fields(), &meta)
	}
	w := ipc.NewWriter(&buf, ipc.WithSchema(shape))
	write := func(rows int, meta map[string]string) {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for i := range rows {
			b.Append(int64(i))
		}
		if err := w.Write(array.NewRecordBatchWithMetadata(shape, []arrow.Array{b.NewArray()}, int64(rows), arrow.MetadataFrom(meta))); err != nil {
			t.Fatal(err)
		}
	}
	for i, rows := range batches {
		if i < len(tokens) {
			write(rows, map[string]string{"trine.resume": tokens[i]})
		} else {
			write(rows, nil)
		}
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

// A scan that is cut goes on after its last batch, as often as it gets on; what is
// not the rest is refused.
func TestScanGoesOn(t *testing.T) {
	first := resumed(t, "", []int{3, 2}, []string{"a", "b"}, nil, false)
	for _, tc := range []struct {
		name   string
		bodies map[string][]byte // by token
		asked  []string
		retry  time.Duration
		rows   int64
		ok     bool
	}{
		{"goes on", map[string][]byte{"": first, "b": resumed(t, "b", []int{4}, []string{"c"}, says(4), true)}, []string{"", "b"}, 0, 9, true},
		{"goes on twice", map[string][]byte{"": first, "b": resumed(t, "b", []int{4}, []string{"c"}, nil, true), "c": resumed(t, "c", nil, nil, says(0), true)},
			[]string{"", "b", "c"}, 0, 9, true},
		{"never gets on", map[string][]byte{"": first, "b": resumed(t, "b", nil, nil, nil, false)}, nil, time.Second, 5, false},
		{"begins anew", map[string][]byte{"": first, "b": first}, []string{"", "b"}, 0, 5, false},
		{"no token", map[string][]byte{"": stream(t, []int{3}, nil, false)}, []string{""}, 0, 3, false},
		{"does not repeat", map[string][]byte{"": first}, []string{""}, -1, 5, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var asked []string
			c := open(t, func(r *http.Request) (*http.Response, error) {
				token := r.URL.Query().Get("resume")
				if asked = append(asked, token); r.URL.Query().Get("where") != "n > 0" {
					t.Errorf("%s: asked for %s", tc.name, r.URL)
				}
				return answer(200, client.Arrow, string(tc.bodies[token]), nil), nil
			}, client.Options{Retry: tc.retry})
			s, err := c.Scan(t.Context(), ref, client.ScanOptions{Where: "n > 0"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var rows int64
			for err == nil {
				var batch arrow.RecordBatch
				if batch, err = s.Next(); err == nil {
					rows += batch.NumRows()
				}
			}
			if ok := errors.Is(err, io.EOF) && !errors.Is(err, client.ErrIncomplete); ok != tc.ok || rows != tc.rows {
				t.Errorf("%s: %d rows, %v", tc.name, rows, err)
			}
			if !tc.ok && !errors.Is(err, client.ErrIncomplete) {
				t.Errorf("%s: %v", tc.name, err)
			}
			if tc.asked != nil && !slices.Equal(asked, tc.asked) {
				t.Errorf("%s: asked for %q", tc.name, asked)
			}
			if tc.asked == nil && (len(asked) < 5 || len(asked) > 20) {
				t.Errorf("%s: asked %d times", tc.name, len(asked))
			}
		})
	}
}
