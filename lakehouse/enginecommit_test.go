package lakehouse_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	iceberg_table "github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/lakehouse/laketest"
	"github.com/trinedb/trine/schema"
)

// unkeyed is simple without a key.
func unkeyed() *schema.Schema {
	s := simple()
	s.Key = nil
	return s
}

func (f *fixture) engine() *laketest.Engine {
	return &laketest.Engine{Objects: f.objects, URI: "file://" + f.dir}
}

// engineRows are rows as an engine appends them, without system columns.
func engineRows(s *schema.Schema, values [][]schema.Value) arrow.RecordBatch {
	b := schema.NewArrowBuilder(memory.DefaultAllocator, s, nil, false)
	defer b.Release()
	for _, v := range values {
		b.Append(v, 0, 0)
	}
	return b.NewRecordBatch()
}

func (t *table) askAppend(values [][]schema.Value) lakehouse.EngineCommit {
	t.Helper()
	ask, err := t.engine().Append(t.Context(), t.snap, engineRows(t.c.Schema, values))
	if err != nil {
		t.Fatal(err)
	}
	return ask
}

func (t *table) askRewrite() lakehouse.EngineCommit {
	t.Helper()
	ask, err := t.engine().Rewrite(t.Context(), t.snap)
	if err != nil {
		t.Fatal(err)
	}
	return ask
}

func (t *table) obey(ask lakehouse.EngineCommit) (*lakehouse.Snapshot, []uint32, error) {
	return t.lake.CommitByEngine(t.Context(), lakehouse.EngineChange{Collection: t.c, Base: t.snap, Commit: ask})
}

func withSystem(s *schema.Schema) lakehouse.ReadOptions {
	return lakehouse.ReadOptions{Schema: s, System: true}
}

func TestEngineAppends(t *testing.T) {
	f := newDirFixture(t)
	tbl := newTable(f, collection(unkeyed()))
	tbl.commit(simpleRows(0, 50), nil)
	before := read(t, tbl.snap, withSystem(tbl.c.Schema))
	next, added, err := tbl.obey(tbl.askAppend(simpleRows(1000, 20)))
	if err != nil {
		t.Fatal(err)
	}
	if len(added) != 1 || next.NextSeq() != tbl.snap.NextSeq() || next.Position() != tbl.snap.Position() || next.Rows() != 70 {
		t.Errorf("added %v, next seq %d, %d rows", added, next.NextSeq(), next.Rows())
	}
	check := func(snap *lakehouse.Snapshot, want int) {
		t.Helper()
		got := read(t, snap, withSystem(tbl.c.Schema))
		if len(got) != want || !slices.Equal(got[:len(before)], before) {
			t.Fatalf("%d rows, want %d:\n%s", len(got), want, sample(got))
		}
		for _, row := range got[50:70] {
			if !strings.HasSuffix(row, "|(null)|(null)|") {
				t.Errorf("appended row %s", row)
			}
		}
		if _, theirs := icebergRead(t, snap); !slices.Equal(theirs, sorted(got)) {
			t.Errorf("the engine reads %d rows, Trine %d", len(theirs), len(got))
		}
	}
	check(next, 70)
	check(mustCurrent(t, f, tbl.c), 70)
	// Trine goes on, and leaves what has no seq out of its compaction.
	tbl.snap = next
	for i := range 4 {
		tbl.commit(simpleRows(100*i+2000, 10), nil)
	}
	files := tbl.snap.PlanRewrite(tbl.c.Schema)
	if len(files) < 4 || slices.Contains(files, added[0]) {
		t.Errorf("compaction would take %v, appended was %v", files, added)
	}
	tbl.rewrite(tbl.snap, files)
	if got := len(read(t, tbl.snap, withSystem(tbl.c.Schema))); got != 110 {
		t.Errorf("%d rows after compaction", got)
	}
	if names := strings.Join(f.names(), " "); strings.Count(names, "metadata/snap-") != tbl.snap.Version() {
		t.Errorf("the engine's manifests are left: %s", names)
	}
	// An engine may merge rows of both kinds.
	merged, _, err := tbl.obey(tbl.askRewrite())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(read(t, merged, withSystem(tbl.c.Schema))); got != 110 || len(merged.Files()) != 1 {
		t.Errorf("%d rows in %d files", got, len(merged.Files()))
	}
	if files := merged.PlanRewrite(tbl.c.Schema); len(files) > 0 {
		t.Errorf("compaction would take %v", files)
	}
}

func TestEngineRewritesKeyed(t *testing.T) {
	for _, format := range []int{2, 3} {
		t.Run(fmt.Sprint(format), func(t *testing.T) { engineRewritesKeyed(t, format) })
	}
}

func engineRewritesKeyed(t *testing.T, format int) {
	r := seedtest.Rand(t)
	f := newDirFixture(t)
	tbl := newTable(f, collection(simple()))
	tbl.c.Options.LakeFormat = format
	for i := range 5 {
		tbl.commit(simpleRows(100*i, 80), tbl.someRows(r, sortedKeys(tbl.rows), 9))
	}
	want := sorted(read(t, tbl.snap, withSystem(tbl.c.Schema)))
	stale := tbl.askRewrite()
	next, added, err := tbl.obey(tbl.askRewrite())
	if err != nil {
		t.Fatal(err)
	}
	if got := sorted(read(t, next, withSystem(tbl.c.Schema))); !slices.Equal(got, want) || len(next.Files()) != len(added) {
		t.Fatalf("%d rows in %d files, want %d rows in %d", len(got), len(next.Files()), len(want), len(added))
	}
	var keys int
	for _, file := range added {
		if err := next.ReadKeys(t.Context(), tbl.c.Schema, file, func(uint32, []schema.Value) error { keys++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if keys != len(want) {
		t.Errorf("%d keys in the new files, want %d", keys, len(want))
	}
	// Deletes of the moved rows work as of others, for engines too.
	tbl.snap = next
	snap, _, err := f.lake.Commit(t.Context(), lakehouse.Commit{
		Collection: tbl.c, Base: next, NextSeq: next.NextSeq(), Deletes: map[uint32][]uint32{added[0]: {0, 7, 8}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := sorted(read(t, mustCurrent(t, f, tbl.c), withSystem(tbl.c.Schema)))
	if _, theirs := icebergRead(t, snap); len(got) != len(want)-3 || !slices.Equal(theirs, got) {
		t.Errorf("%d rows, the engine reads %d", len(got), len(theirs))
	}
	// Who was overtaken is told so.
	tbl.snap = snap
	_, _, err = tbl.obey(stale)
	wantKind(t, err, schema.ErrConflict)
}

// A compaction that an engine's rewrite overtook gives up, and rows deleted under
// an engine's rewrite do not come back.
func TestEngineRaces(t *testing.T) {
	f := newDirFixture(t)
	tbl := newTable(f, collection(simple()))
	for i := range 4 {
		tbl.commit(simpleRows(10*i, 10), nil)
	}
	moves, err := f.lake.Rewrite(t.Context(), tbl.snap, lakehouse.RewriteOptions{Collection: tbl.c, Files: []uint32{0, 1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	ask := tbl.askRewrite()
	next, _, err := tbl.obey(ask)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.lake.Replace(t.Context(), lakehouse.Replacement{Collection: tbl.c, Base: next, Rewrite: moves})
	wantKind(t, err, schema.ErrConflict)
	tbl.snap = next
	ask = tbl.askRewrite()
	snap, _, err := f.lake.Commit(t.Context(), lakehouse.Commit{
		Collection: tbl.c, Base: next, NextSeq: next.NextSeq(), Deletes: map[uint32][]uint32{next.Files()[0].Ordinal: {3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// As if the engine had not noticed: its snapshot is made to follow the new one.
	tbl.snap = snap
	parent := snap.ID()
	ask.Require, ask.Snapshot.ParentSnapshotID = nil, &parent
	_, _, err = tbl.obey(ask)
	if err == nil {
		t.Fatal("a rewrite without the delete was taken")
	}
	if got := len(read(t, mustCurrent(t, f, tbl.c), withSystem(tbl.c.Schema))); got != 39 {
		t.Errorf("%d rows", got)
	}
}

func TestEngineRefused(t *testing.T) {
	f := newDirFixture(t)
	keyed, free := newTable(f, collection(simple())), newTable(f, collection(unkeyed()))
	free.c.Name, free.c.Instance = "events", 78
	keyed.commit(simpleRows(0, 20), nil)
	keyed.commit(nil, map[uint32][]uint32{0: {1}})
	free.commit(simpleRows(0, 20), nil)
	numbered := func(seq, time bool) arrow.RecordBatch {
		b := schema.NewArrowBuilder(memory.DefaultAllocator, free.c.Schema, nil, true)
		defer b.Release()
		b.Append(simpleRows(0, 1)[0], 5, 6)
		batch := b.NewRecordBatch()
		columns := slices.Clone(batch.Columns())
		n, fields := len(columns), slices.Clone(batch.Schema().Fields())
		for i, keep := range []bool{seq, time} {
			if at := n - 2 + i; !keep {
				columns[at] = array.MakeArrayOfNull(memory.DefaultAllocator, fields[at].Type, 1)
			}
			fields[n-2+i].Nullable = true
		}
		return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, 1)
	}
	withBatch := func(batch arrow.RecordBatch) lakehouse.EngineCommit {
		return must(f.engine().Append(t.Context(), free.snap, batch))
	}
	other := newTable(f, collection(unkeyed()))
	other.c.Tenant, other.c.Instance = "globex", 79
	other.commit(simpleRows(0, 5), nil)
	changed := func(change func(*iceberg_table.Snapshot)) lakehouse.EngineCommit {
		ask := free.askAppend(simpleRows(50, 3))
		change(ask.Snapshot)
		return ask
	}
	list := func(uri string) lakehouse.EngineCommit {
		return changed(func(s *iceberg_table.Snapshot) { s.ManifestList = uri })
	}
	lakeURI := "file://" + f.dir
	for name, test := range map[string]struct {
		table *table
		ask   lakehouse.EngineCommit
		kind  error
		says  string
	}{
		"append to a keyed table": {keyed, func() lakehouse.EngineCommit {
			rows := schema.NewArrowBuilder(memory.DefaultAllocator, keyed.c.Schema, nil, true)
			rows.Append(simpleRows(90, 1)[0], 90, 90)
			return must(f.engine().Append(t.Context(), keyed.snap, rows.NewRecordBatch()))
		}(), schema.ErrUnsupported, "/v1/tenants/acme/collections/things/records"},
		"appended seq":        {free, withBatch(numbered(true, false)), schema.ErrInvalid, "_seq"},
		"appended time":       {free, withBatch(numbered(false, true)), schema.ErrInvalid, "_time"},
		"overwrite":           {free, changed(func(s *iceberg_table.Snapshot) { s.Summary.Operation = iceberg_table.OpOverwrite }), schema.ErrUnsupported, "/v1/tenants/"},
		"append as a replace": {free, changed(func(s *iceberg_table.Snapshot) { s.Summary.Operation = iceberg_table.OpReplace }), schema.ErrConflict, "do not hold the rows"},
		"rewrite as an append": {keyed, func() lakehouse.EngineCommit {
			a := keyed.askRewrite()
			a.Snapshot.Summary.Operation = iceberg_table.OpAppend
			return a
		}(), schema.ErrUnsupported, "operation append"},
		"id taken":          {free, changed(func(s *iceberg_table.Snapshot) { s.SnapshotID = free.snap.ID() }), schema.ErrConflict, "already"},
		"id negative":       {free, changed(func(s *iceberg_table.Snapshot) { s.SnapshotID = -1 }), schema.ErrInvalid, "positive"},
		"no summary":        {free, changed(func(s *iceberg_table.Snapshot) { s.Summary = nil }), schema.ErrInvalid, "summary"},
		"no parent":         {free, changed(func(s *iceberg_table.Snapshot) { s.ParentSnapshotID = nil }), schema.ErrConflict, "follow"},
		"schema of another": {free, changed(func(s *iceberg_table.Snapshot) { n := 7; s.SchemaID = &n }), schema.ErrConflict, "schema"},
		"list of another":   {free, list(currentList(t, other.snap)), schema.ErrInvalid, "does not lie in"},
		"list elsewhere":    {free, list("s3://elsewhere/x.avro"), schema.ErrInvalid, "does not lie in"},
		"list by dots":      {free, list(free.snap.Location() + "/metadata/../../x.avro"), schema.ErrInvalid, "does not lie in"},
		"list by traversal": {free, list(lakeURI + "/acme/../../../etc/passwd"), schema.ErrInvalid, "does not lie in"},
		"list is no list":   {free, list(free.snap.MetadataLocation()), schema.ErrInvalid, "manifest list"},
		"list is not there": {free, list(free.snap.Location() + "/metadata/nothing.avro"), schema.ErrInvalid, "does not exist"},
		"reserved property": {free, lakehouse.EngineCommit{Set: iceberg.Properties{"gc.enabled": "true"}}, schema.ErrUnsupported, "gc.enabled"},
		"reserved, removed": {free, lakehouse.EngineCommit{Unset: []string{"trine.instance"}}, schema.ErrUnsupported, "trine.instance"},
		"large property":    {free, lakehouse.EngineCommit{Set: iceberg.Properties{"x": strings.Repeat("x", 40000)}}, schema.ErrTooLarge, "bytes"},
		"tag of nothing": {free, lakehouse.EngineCommit{Tags: map[string]*iceberg_table.SnapshotRef{
			"x": {SnapshotID: 5, SnapshotRefType: iceberg_table.TagRef}}}, schema.ErrInvalid, "no snapshot 5"},
		"no tag":      {free, lakehouse.EngineCommit{Tags: map[string]*iceberg_table.SnapshotRef{"x": nil}}, schema.ErrInvalid, "none by that name"},
		"requirement": {free, lakehouse.EngineCommit{Require: iceberg_table.Requirements{iceberg_table.AssertCreate()}}, schema.ErrConflict, "already exists"},
	} {
		t.Run(name, func(t *testing.T) {
			now := test.table.snap
			_, _, err := test.table.obey(test.ask)
			wantKind(t, err, test.kind)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v does not say %q", err, test.says)
			}
			if after := mustCurrent(t, f, test.table.c); after.Version() != now.Version() {
				t.Errorf("version %d after %d", after.Version(), now.Version())
			}
		})
	}
}

func currentList(t *testing.T, snap *lakehouse.Snapshot) string {
	t.Helper()
	return must(iceberg_table.ParseMetadataBytes(snap.Metadata())).CurrentSnapshot().ManifestList
}

func TestEngineSetsPropertiesAndTags(t *testing.T) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 5), nil)
	week := int64(7 * 24 * time.Hour / time.Millisecond)
	ask := lakehouse.EngineCommit{
		Set: iceberg.Properties{"owner": "ann", "comment": "x"},
		Tags: map[string]*iceberg_table.SnapshotRef{
			"week": {SnapshotID: tbl.snap.ID(), SnapshotRefType: iceberg_table.TagRef, MaxRefAgeMs: &week},
		},
	}
	next, _, err := tbl.obey(ask)
	if err != nil {
		t.Fatal(err)
	}
	if next.ID() != tbl.snap.ID() || !next.Time().Equal(tbl.snap.Time()) {
		t.Errorf("snapshot %d of %s became %d of %s", tbl.snap.ID(), tbl.snap.Time(), next.ID(), next.Time())
	}
	tbl.snap = next
	if tbl.snap, _, err = tbl.obey(lakehouse.EngineCommit{Unset: []string{"comment"}}); err != nil {
		t.Fatal(err)
	}
	tbl.churn(8, k, time.Hour) // properties and tags go on
	meta := must(iceberg_table.ParseMetadataBytes(mustCurrent(t, f, tbl.c).Metadata()))
	if p := meta.Properties(); p["owner"] != "ann" || p["comment"] != "" || p["gc.enabled"] != "false" {
		t.Errorf("properties %v", p)
	}
	if tags := must(tbl.snap.Tags()); len(tags) != 1 || tags[0].End.Sub(tags[0].Time) != 7*24*time.Hour {
		t.Errorf("tags %+v", tags)
	}
	k.pass(8 * 24 * time.Hour)
	if tags := must(expire(t, f.lake, tbl.c).Tags()); len(tags) != 0 {
		t.Errorf("past its age: %+v", tags)
	}
}

// TestEngineFaultAtEachCall ends an engine's commit at each of the store's calls, as
// a crash would: the table has the version, or it has not.
func TestEngineFaultAtEachCall(t *testing.T) {
	for _, landed := range []bool{false, true} {
		calls := 0
		for at := int64(0); ; at++ {
			f := newFixture(t)
			tbl := newTable(f, collection(simple()))
			tbl.commit(simpleRows(0, 30), nil)
			tbl.commit(simpleRows(100, 30), map[uint32][]uint32{0: {4, 5}})
			want := sorted(read(t, tbl.snap, withSystem(tbl.c.Schema)))
			ask := tbl.askRewrite()
			var n atomic.Int64 // manifests are put side by side
			armed, dead := false, errors.New("dead")
			crashed := f.open(&blobtest.Faulty{Store: f.objects, Hook: func(blobtest.Call, string) (before, after error) {
				if !armed {
					return nil, nil
				}
				switch call := n.Add(1); {
				case call <= at:
					return nil, nil
				case call == at+1 && landed:
					return nil, dead
				default:
					return dead, nil
				}
			}})
			base := must(crashed.Current(t.Context(), tbl.c))
			armed = true
			_, _, err := crashed.CommitByEngine(t.Context(), lakehouse.EngineChange{Collection: tbl.c, Base: base, Commit: ask})
			now := mustCurrent(t, f, tbl.c)
			if got := sorted(read(t, now, withSystem(tbl.c.Schema))); !slices.Equal(got, want) {
				t.Fatalf("dead after %d calls, landed %v: %d rows, want %d", at, landed, len(got), len(want))
			}
			if committed := now.Version() == tbl.snap.Version()+1; err == nil && !committed ||
				committed && err != nil && !errors.Is(err, schema.ErrUnknownOutcome) {
				t.Fatalf("dead after %d calls, landed %v: committed %v, %v", at, landed, committed, err)
			}
			tbl.snap = now
			tbl.next = now.NextSeq()
			tbl.commit(simpleRows(500, 5), nil)
			if calls++; n.Load() <= at {
				break
			}
		}
		if calls < 10 {
			t.Errorf("only %d calls in a commit", calls)
		}
	}
}

// Whatever an engine's manifests hold, a commit of it succeeds or fails, and leaves
// a table that can be read.
func TestEngineManifestsDamaged(t *testing.T) {
	r := seedtest.Rand(t)
	for range times(150, 40) {
		f := newFixture(t)
		tbl := newTable(f, collection(unkeyed()))
		tbl.commit(simpleRows(0, 5), nil)
		ask := tbl.askAppend(simpleRows(10, 5))
		_, name, _ := strings.Cut(ask.Snapshot.ManifestList, "/lake/")
		if r.IntN(2) == 0 { // the one manifest of it that is new
			for _, n := range f.names() {
				if strings.HasSuffix(n, "-m0.avro") && !strings.Contains(strings.Join(manifestNames(t, f, tbl.snap), " "), n) {
					name = thingsFolder + n
				}
			}
		}
		damageObject(t, f, r, name)
		_, _, err := tbl.obey(ask)
		if err != nil && !errors.Is(err, schema.ErrInvalid) && !errors.Is(err, schema.ErrUnsupported) && !errors.Is(err, schema.ErrTooLarge) {
			t.Errorf("%v is no fault of the engine's", err)
		}
		if got := len(read(t, mustCurrent(t, f, tbl.c), withSystem(tbl.c.Schema))); got < 5 {
			t.Fatalf("%d rows", got)
		}
	}
}

func manifestNames(t *testing.T, f *fixture, snap *lakehouse.Snapshot) (names []string) {
	t.Helper()
	for _, m := range manifestsOf(t, f.objects, snap) {
		_, name, _ := strings.Cut(m.FilePath(), thingsFolder)
		names = append(names, name)
	}
	return names
}

func damageObject(t *testing.T, f *fixture, r *rand.Rand, name string) {
	t.Helper()
	data, err := f.objects.Get(t.Context(), name)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
	data = slices.Clone(data)
	for range 1 + r.IntN(3) {
		data[r.IntN(len(data))] ^= byte(1 << r.IntN(8))
	}
	if r.IntN(4) == 0 {
		data = data[:r.IntN(len(data))]
	}
	if err := errors.Join(f.objects.Delete(t.Context(), name), f.objects.PutIfAbsent(t.Context(), name, data)); err != nil {
		t.Fatal(err)
	}
}
