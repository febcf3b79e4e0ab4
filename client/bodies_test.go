package client_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/client"
)

// A batch that was retained stays as it was; where the others lay, later ones lie.
func TestScanMemory(t *testing.T) {
	sizes := []int{20_000, 19_000, 20_000, 18_000, 20_000, 19_500}
	c := open(t, func(*http.Request) (*http.Response, error) {
		return answer(200, client.Arrow, string(counted(t, sizes)), nil), nil
	}, client.Options{})
	s, err := c.Scan(t.Context(), ref, client.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	places := map[*int64]bool{}
	var kept *array.Int64
	for i, n := range sizes {
		batch, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		column := batch.Column(0).(*array.Int64)
		checkCounted(t, column, i, n)
		if i == 1 {
			kept = column
			kept.Retain()
		} else {
			places[&column.Int64Values()[0]] = true
		}
	}
	checkCounted(t, kept, 1, sizes[1])
	if len(places) > 3 {
		t.Errorf("%d batches lay in %d places, want 3 at most", len(sizes)-1, len(places))
	}
}

// counted is a stream of which row j of batch i has the value 1,000,000 i + j.
func counted(t *testing.T, sizes []int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(numbers))
	for i, n := range sizes {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for j := range n {
			b.Append(int64(1_000_000*i + j))
		}
		if err := w.Write(array.NewRecordBatch(numbers, []arrow.Array{b.NewArray()}, int64(n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func checkCounted(t *testing.T, column *array.Int64, batch, rows int) {
	t.Helper()
	if column.Len() != rows {
		t.Errorf("batch %d has %d rows, want %d", batch, column.Len(), rows)
	}
	for j, v := range column.Int64Values() {
		if want := int64(1_000_000*batch + j); v != want {
			t.Fatalf("row %d of batch %d is %d, want %d", j, batch, v, want)
		}
	}
}
