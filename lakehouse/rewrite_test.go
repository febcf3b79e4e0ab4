package lakehouse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// rewrite rewrites files of an older snapshot and makes the exchange on the
// newest. What the test believes of places is moved along.
func (t *table) rewrite(old *lakehouse.Snapshot, files []uint32) *lakehouse.Rewrite {
	t.Helper()
	ctx := context.Background()
	moves, err := t.lake.Rewrite(ctx, old, lakehouse.RewriteOptions{Collection: t.c, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := t.lake.Replace(ctx, lakehouse.Replacement{Collection: t.c, Base: t.snap, Rewrite: moves})
	if err != nil {
		t.Fatal(err)
	}
	t.snap = snap
	t.move(moves, files)
	return moves
}

func (t *table) move(moves *lakehouse.Rewrite, files []uint32) {
	t.Helper()
	for _, w := range moves.Files() {
		t.rows[w.File], t.gone[w.File], t.schemas[w.File] = make([]lakehouse.Row, w.Rows), map[uint32]bool{}, t.c.Schema
	}
	for _, file := range files {
		for row, r := range t.rows[file] {
			to, at, ok := moves.Moved(file, uint32(row))
			if !ok && !t.gone[file][uint32(row)] {
				t.Fatalf("row %d of file %d went nowhere", row, file)
			}
			if !ok {
				continue
			}
			decoded, err := schema.NewRowDecoder(t.schemas[file], t.c.Schema).Decode(t.schemas[file].AppendRow(nil, r.Values), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Values = decoded
			t.rows[to][at] = r
			if t.gone[file][uint32(row)] {
				t.gone[to][at] = true
			}
		}
		delete(t.rows, file)
		delete(t.gone, file)
	}
}

// checkSet compares the rows whatever their order.
func (t *table) checkSet(snap *lakehouse.Snapshot) {
	t.Helper()
	got := sorted(read(t, snap, lakehouse.ReadOptions{Schema: t.c.Schema, System: true}))
	want := sorted(t.want())
	if !slices.Equal(got, want) {
		t.Fatalf("read %d rows, want %d\n got %s\nwant %s", len(got), len(want), sample(got), sample(want))
	}
}

// Rows of every type survive a rewrite with their seq and time, deletes that race
// with it are brought in, and an engine that knows nothing of Trine agrees.
func TestRewriteKeepsRows(t *testing.T) { eachFormat(t, testRewriteKeepsRows) }

func testRewriteKeepsRows(t *testing.T, format int) {
	r := seedtest.Rand(t)
	for _, s := range []*schema.Schema{flat(), everything()} {
		f := newDirFixture(t, func(o *lakehouse.Options) { o.RowGroupRows = 128 })
		tbl := newTable(f, inFormat(format, s))
		for i := range 5 {
			rows := randomRows(r, s, 50+r.IntN(300))
			for k := range rows {
				rows[k][0] = schema.Int(int64(5*k + i)) // sorted in each file, and merged in turns
			}
			tbl.commit(rows, nil)
		}
		tbl.commit(nil, tbl.someRows(r, []uint32{0, 1, 2, 3, 4}, 5))
		old, oldWant := tbl.snap, tbl.want()
		moves, err := tbl.lake.Rewrite(t.Context(), old, lakehouse.RewriteOptions{Collection: tbl.c, Files: []uint32{0, 1, 3, 4}})
		if err != nil {
			t.Fatal(err)
		}
		// Meanwhile: rows deleted, one file wholly, and rows added.
		tbl.commit(randomRows(r, s, 20), tbl.someRows(r, []uint32{0, 2, 3}, 3))
		all := map[uint32][]uint32{4: nil}
		for row := range tbl.rows[4] {
			all[4] = append(all[4], uint32(row))
		}
		tbl.commit(nil, all)
		next, position := tbl.snap.NextSeq(), tbl.snap.Position()
		if tbl.snap, err = tbl.lake.Replace(t.Context(), lakehouse.Replacement{Collection: tbl.c, Base: tbl.snap, Rewrite: moves}); err != nil {
			t.Fatal(err)
		}
		tbl.move(moves, []uint32{0, 1, 3, 4})
		if tbl.snap.NextSeq() != next || tbl.snap.Position() != position {
			t.Errorf("a rewrite moved the table from seq %d to %d", next, tbl.snap.NextSeq())
		}
		tbl.checkSet(tbl.snap)
		tbl.checkSet(mustCurrent(t, f, tbl.c))
		if s.LastFieldID == flat().LastFieldID && len(s.Fields) == len(flat().Fields) {
			if _, got := icebergRead(t, tbl.snap); !slices.Equal(got, sorted(tbl.want())) {
				t.Errorf("iceberg-go reads %d rows, want %d", len(got), len(tbl.want()))
			}
		}
		// The past is what it was.
		past, err := tbl.snap.At(t.Context(), old.ID())
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, past, lakehouse.ReadOptions{Schema: s, System: true}); !slices.Equal(got, oldWant) {
			t.Errorf("the snapshot before reads %d rows, want %d", len(got), len(oldWant))
		}
		tbl.commit(randomRows(r, s, 5), tbl.someRows(r, sortedKeys(tbl.rows)[:1], 2))
		tbl.checkSet(tbl.snap)
	}
}

// mustCurrent reads the table back, with nothing in memory.
func mustCurrent(t testing.TB, f *fixture, c *schema.Collection) *lakehouse.Snapshot {
	t.Helper()
	snap, err := f.open(f.objects).Current(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// someRows chooses rows to delete, that are not deleted yet.
func (t *table) someRows(r *rand.Rand, files []uint32, n int) map[uint32][]uint32 {
	chosen := map[uint32][]uint32{}
	for _, file := range files {
		for range n {
			if row := uint32(r.IntN(len(t.rows[file]))); !t.gone[file][row] {
				chosen[file] = append(chosen[file], row)
			}
		}
	}
	return chosen
}

func TestRewriteIsSorted(t *testing.T) {
	f := newFixture(t)
	tbl := newTable(f, collection(simple()))
	for i := range 4 {
		var rows [][]schema.Value
		for k := range 100 {
			rows = append(rows, simpleRows(4*k+i, 1)...)
		}
		tbl.commit(rows, nil)
	}
	tbl.rewrite(tbl.snap, []uint32{0, 1, 2, 3})
	got := read(t, tbl.snap, lakehouse.ReadOptions{Schema: tbl.c.Schema, Columns: []int{0}})
	for i, row := range got {
		if row != fmt.Sprintf("%d|", i) {
			t.Fatalf("row %d has key %s", i, row)
		}
	}
	if n := len(tbl.snap.Files()); n != 1 || len(got) != 400 {
		t.Errorf("%d files, %d rows", n, len(got))
	}
	tbl.check(tbl.snap)
}

// Two rewrites of one snapshot: the second must not bring rows in twice.
func TestRewritesConflict(t *testing.T) {
	f := newFixture(t)
	tbl := newTable(f, collection(simple()))
	for i := range 4 {
		tbl.commit(simpleRows(10*i, 10), nil)
	}
	late, err := tbl.lake.Rewrite(t.Context(), tbl.snap, lakehouse.RewriteOptions{Collection: tbl.c, Files: []uint32{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	tbl.rewrite(tbl.snap, []uint32{0, 1, 2, 3})
	_, err = tbl.lake.Replace(t.Context(), lakehouse.Replacement{Collection: tbl.c, Base: tbl.snap, Rewrite: late})
	wantKind(t, err, schema.ErrConflict)
	tbl.checkSet(mustCurrent(t, f, tbl.c))
	files := 0
	for name := range f.objects.List(t.Context(), "", "") {
		if strings.HasSuffix(name, ".parquet") {
			files++
		}
	}
	if files != 5 {
		t.Errorf("%d data files: the loser should have removed its own", files)
	}
}

// A rewrite by a schema that is older than the table's would drop columns.
func TestRewriteByAnOlderSchema(t *testing.T) {
	f := newFixture(t)
	old := collection(simple())
	tbl := newTable(f, old)
	newer := *simple()
	newer.ID, newer.LastFieldID = 2, 4
	newer.Fields = append(slices.Clone(newer.Fields), schema.Field{ID: 4, Name: "more", Type: kind(schema.KindLong)})
	tbl.c = collection(&newer)
	tbl.commit([][]schema.Value{{schema.Int(1), schema.String("a"), schema.Float(1), schema.Int(9)}}, nil)
	_, err := tbl.lake.Rewrite(t.Context(), tbl.snap, lakehouse.RewriteOptions{Collection: old, Files: []uint32{0}})
	wantKind(t, err, schema.ErrConflict)
}

// The rules of what is rewritten settle: a table that is flushed for ever has few
// files, each row is rewritten a few times only, and deleted rows take little.
func TestPlanRewriteSettles(t *testing.T) {
	r := seedtest.Rand(t)
	const target, flushes, perFlush, keys = 40 << 10, 150, 60, 4000
	f := newFixture(t, func(o *lakehouse.Options) { o.TargetFileBytes, o.RowGroupRows = target, 256 })
	tbl := newTable(f, collection(simple()))
	place := map[int64][2]uint32{}
	written, rewritten, most := 0, 0, 0
	for range flushes {
		var rows [][]schema.Value
		deletes := map[uint32][]uint32{}
		chosen := map[int64]bool{}
		for range perFlush {
			chosen[r.Int64N(keys)] = true
		}
		var ids []int64
		for id := range chosen {
			ids = append(ids, id)
			if p, ok := place[id]; ok {
				deletes[p[0]] = append(deletes[p[0]], p[1])
			}
		}
		slices.Sort(ids)
		for _, id := range ids {
			rows = append(rows, []schema.Value{schema.Int(id), schema.String(fmt.Sprint(r.Uint64(), r.Uint64())), schema.Float(r.Float64())})
		}
		tbl.commit(rows, deletes)
		written += len(rows)
		for plan := tbl.snap.PlanRewrite(tbl.c.Schema); plan != nil; plan = tbl.snap.PlanRewrite(tbl.c.Schema) {
			for _, w := range tbl.rewrite(tbl.snap, plan).Files() {
				rewritten += w.Rows
			}
		}
		clear(place)
		for file, rows := range tbl.rows {
			for at, row := range rows {
				if !tbl.gone[file][uint32(at)] {
					place[row.Values[0].Int()] = [2]uint32{file, uint32(at)}
				}
			}
		}
		most = max(most, len(tbl.snap.Files()))
	}
	tbl.checkSet(tbl.snap)
	var dead, all int64
	for _, file := range tbl.snap.Files() {
		dead, all = dead+file.Deleted, all+file.Rows
	}
	t.Logf("%d rows written, %d rewritten, at most %d files, %d of %d rows dead", written, rewritten, most, dead, all)
	if most > 16 {
		t.Errorf("up to %d files", most)
	}
	if rewritten > 6*written {
		t.Errorf("%d rows rewritten for %d written", rewritten, written)
	}
	if dead*3 > all {
		t.Errorf("%d of %d rows are dead", dead, all)
	}
}

// Append-only files are merged with their neighbours in seq order, and read in it.
func TestRewriteOfAppendOnly(t *testing.T) { eachFormat(t, testRewriteOfAppendOnly) }

func testRewriteOfAppendOnly(t *testing.T, format int) {
	s := simple()
	s.Key = nil
	f := newFixture(t, func(o *lakehouse.Options) { o.TargetFileBytes, o.RowGroupRows = 32<<10, 128 })
	tbl := newTable(f, inFormat(format, s))
	for i := range 60 {
		tbl.commit(simpleRows(i*40, 40), nil)
		for plan := tbl.snap.PlanRewrite(s); plan != nil; plan = tbl.snap.PlanRewrite(s) {
			tbl.rewrite(tbl.snap, plan)
		}
		for at, id := range read(t, tbl.snap, lakehouse.ReadOptions{Schema: s, Columns: []int{0}}) {
			if id != fmt.Sprintf("%d|", at) {
				t.Fatalf("after %d commits row %d is %s", i+1, at, id)
			}
		}
	}
	tbl.checkSet(tbl.snap)
	if n := len(tbl.snap.Files()); n > 12 {
		t.Errorf("%d files", n)
	}
}
