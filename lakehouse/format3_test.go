package lakehouse_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	iceberg_table "github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// traced is a row's lineage as an engine reads it.
type traced struct{ id, updated int64 }

// lineageOf is the lineage of all rows by seq, as iceberg-go reads it.
func lineageOf(t testing.TB, snap *lakehouse.Snapshot) (iceberg_table.Metadata, map[schema.Seq]traced) {
	t.Helper()
	tbl, lines := icebergRead(t, snap, iceberg_table.WithSelectedFields("_seq", "_row_id", "_last_updated_sequence_number"))
	rows := map[schema.Seq]traced{}
	for _, line := range lines {
		var n [3]int64
		for i, text := range strings.Split(strings.TrimSuffix(line, "|"), "|") {
			var err error
			if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
				t.Fatalf("lineage %q: %v", line, err)
			}
		}
		rows[schema.Seq(n[0])] = traced{n[1], n[2]}
	}
	if len(rows) != len(lines) {
		t.Fatalf("%d rows with %d seqs", len(lines), len(rows))
	}
	return tbl.Metadata(), rows
}

// lineageModel is what was ever seen of rows' lineage.
type lineageModel struct {
	rows map[schema.Seq]traced
	ids  map[int64]schema.Seq // to whom each was given
}

// check demands that a row keeps its lineage for life, and that an id is one row's.
func (m *lineageModel) check(t testing.TB, snap *lakehouse.Snapshot, since schema.Seq) {
	t.Helper()
	meta, rows := lineageOf(t, snap)
	if int64(len(rows)) != snap.Rows() {
		t.Fatalf("iceberg-go reads %d rows, want %d", len(rows), snap.Rows())
	}
	for seq, now := range rows {
		was, known := m.rows[seq]
		switch {
		case known && was != now:
			t.Fatalf("row with seq %d had lineage %+v, and now has %+v", seq, was, now)
		case known:
			continue
		case now.id < 0 || now.id >= meta.NextRowID():
			t.Fatalf("row with seq %d has id %d, the next one is %d", seq, now.id, meta.NextRowID())
		case seq >= since && now.updated != meta.LastSequenceNumber():
			t.Fatalf("row with seq %d is of commit %d, want %d", seq, now.updated, meta.LastSequenceNumber())
		}
		if other, given := m.ids[now.id]; given {
			t.Fatalf("rows with seqs %d and %d have id %d", seq, other, now.id)
		}
		m.rows[seq], m.ids[now.id] = now, seq
	}
}

// TestLineage commits, compacts under commits, converts and restarts at random: rows
// keep ids and the commits that wrote them, however often they move.
func TestLineage(t *testing.T) {
	seed := seedtest.Rand(t)
	for run := range 3 {
		lineageRun(t, rand.New(rand.NewPCG(seed.Uint64(), 0)), run)
	}
}

func lineageRun(t *testing.T, r *rand.Rand, run int) {
	small := func(o *lakehouse.Options) { o.RowGroupRows, o.TargetFileBytes = 128, 32<<10 }
	f := newDirFixture(t, small)
	s := simple()
	if run%3 == 0 {
		s.Key = nil
	}
	tbl := newTable(f, collection(s))
	model := lineageModel{map[schema.Seq]traced{}, map[int64]schema.Seq{}}
	convertAt, rows, moved := r.IntN(25), 0, 0
	if run == 0 {
		convertAt = 0
	}
	commit := func() {
		since := tbl.next
		var files []uint32
		if s.Keyed() && tbl.snap != nil {
			for _, file := range tbl.snap.Files() {
				if file.Rows > file.Deleted && r.IntN(2) == 0 {
					files = append(files, file.Ordinal)
				}
			}
		}
		n := r.IntN(60)
		tbl.commit(simpleRows(rows, n), tbl.someRows(r, files, 4))
		rows += n
		if tbl.snap.FormatVersion() == 3 {
			model.check(t, tbl.snap, since)
		}
	}
	for step := range 40 {
		if step == convertAt {
			tbl.c = inFormat(3, s)
		}
		commit()
		switch r.IntN(5) {
		case 0:
			tbl.lake = f.open(f.objects, small)
			tbl.snap = must(tbl.lake.Current(t.Context(), tbl.c))
		case 1, 2:
			plan := tbl.snap.PlanRewrite(s)
			if plan == nil {
				continue
			}
			old := tbl.snap
			moves := must(tbl.lake.Rewrite(t.Context(), old, lakehouse.RewriteOptions{Collection: tbl.c, Files: plan}))
			if r.IntN(8) == 0 {
				tbl.c = inFormat(3, s)
			}
			commit()
			next, err := tbl.lake.Replace(t.Context(), lakehouse.Replacement{Collection: tbl.c, Base: tbl.snap, Rewrite: moves})
			if tbl.snap.FormatVersion() != old.FormatVersion() {
				wantKind(t, err, schema.ErrConflict)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			tbl.snap, moved = next, moved+1
			tbl.move(moves, plan)
			if next.FormatVersion() == 3 {
				model.check(t, next, tbl.next)
			}
		}
		tbl.checkSet(tbl.snap)
	}
	if moved == 0 || len(model.rows) == 0 {
		t.Errorf("%d rewrites, %d rows with lineage", moved, len(model.rows))
	}
}

// A conversion is one commit, and leaves files as they are; deletes that come after
// it replace the position-delete file of their data file, and of no other.
func TestConversion(t *testing.T) {
	f := newDirFixture(t)
	tbl := newTable(f, collection(simple()))
	for i := range 3 {
		tbl.commit(simpleRows(100*i, 100), nil)
	}
	tbl.commit(nil, map[uint32][]uint32{0: {1, 2}, 1: {3}})
	before := tbl.snap
	late := must(tbl.lake.Rewrite(t.Context(), before, lakehouse.RewriteOptions{Collection: tbl.c, Files: []uint32{0, 1}}))
	if before.FormatCurrent(inFormat(3, simple())) || !before.FormatCurrent(tbl.c) {
		t.Error("FormatCurrent of a table of version 2 is wrong")
	}
	tbl.c = inFormat(3, simple())
	tbl.commit(nil, nil)
	if tbl.snap.FormatVersion() != 3 || tbl.snap.Version() != before.Version()+1 || !tbl.snap.FormatCurrent(tbl.c) {
		t.Fatalf("version %d of format %d after one commit", tbl.snap.Version(), tbl.snap.FormatVersion())
	}
	if got, want := fmt.Sprint(tbl.snap.Files()), fmt.Sprint(before.Files()); got != want {
		t.Errorf("a conversion changed files:\n%s\n%s", got, want)
	}
	_, err := tbl.lake.Replace(t.Context(), lakehouse.Replacement{Collection: tbl.c, Base: tbl.snap, Rewrite: late})
	wantKind(t, err, schema.ErrConflict)
	meta, rows := lineageOf(t, tbl.snap)
	if len(rows) != 297 || meta.NextRowID() != 300 {
		t.Errorf("%d rows have lineage, the next id is %d", len(rows), meta.NextRowID())
	}
	tbl.commit(simpleRows(300, 10), map[uint32][]uint32{0: {50}, 2: {7}})
	kinds := map[uint32]string{0: ".puffin", 1: ".parquet", 2: ".puffin", 3: ""}
	for _, file := range tbl.snap.Files() {
		if want := kinds[file.Ordinal]; !strings.HasSuffix(file.DeletesURI, want) || (want == "") != (file.DeletesURI == "") {
			t.Errorf("deletes of file %d are in %q", file.Ordinal, file.DeletesURI)
		}
	}
	for _, snap := range []*lakehouse.Snapshot{tbl.snap, mustCurrent(t, f, tbl.c)} {
		tbl.check(snap)
		_, got := icebergRead(t, snap)
		if want := sorted(tbl.want()); !slices.Equal(got, want) {
			t.Errorf("iceberg-go reads %d rows, want %d", len(got), len(want))
		}
	}
	// The past stays readable, and the format does not fall.
	past, err := tbl.snap.At(t.Context(), before.ID())
	if err != nil || past.Rows() != 297 || len(read(t, past, lakehouse.ReadOptions{Schema: tbl.c.Schema})) != 297 {
		t.Errorf("the snapshot before: %v", err)
	}
	tbl.c = collection(simple())
	tbl.commit(nil, nil)
	if v := tbl.snap.FormatVersion(); v != 3 {
		t.Errorf("the table fell to format version %d", v)
	}
}

// Vectors of one commit lie in one file, which stays as long as one of them is needed.
func TestSharedVectors(t *testing.T) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, inFormat(3, simple()))
	const files = 5
	deletes := map[uint32][]uint32{}
	for i := range files {
		tbl.commit(simpleRows(100*i, 100), nil)
		deletes[uint32(i)] = []uint32{uint32(i)}
	}
	tbl.commit(nil, deletes)
	first := puffins(f)
	if len(first) != 1 {
		t.Fatalf("the vectors of one commit are in %v", first)
	}
	settle := func() {
		for range 2 {
			k.pass(12 * 60 * 60e9)
			expire(t, f.lake, tbl.c)
		}
		k.pass(2 * 60 * 60e9)
		clean(t, f.lake, tbl.c)
		tbl.snap = mustCurrent(t, f, tbl.c)
	}
	for i := range files {
		tbl.commit(nil, map[uint32][]uint32{uint32(i): {50}})
		settle()
		tbl.check(tbl.snap)
		if got := slices.Contains(puffins(f), first[0]); got != (i < files-1) {
			t.Errorf("%d of %d vectors are superseded, and their file is there: %t", i+1, files, got)
		}
	}
	if n := len(puffins(f)); n != files {
		t.Errorf("%d Puffin files for %d vectors of as many commits", n, files)
	}
}

// A Puffin file stays for vectors in a manifest that does not change, when those in
// all manifests that do are superseded.
func TestSharedVectorsOfManyManifests(t *testing.T) {
	k := newClock()
	f := newFixture(t, graces(k), func(o *lakehouse.Options) { o.TargetFileBytes = 1 })
	tbl := newTable(f, inFormat(3, simple()))
	const files, manifest = 600, 256 // vectors in a full manifest
	tbl.commit(simpleRows(0, files*256), nil)
	if n := len(tbl.snap.Files()); n != files {
		t.Fatalf("%d data files, want %d", n, files)
	}
	all, others := map[uint32][]uint32{}, map[uint32][]uint32{}
	for i := range uint32(files) {
		all[i] = []uint32{0}
		if i < manifest || i >= 2*manifest {
			others[i] = []uint32{1}
		}
	}
	tbl.commit(nil, all)
	first := puffins(f)
	tbl.commit(nil, others)
	for range 3 {
		k.pass(12 * 60 * 60e9)
		expire(t, f.lake, tbl.c)
		clean(t, f.lake, tbl.c)
	}
	tbl.check(mustCurrent(t, f, tbl.c))
	if now := puffins(f); len(first) != 1 || len(now) != 2 || !slices.Contains(now, first[0]) {
		t.Errorf("first there was %v, then %v", first, now)
	}
}

// What one commit deleted in many data files is read with one request, by scans and
// by the commits that add to it.
func TestVectorsAreReadTogether(t *testing.T) {
	objects := &counting{Mem: blob.NewMem()}
	f := newFixture(t)
	f.objects = objects
	f.lake = f.open(objects, func(o *lakehouse.Options) { o.TargetFileBytes = 1 })
	tbl := newTable(f, inFormat(3, simple()))
	const files = 40
	tbl.commit(simpleRows(0, files*256), nil)
	deletes := map[uint32][]uint32{}
	for i := range uint32(files) {
		deletes[i] = []uint32{i}
	}
	tbl.commit(nil, deletes)
	for what, want := range map[string]int{"scan": files + 1, "commit": 4} {
		snap := mustCurrent(t, f, tbl.c) // with nothing in memory
		objects.gets = 0
		switch what {
		case "scan":
			tbl.check(snap)
		case "commit":
			tbl.lake, tbl.snap = f.open(objects), snap
			for i := range uint32(files) {
				deletes[i] = []uint32{i + 100}
			}
			tbl.commit(nil, deletes)
		}
		if objects.gets > want {
			t.Errorf("%s: %d requests, want at most %d", what, objects.gets, want)
		}
	}
	tbl.check(mustCurrent(t, f, tbl.c))
}

func puffins(f *fixture) (names []string) {
	for _, name := range f.names() {
		if strings.HasSuffix(name, ".puffin") {
			names = append(names, name)
		}
	}
	return names
}

// What is damaged in a Puffin file is corruption, named by file and offset.
func TestDamagedVectors(t *testing.T) {
	f := newFixture(t)
	tbl := newTable(f, inFormat(3, simple()))
	tbl.commit(simpleRows(0, 100), nil)
	tbl.commit(simpleRows(100, 100), map[uint32][]uint32{0: {1, 2, 3}})
	name := puffins(f)[0]
	whole := must(f.objects.Get(t.Context(), thingsFolder+name))
	put := func(raw []byte) {
		t.Helper()
		if err := f.objects.Delete(t.Context(), thingsFolder+name); err != nil {
			t.Fatal(err)
		}
		if err := f.objects.PutIfAbsent(t.Context(), thingsFolder+name, raw); err != nil {
			t.Fatal(err)
		}
	}
	const vector = 4 + 4 + 4 + 8 + 4 + 4 + 4 + 4 + 4 + 6 + 4 // magic to checksum
	for at := 4; at < vector; at++ {
		raw := slices.Clone(whole)
		raw[at] ^= 0x10
		put(raw)
		_, err := mustCurrent(t, f, tbl.c).Deleted(t.Context(), 0)
		wantKind(t, err, schema.ErrCorrupt)
		if text := err.Error(); !strings.Contains(text, name) || !strings.Contains(text, "offset 4") {
			t.Fatalf("byte %d: the error does not say where: %s", at, text)
		}
	}
	for _, raw := range [][]byte{nil, whole[:10], whole[:len(whole)-1], append(slices.Clone(whole), 0)} {
		put(raw)
		_, err := mustCurrent(t, f, tbl.c).Deleted(t.Context(), 0)
		wantKind(t, err, schema.ErrCorrupt)
	}
	if err := f.objects.Delete(t.Context(), thingsFolder+name); err != nil {
		t.Fatal(err)
	}
	_, err := mustCurrent(t, f, tbl.c).Deleted(t.Context(), 0)
	wantKind(t, err, schema.ErrCorrupt)
}
