package log_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// TestLostHeadAfterDeletion opens a channel whose head is gone, after chunks were deleted.
func TestLostHeadAfterDeletion(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(t *testing.T, mem *blob.Mem, archived uint64)
		want error
	}{
		"head": {harm: func(*testing.T, *blob.Mem, uint64) {}},
		"head and the last chunk in segments": {want: schema.ErrCorrupt, harm: func(t *testing.T, mem *blob.Mem, archived uint64) {
			remove(t, mem, chunk.Name(0, schema.Position{Chunk: archived}))
		}},
		"head and segments": {want: schema.ErrCorrupt, harm: func(t *testing.T, mem *blob.Mem, _ uint64) {
			for name := range mem.List(t.Context(), "seg/", "") {
				remove(t, mem, name)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem, s := blob.NewMem(), &saved{x: newFakeIndex(t)}
				r := rand.New(rand.NewPCG(1, 1))
				var last uint64
				for range 6 { // as many epochs
					x := s.get()
					c, err := log.Open(t.Context(), archived(x.options(mem), mem, s, r))
					if err != nil {
						t.Fatal(err)
					}
					for range 5 {
						put(t, c, 16, "row")
					}
					c.Applied(x.apply(1 << 30))
					s.offer(x)
					time.Sleep(time.Hour)
					last = c.Archived().Chunk
					if err := c.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := mem.Get(t.Context(), chunk.Name(0, schema.Position{Chunk: 5})); !errors.Is(err, blob.ErrNotFound) {
					t.Fatalf("nothing was deleted: %v", err)
				}
				remove(t, mem, chunk.HeadName(0))
				test.harm(t, mem, last)
				x := s.get()
				o := archived(x.options(mem), mem, s, r)
				o.Load = x.load
				c, err := log.Open(t.Context(), o)
				if !errors.Is(err, test.want) {
					t.Fatalf("open: %v, want %v", err, test.want)
				}
				if err != nil {
					return
				}
				put(t, c, 16, "row")
				rows, err := readLog(t.Context(), c, 16, nil)
				if want := slices.Repeat([]string{"row"}, 31); err != nil || !slices.Equal(rows, want) {
					t.Errorf("%d rows (%v), want %d", len(rows), err, len(want))
				}
				c.Applied(x.apply(1 << 30))
				s.offer(x)
				time.Sleep(time.Hour)
				left(t, c, mem)
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func remove(t *testing.T, mem *blob.Mem, name string) {
	t.Helper()
	if err := mem.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// put appends one row.
func put(t *testing.T, c *log.Channel, id schema.Instance, row string) {
	t.Helper()
	if _, err := c.Append(t.Context(), log.Append{Groups: []log.AppendGroup{group(id, row)}}); err != nil {
		t.Fatal(err)
	}
}

// TestSegmentsIdle demands that a channel at which nothing is written asks its
// stores for nothing, once what was written is in segments.
func TestSegmentsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, s := blob.NewMem(), &saved{x: newFakeIndex(t)}
		store := &asked{Store: mem}
		x := s.get()
		o := archived(x.options(store), store, s, rand.New(rand.NewPCG(1, 1)))
		c, err := log.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			put(t, c, 16, "row")
		}
		c.Applied(x.apply(1 << 30))
		s.offer(x)
		time.Sleep(time.Hour)
		left(t, c, mem)
		before, began := store.n.Load(), time.Now()
		synctest.Wait()
		time.Sleep(1000 * time.Hour)
		if n := store.n.Load() - before; n > 0 {
			t.Errorf("%d calls in %v", n, time.Since(began))
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
