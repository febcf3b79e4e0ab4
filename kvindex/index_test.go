package kvindex_test

import (
	"context"
	"testing"

	"github.com/trinedb/trine/schema"
)

func TestRowLife(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	x := open(t, dir)
	const inst = schema.FirstUserInstance
	m := newMaker()

	get := func(key string) string {
		t.Helper()
		row, ok, err := x.Get(ctx, inst, []byte(key))
		must(t, err)
		if !ok {
			return "-"
		}
		return string(row)
	}
	sequenced := func(key string) string {
		t.Helper()
		row, _, ok, err := x.GetSequenced(inst, []byte(key))
		must(t, err)
		if !ok {
			return "-"
		}
		return string(row)
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("%s: got %q, want %q", what, got, want)
		}
	}

	c1 := m.chunk(inst, upsert("a", "1"), upsert("b", "1"), upsert("a", "2"))
	x.Stage(c1.Position, c1.Groups)
	expect("staged", get("a"), "-")
	expect("staged, sequenced", sequenced("a"), "2")
	x.Publish(c1)
	expect("published", get("a"), "2")
	must(t, x.Apply(ctx, c1))
	expect("applied", get("a"), "2")
	if x.Applied() != c1.Position {
		t.Fatalf("applied %s", x.Applied())
	}
	c2 := m.chunk(inst, remove("a"), upsert("c", "3"))
	x.Stage(c2.Position, c2.Groups)
	expect("delete staged", get("a"), "2")
	expect("delete staged, sequenced", sequenced("a"), "-")
	x.Discard(c2.Position)
	expect("discarded", sequenced("a"), "2")
	x.Stage(c2.Position, c2.Groups)
	x.Publish(c2)
	expect("deleted", get("a"), "-")
	must(t, x.Apply(ctx, c2))
	expect("delete applied", get("a"), "-")

	s, err := x.Stats(ctx, inst)
	must(t, err)
	if s.NextSeq != 5 || s.Rows != 2 || s.Bytes != 4 || s.LogBytes != 9 || s.TailBytes != 9 || s.TailSince.UnixMicro() != 1000 {
		t.Fatalf("stats %+v", s)
	}
	closeIndex(t, x)
	x = open(t, dir)
	if x.Applied() != c2.Position {
		t.Fatalf("applied after reopening %s", x.Applied())
	}
	expect("reopened", get("a")+get("b")+get("c"), "-13")
}
