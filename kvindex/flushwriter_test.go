package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// TestLargeFlush records more places than a few transactions hold, then lets some of
// them go and sets the others anew, and once fails in the middle, which leaves the
// stats as they were.
func TestLargeFlush(t *testing.T) {
	ctx := context.Background()
	x := open(t, t.TempDir())
	m := newMaker()
	const inst, n = schema.FirstUserInstance, 50_000
	must(t, x.Apply(ctx, m.chunk(inst, upsert("a", "1"), upsert("b", "1"), upsert("c", "1"))))
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%06d", i)
	}
	set := func(file uint32, from int) func(func([]byte, kvindex.Location) bool) {
		return func(yield func([]byte, kvindex.Location) bool) {
			for i := from; i < n; i++ {
				if !yield(keys[i], kvindex.Location{File: file, Row: uint32(i)}) {
					return
				}
			}
		}
	}
	clear := func(yield func([]byte) bool) {
		for _, key := range keys[:n/2] {
			if !yield(key) {
				return
			}
		}
	}
	check := func(lakeSeq schema.Seq, want func(i int) (file uint32, ok bool)) {
		t.Helper()
		must(t, x.Locate(ctx, inst, keys, func(i int, loc kvindex.Location, ok bool) {
			if file, there := want(i); ok != there || ok && loc != (kvindex.Location{File: file, Row: uint32(i)}) {
				t.Fatalf("place of row %d: %+v, %t; want file %d, %t", i, loc, ok, file, there)
			}
		}))
		s, err := x.Stats(ctx, inst)
		must(t, err)
		if s.LakeSeq != lakeSeq || s.LakeSnapshot != int64(lakeSeq) {
			t.Fatalf("lake seq %d of snapshot %d, want %d", s.LakeSeq, s.LakeSnapshot, lakeSeq)
		}
	}
	must(t, x.RecordFlush(ctx, inst, kvindex.Flush{LakeSeq: 1, Snapshot: 1, Set: set(1, 0)}))
	check(1, func(int) (uint32, bool) { return 1, true })
	must(t, x.RecordFlush(ctx, inst, kvindex.Flush{LakeSeq: 2, Snapshot: 2, Set: set(2, n/2), Clear: clear}))
	check(2, func(i int) (uint32, bool) { return 2, i >= n/2 })

	broken := errors.New("broken")
	err := x.RecordFlush(ctx, inst, kvindex.Flush{LakeSeq: 3, Snapshot: 3, Set: set(3, 0), Err: func() error { return broken }})
	if !errors.Is(err, broken) {
		t.Fatalf("a flush whose places fail: %v", err)
	}
	must(t, x.RecordFlush(ctx, inst, kvindex.Flush{LakeSeq: 3, Snapshot: 3, Set: set(3, 0)}))
	check(3, func(int) (uint32, bool) { return 3, true })

	ended, cancel := context.WithCancel(ctx)
	err = x.RecordFlush(ended, inst, kvindex.Flush{LakeSeq: 3, Snapshot: 4, Set: func(yield func([]byte, kvindex.Location) bool) {
		for i := range n {
			if i == n/2 {
				cancel()
			}
			if !yield(keys[i], kvindex.Location{File: 4}) {
				return
			}
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a flush that was given up: %v", err)
	}
}
