package kvindex_test

import (
	"context"
	"maps"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// TestUpkeepMarks: a flush marks, what is done unmarks if no flush came between,
// and a mark outlives a restart and its collection.
func TestUpkeepMarks(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	x := open(t, dir)
	m := newMaker()
	a, b := schema.Instance(schema.FirstUserInstance), schema.Instance(schema.FirstUserInstance+1)
	must(t, x.Apply(ctx, m.chunk(a, upsert("k", "v"))))
	must(t, x.Apply(ctx, m.chunk(b, upsert("k", "v"))))
	want := func(what string, want map[schema.Instance]string) {
		t.Helper()
		got := map[schema.Instance]string{}
		must(t, x.Upkeep(ctx, func(inst schema.Instance, note []byte) (bool, error) {
			got[inst] = string(note)
			return true, nil
		}))
		if !maps.Equal(got, want) {
			t.Errorf("%s: marks %v, want %v", what, got, want)
		}
	}
	want("nothing", map[schema.Instance]string{})
	must(t, x.RecordFlush(ctx, a, kvindex.Flush{LakeSeq: 1, Snapshot: 7, Upkeep: []byte("acme/a")}))
	must(t, x.RecordFlush(ctx, b, kvindex.Flush{LakeSeq: 1, Snapshot: 8}))
	want("a flush", map[schema.Instance]string{a: "acme/a"})
	must(t, x.UpkeepDone(ctx, a, 6))
	want("done with an older snapshot", map[schema.Instance]string{a: "acme/a"})
	must(t, x.UpkeepDone(ctx, a, 7))
	want("done", map[schema.Instance]string{})
	must(t, x.MarkUpkeep(ctx, b, []byte("acme/b")))
	must(t, x.Drop(ctx, 1, b))
	closeIndex(t, x)
	x = open(t, dir)
	want("dropped", map[schema.Instance]string{b: "acme/b"})
	must(t, x.UpkeepDone(ctx, b, 0))
	want("dropped and done", map[schema.Instance]string{})
}
