package lakehouse_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

func TestEveryTypeComesBack(t *testing.T) {
	r := seedtest.Rand(t)
	f := newFixture(t)
	tbl := newTable(f, collection(everything()))
	tbl.commit(randomRows(r, tbl.c.Schema, 700), nil)
	tbl.check(tbl.snap)
	tbl.commit(randomRows(r, tbl.c.Schema, 300), map[uint32][]uint32{0: {0, 3, 4, 5, 255, 256, 699}})
	tbl.check(tbl.snap)
}

func TestDeletes(t *testing.T) { eachFormat(t, testDeletes) }

func testDeletes(t *testing.T, format int) {
	f := newFixture(t)
	tbl := newTable(f, inFormat(format, simple()))
	tbl.commit(simpleRows(0, 1000), nil)
	tbl.commit(simpleRows(1000, 10), map[uint32][]uint32{0: {5, 3, 999}})
	tbl.check(tbl.snap)
	tbl.commit(nil, map[uint32][]uint32{0: {3, 7}, 1: {0, 1}}) // a superset replaces the first
	tbl.check(tbl.snap)
	old := tbl.snap
	all := make([]uint32, 10)
	for i := range all {
		all[i] = uint32(i)
	}
	tbl.commit(nil, map[uint32][]uint32{1: all})
	tbl.check(tbl.snap)
	if n := len(tbl.snap.Files()); n != 1 {
		t.Fatalf("%d files, want the emptied one gone", n)
	}
	tbl.commit(simpleRows(2000, 5), nil)
	if got := tbl.snap.Files()[1].Ordinal; got != 2 {
		t.Fatalf("ordinal %d given out, want 2: ordinals are never given out again", got)
	}
	tbl.check(tbl.snap)
	if old.Rows() != 1004 {
		t.Fatalf("old snapshot has %d rows", old.Rows())
	}
	// All of it again with nothing in memory.
	cold, err := f.open(f.objects).Current(context.Background(), tbl.c)
	if err != nil {
		t.Fatal(err)
	}
	tbl.check(cold)
	if cold.ID() != tbl.snap.ID() || cold.NextSeq() != tbl.next || cold.Position() != tbl.snap.Position() {
		t.Fatalf("cold snapshot %d at %d, %s", cold.ID(), cold.NextSeq(), cold.Position())
	}
	tbl.lake, tbl.snap = f.open(f.objects), cold
	tbl.commit(simpleRows(3000, 5), map[uint32][]uint32{0: {100}, 2: {1}})
	tbl.check(tbl.snap)
}

func TestDeleteOfWhatIsNotThere(t *testing.T) {
	f := newFixture(t)
	tbl := newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 10), nil)
	for _, deletes := range []map[uint32][]uint32{{0: {10}}, {1: {0}}} {
		_, _, err := f.lake.Commit(context.Background(), lakehouse.Commit{Collection: tbl.c, Base: tbl.snap, NextSeq: tbl.next, Deletes: deletes})
		wantKind(t, err, schema.ErrInvalid)
	}
	tbl.commit(nil, map[uint32][]uint32{0: {9}})
	tbl.commit(nil, map[uint32][]uint32{0: {9}}) // again: nothing changes
	tbl.check(tbl.snap)
}

func TestFilesAndRowGroupsAreSplit(t *testing.T) {
	f := newFixture(t, func(o *lakehouse.Options) { o.TargetFileBytes, o.RowGroupRows = 64<<10, 600 })
	tbl := newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 30_000), nil)
	files := tbl.snap.Files()
	if len(files) < 3 {
		t.Fatalf("%d files", len(files))
	}
	deletes := map[uint32][]uint32{}
	for _, file := range files {
		deletes[file.Ordinal] = []uint32{0, 599, 600, uint32(file.Rows - 1)}
	}
	tbl.commit(nil, deletes)
	tbl.check(tbl.snap)
	got := read(t, tbl.snap, lakehouse.ReadOptions{Schema: tbl.c.Schema, System: true, BatchRows: 100, Hide: map[uint32][]uint32{0: {1, 2}}})
	if len(got) != len(tbl.want())-2 {
		t.Fatalf("%d rows with two hidden of %d", len(got), len(tbl.want()))
	}
}

func TestProjection(t *testing.T) {
	f := newFixture(t)
	tbl := newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 10), map[uint32][]uint32{})
	tbl.commit(nil, map[uint32][]uint32{0: {0}})
	for _, test := range []struct {
		columns []int
		system  bool
		first   string
	}{
		{[]int{2, 0}, false, "0.25|1|"},
		{[]int{1}, true, "name 1|1|2023-11-14T22:13:20.000001Z|"},
		{[]int{}, true, "1|2023-11-14T22:13:20.000001Z|"},
		{[]int{}, false, ""},
	} {
		got := read(t, tbl.snap, lakehouse.ReadOptions{Schema: tbl.c.Schema, Columns: test.columns, System: test.system})
		if len(got) != 9 || got[0] != test.first {
			t.Errorf("columns %v: %d rows, first %q, want %q", test.columns, len(got), got[0], test.first)
		}
	}
}

func TestReadKeys(t *testing.T) { eachFormat(t, testReadKeys) }

func testReadKeys(t *testing.T, format int) {
	f := newFixture(t)
	s := &schema.Schema{ID: 3, LastFieldID: 4, Key: []int{2, 0}, Fields: []schema.Field{
		{ID: 1, Name: "a", Type: schema.Type{Kind: schema.KindDecimal, Precision: 25, Scale: 2}, Required: true},
		{ID: 2, Name: "b", Type: schema.Type{Kind: schema.KindString}},
		{ID: 3, Name: "c", Type: schema.Type{Kind: schema.KindUUID}, Required: true},
	}}
	tbl := newTable(f, inFormat(format, s))
	rows := randomRows(seedtest.Rand(t), s, 100)
	for i := range rows {
		rows[i][0], _ = schema.ParseText(s.Fields[0].Type, fmt.Sprintf("-%d.5", i))
	}
	tbl.commit(rows, nil)
	tbl.commit(nil, map[uint32][]uint32{0: {0, 50}})
	n := 0
	err := tbl.snap.ReadKeys(context.Background(), s, 0, func(row uint32, key []schema.Value) error {
		n++
		want := s.AppendKey(nil, rows[row])
		if got := s.AppendKeyParts(nil, key); string(got) != string(want) {
			t.Errorf("row %d: key %x, want %x", row, got, want)
		}
		if row == 0 || row == 50 {
			t.Errorf("row %d is deleted", row)
		}
		return nil
	})
	if err != nil || n != 98 {
		t.Fatalf("%d keys, %v", n, err)
	}
}

func TestFormat4IsRefused(t *testing.T) {
	f := newFixture(t)
	c := collection(simple())
	c.Options.LakeFormat = 4
	_, _, err := f.lake.Commit(context.Background(), lakehouse.Commit{Collection: c})
	wantKind(t, err, schema.ErrUnsupported)
}

func TestDrop(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	tbl := newTable(f, collection(simple()))
	_, err := f.lake.Current(ctx, tbl.c)
	wantKind(t, err, schema.ErrNotFound)
	for i := range 5 {
		tbl.commit(simpleRows(i*10, 10), nil)
	}
	for range 2 {
		if err := f.lake.Drop(ctx, tbl.c); err != nil {
			t.Fatal(err)
		}
		_, err = f.lake.Current(ctx, tbl.c)
		wantKind(t, err, schema.ErrNotFound)
	}
	for name := range f.objects.List(ctx, "", "") {
		t.Errorf("%s is left", name)
	}
}
