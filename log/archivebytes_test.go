package log_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// TestArchiveBytes tells how many bytes a collection of one small record has on
// disk, in chunks and once these are segments: docs/format/segment.md.
func TestArchiveBytes(t *testing.T) {
	const collections, rowBytes = 20_000, 100
	for _, batch := range []int{1, 100} {
		t.Run(fmt.Sprintf("%d in a chunk", batch), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem, x := blob.NewMem(), newFakeIndex(t)
				o := x.options(mem)
				o.Segments = log.SegmentOptions{
					Store: mem, Chunks: mem, AnswersKept: -1,
					Indexed: func() schema.Position { return schema.Position{Chunk: 1 << 40} },
				}
				c := open(t, o)
				r := rand.New(rand.NewPCG(1, 1))
				for id := 16; id < 16+collections; id += batch {
					var a log.Append
					for i := range batch {
						row := ""
						for len(row) < rowBytes {
							row += fmt.Sprintf("%d ", r.IntN(1000))
						}
						a.Groups = append(a.Groups, group(schema.Instance(id+i), row[:rowBytes]))
					}
					if _, err := c.Append(t.Context(), a); err != nil {
						t.Fatal(err)
					}
				}
				c.Applied(x.apply(1 << 30))
				before := stored(t, mem)
				time.Sleep(24 * time.Hour)
				after := stored(t, mem)
				t.Logf("a collection of one record of %d bytes: %.0f bytes in chunks, %.0f in segments",
					rowBytes, float64(before)/collections, float64(after)/collections)
				if after > before || after > 120*collections {
					t.Errorf("%d collections have %d bytes in segments, %d in chunks", collections, after, before)
				}
			})
		})
	}
}

// stored is how many bytes a store holds.
func stored(t *testing.T, mem *blob.Mem) (n int) {
	t.Helper()
	for name, err := range mem.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := mem.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		n += len(data)
	}
	return n
}
