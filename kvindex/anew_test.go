package kvindex_test

import (
	"context"
	"maps"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// TestFlushAnew records a table that lost its newest version: the places of
// before are forgotten, and what it lost waits for the lake again.
func TestFlushAnew(t *testing.T) {
	ctx := context.Background()
	x := open(t, t.TempDir())
	m := newMaker()
	const inst = schema.FirstUserInstance
	for _, key := range []string{"a", "b", "c"} {
		must(t, x.Apply(ctx, m.chunk(inst, upsert(key, key))))
	}
	places := func(keys ...string) func(func([]byte, kvindex.Location) bool) {
		return func(yield func([]byte, kvindex.Location) bool) {
			for i, key := range keys {
				if !yield([]byte(key), kvindex.Location{File: 1, Row: uint32(i)}) {
					return
				}
			}
		}
	}
	must(t, x.RecordFlush(ctx, inst, kvindex.Flush{LakeSeq: 3, Snapshot: 7, Set: places("a", "b", "c")}))

	for _, tc := range []struct {
		name  string
		flush kvindex.Flush
		want  map[string]kvindex.Location
	}{
		{"older version", kvindex.Flush{LakeSeq: 1, Snapshot: 5, Anew: true, Set: places("a")}, map[string]kvindex.Location{"a": {File: 1}}},
		{"no table", kvindex.Flush{Anew: true}, map[string]kvindex.Location{}},
	} {
		must(t, x.RecordFlush(ctx, inst, tc.flush))
		got := map[string]kvindex.Location{}
		keys := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
		must(t, x.Locate(ctx, inst, keys, func(i int, loc kvindex.Location, ok bool) {
			if ok {
				got[string(keys[i])] = loc
			}
		}))
		if !maps.Equal(got, tc.want) {
			t.Errorf("%s: places %v, want %v", tc.name, got, tc.want)
		}
		s, err := x.Stats(ctx, inst)
		must(t, err)
		if s.LakeSeq != tc.flush.LakeSeq || s.LakeSnapshot != tc.flush.Snapshot || s.TailBytes == 0 || s.TailSince.IsZero() && s.LakeSeq > 0 {
			t.Errorf("%s: stats %+v", tc.name, s)
		}
		dirty := 0
		must(t, x.Dirty(ctx, func(schema.Instance, kvindex.Stats) (bool, error) { dirty++; return true, nil }))
		if dirty != 1 {
			t.Errorf("%s: %d dirty collections", tc.name, dirty)
		}
	}
	closeIndex(t, x)
}
