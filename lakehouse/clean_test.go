package lakehouse_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

const thingsFolder = "acme/things-000000000000004d/"

// clock is a time that a test moves on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_800_000_000_000)} }

func (k *clock) Now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *clock) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

// graces are short enough to pass in a test.
func graces(k *clock) func(*lakehouse.Options) {
	return func(o *lakehouse.Options) {
		o.Now, o.SnapshotsKept, o.SnapshotAge = k.Now, 3, 10*time.Hour
		o.FileGrace, o.OrphanGrace = time.Hour, 24*time.Hour
	}
}

// churn makes versions that each supersede all rows of the one before.
func (t *table) churn(versions int, k *clock, every time.Duration) {
	t.Helper()
	for range versions {
		deletes := map[uint32][]uint32{}
		for file := range t.rows {
			for row := range t.rows[file] {
				if !t.gone[file][uint32(row)] {
					deletes[file] = append(deletes[file], uint32(row))
				}
			}
		}
		t.commit(simpleRows(0, 10), deletes)
		k.pass(every)
	}
}

func (f *fixture) names() (names []string) {
	f.Helper()
	for name, err := range f.objects.List(context.Background(), thingsFolder, "") {
		if err != nil {
			f.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(name, thingsFolder))
	}
	return names
}

func clean(t testing.TB, l *lakehouse.Lake, c *schema.Collection) lakehouse.Cleaned {
	t.Helper()
	done, err := l.Clean(context.Background(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func expire(t testing.TB, l *lakehouse.Lake, c *schema.Collection) *lakehouse.Snapshot {
	t.Helper()
	snap, err := l.Current(context.Background(), c)
	if err == nil {
		snap, _, err = l.Expire(context.Background(), c, snap)
	}
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// What an engine was told within the grace stays readable, and what nobody was
// told within it goes.
func TestCleanRespectsTheGrace(t *testing.T) { eachFormat(t, testCleanRespectsTheGrace) }

func testCleanRespectsTheGrace(t *testing.T, format int) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, inFormat(format, simple()))
	type told struct {
		at   time.Time
		snap *lakehouse.Snapshot
	}
	var all []told
	for range 40 {
		tbl.churn(1, k, 0)
		for _, ref := range tbl.snap.Named() {
			past, err := tbl.snap.At(t.Context(), ref.ID)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, told{k.Now(), past})
		}
		k.pass(7 * time.Minute)
		clean(t, f.lake, tbl.c)
		for _, a := range all {
			if k.Now().Sub(a.at) < time.Hour {
				if n := len(read(t, a.snap, lakehouse.ReadOptions{Schema: tbl.c.Schema})); n != 10 {
					t.Fatalf("a snapshot that was told %s ago has %d rows", k.Now().Sub(a.at), n)
				}
			}
		}
	}
	// Nothing is left to do before the next commit but to expire by age.
	k.pass(2 * time.Hour)
	done := clean(t, f.lake, tbl.c)
	if !done.Next.IsZero() || done.More {
		t.Errorf("all is past its time, but: %+v", done)
	}
	if next := tbl.snap.NextExpiry(); next.IsZero() || tbl.snap.Overdue() {
		t.Errorf("three snapshots are named, and the next expires at %s", next)
	}
	k.pass(10 * time.Hour)
	if snap := expire(t, f.lake, tbl.c); len(snap.Named()) != 1 || snap.ID() != tbl.snap.ID() {
		t.Errorf("after all ages %d snapshots are named", len(snap.Named()))
	}
	k.pass(2 * time.Hour)
	clean(t, f.lake, tbl.c)
	tbl.snap = mustCurrent(t, f, tbl.c)
	tbl.check(tbl.snap)
	if names := f.names(); len(names) != 6 { // a data file, a manifest, a list, a version, hint and floor
		t.Errorf("left: %v", names)
	}
}

// A pinned snapshot keeps its files and those of all that come after it.
func TestCleanRespectsPins(t *testing.T) { eachFormat(t, testCleanRespectsPins) }

func testCleanRespectsPins(t *testing.T, format int) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, inFormat(format, simple()))
	tbl.churn(3, k, time.Hour)
	old := tbl.snap
	unpin := old.Pin()
	tbl.churn(10, k, 5*time.Hour)
	if done := clean(t, f.lake, tbl.c); done.Versions != 2 || done.Next.IsZero() {
		t.Errorf("below the pinned third version were removed: %+v", done)
	}
	if n := len(read(t, old, lakehouse.ReadOptions{Schema: tbl.c.Schema})); n != 10 {
		t.Errorf("the pinned snapshot has %d rows", n)
	}
	unpin()
	unpin()
	if done := clean(t, f.lake, tbl.c); done.Versions < 5 {
		t.Errorf("unpinned: %+v", done)
	}
	tbl.check(mustCurrent(t, f, tbl.c))
}

// Whoever knows a version that was removed finds the newest nevertheless, and one
// that makes it again does not take itself for current.
func TestFloor(t *testing.T) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, collection(simple()))
	tbl.churn(4, k, time.Minute)
	asleep := f.open(f.objects, graces(k))
	stale, err := asleep.Current(t.Context(), tbl.c)
	if err != nil {
		t.Fatal(err)
	}
	tbl.churn(20, k, 2*time.Hour)
	clean(t, f.lake, tbl.c)
	names := strings.Join(f.names(), " ")
	for v := range stale.Version() + 2 {
		if strings.Contains(names, fmt.Sprintf("/v%d.metadata.json", v)) {
			t.Fatalf("version %d is still there: %s", v, names)
		}
	}
	// The sleeper commits on what it knows.
	_, _, err = asleep.Commit(t.Context(), lakehouse.Commit{
		Collection: tbl.c, Base: stale, NextSeq: stale.NextSeq(), Rows: each(rowsFrom(900, 5)),
	})
	wantKind(t, err, schema.ErrConflict)
	if again := strings.Join(f.names(), " "); again != names {
		t.Errorf("the sleeper left\n%s\nwhere there was\n%s", again, names)
	}
	for what, l := range map[string]*lakehouse.Lake{"the sleeper": asleep, "a new process": f.open(f.objects)} {
		snap, err := l.Current(t.Context(), tbl.c)
		if err != nil || snap.ID() != tbl.snap.ID() {
			t.Errorf("%s finds %v, %v", what, snap, err)
		}
	}
	for _, hint := range []string{"", "2", "nonsense", "9999"} {
		if err := f.objects.Delete(t.Context(), thingsFolder+"metadata/version-hint.text"); err != nil {
			t.Fatal(err)
		}
		if hint != "" {
			if err := f.objects.PutIfAbsent(t.Context(), thingsFolder+"metadata/version-hint.text", []byte(hint)); err != nil {
				t.Fatal(err)
			}
		}
		tbl.check(mustCurrent(t, f, tbl.c))
	}
	if err := f.lake.Drop(t.Context(), tbl.c); err != nil {
		t.Fatal(err)
	}
	if _, err := f.open(f.objects).Current(t.Context(), tbl.c); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("after the drop: %v", err)
	}
	if names := f.names(); len(names) > 0 {
		t.Errorf("the drop left %v", names)
	}
}

// TestCleanFaultAtEachCall ends an expiry at each of its calls, as a crash would;
// the table must stay whole, and the next expiry finish the work.
func TestCleanFaultAtEachCall(t *testing.T) { eachFormat(t, testCleanFaultAtEachCall) }

func testCleanFaultAtEachCall(t *testing.T, format int) {
	every := times(1, 5)
	for _, landed := range []bool{false, true} {
		calls := 0
		for k := seedtest.Rand(t).IntN(every); cleanFaultAt(t, format, k, landed); k += every {
			calls += every
		}
		if calls < 40 {
			t.Errorf("only %d calls in an expiry", calls)
		}
	}
}

func cleanFaultAt(t *testing.T, format, at int, landed bool) (reached bool) {
	t.Helper()
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, inFormat(format, simple()))
	tbl.commit(simpleRows(100, 30), nil)
	tbl.churn(6, k, time.Minute)
	k.pass(12 * time.Hour)
	dead := errors.New("dead")
	n := 0
	faulty := &blobtest.Faulty{Store: f.objects, Hook: func(call blobtest.Call, _ string) (before, after error) {
		n++
		if n <= at {
			return nil, nil
		}
		if reached || !landed {
			reached = true
			return dead, nil
		}
		reached = true
		return nil, dead
	}}
	crashed := f.open(faulty, graces(k))
	if snap, err := crashed.Current(t.Context(), tbl.c); err == nil {
		if _, _, err := crashed.Expire(t.Context(), tbl.c, snap); err == nil {
			k.pass(2 * time.Hour)
			_, _ = crashed.Clean(t.Context(), tbl.c, nil)
		}
	}
	what := fmt.Sprintf("dead after %d calls, landed %v", at, landed)
	now := mustCurrent(t, f, tbl.c)
	if now.ID() != tbl.snap.ID() {
		t.Fatalf("%s: another snapshot is current", what)
	}
	tbl.check(now)
	next := f.open(f.objects, graces(k))
	expire(t, next, tbl.c)
	k.pass(2 * time.Hour)
	clean(t, next, tbl.c)
	tbl.check(mustCurrent(t, f, tbl.c))
	k.pass(48 * time.Hour)
	if _, err := next.RemoveOrphans(t.Context(), tbl.c, nil); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	tbl.check(mustCurrent(t, f, tbl.c))
	if names := f.names(); len(names) > 6 {
		t.Fatalf("%s: left %v", what, names)
	}
	return reached
}

// Orphans go when they are old, and nothing that a version names does.
func TestRemoveOrphans(t *testing.T) { eachFormat(t, testRemoveOrphans) }

func testRemoveOrphans(t *testing.T, format int) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, inFormat(format, simple()))
	tbl.churn(5, k, time.Minute)
	tbl.commit(simpleRows(50, 10), map[uint32][]uint32{4: {1}})
	dead := errors.New("dead")
	var broken atomic.Bool
	faulty := &blobtest.Faulty{Store: f.objects, Hook: func(call blobtest.Call, name string) (before, after error) {
		if strings.Contains(name, "/snap-") {
			broken.Store(true)
		}
		if broken.Load() {
			return dead, nil
		}
		return nil, nil
	}}
	before := len(f.names())
	_, _, err := f.open(faulty, graces(k)).Commit(t.Context(), lakehouse.Commit{
		Collection: tbl.c, Base: tbl.snap, NextSeq: tbl.next, Rows: each(rowsFrom(60, 1)), Deletes: map[uint32][]uint32{4: {2}},
	})
	if err == nil || len(f.names()) <= before {
		t.Fatalf("a commit that died (%v) left nothing", err)
	}
	for _, name := range []string{"metadata/notes.txt", "data/00000009-mine.parquet", "metadata/v1x.metadata.json"} {
		if err := f.objects.PutIfAbsent(t.Context(), thingsFolder+name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		pass time.Duration
		want int
	}{{0, 0}, {23 * time.Hour, 0}, {2 * time.Hour, len(f.names()) - before - 3}, {time.Hour, 0}} {
		k.pass(tc.pass)
		n, err := f.lake.RemoveOrphans(t.Context(), tbl.c, nil)
		if err != nil || n != tc.want {
			t.Errorf("%s later: %d orphans removed, want %d (%v)", tc.pass, n, tc.want, err)
		}
	}
	if n := len(f.names()); n != before+3 {
		t.Errorf("%d files, want %d and three that are not known", n, before)
	}
	tbl.check(mustCurrent(t, f, tbl.c))
	for _, ref := range tbl.snap.Named() {
		past, err := tbl.snap.At(t.Context(), ref.ID)
		if err != nil {
			t.Fatal(err)
		}
		read(t, past, lakehouse.ReadOptions{Schema: tbl.c.Schema})
	}
}

// A commit that took so long that its files may count as orphans is refused.
func TestSlowCommitIsRefused(t *testing.T) {
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 10), nil)
	rows := func(yield func(lakehouse.Row, error) bool) {
		k.pass(13 * time.Hour)
		yield(rowsFrom(10, 1)[0], nil)
	}
	_, _, err := f.lake.Commit(t.Context(), lakehouse.Commit{
		Collection: tbl.c, Base: tbl.snap, NextSeq: 11, Rows: iter.Seq2[lakehouse.Row, error](rows),
	})
	wantKind(t, err, schema.ErrUnavailable)
	tbl.check(mustCurrent(t, f, tbl.c))
}

// However commits and rewrites go, a table has few manifests for its files.
func TestFewManifests(t *testing.T) { eachFormat(t, testFewManifests) }

func testFewManifests(t *testing.T, format int) {
	r := seedtest.Rand(t)
	f := newFixture(t)
	tbl := newTable(f, inFormat(format, simple()))
	most, commits := 0, times(600, 200)
	for i := range commits {
		deletes := map[uint32][]uint32{}
		if files := sortedKeys(tbl.rows); i%3 == 0 && len(files) > 0 {
			deletes = tbl.someRows(r, files[r.IntN(len(files)):][:1], 1)
		}
		tbl.commit(simpleRows(2*i, 2), deletes)
		if i == commits*2/3 {
			var files []uint32
			for _, file := range tbl.snap.Files() {
				if r.IntN(2) == 0 {
					files = append(files, file.Ordinal)
				}
			}
			tbl.rewrite(tbl.snap, files)
		}
		most = max(most, len(tbl.rows))
		if i%50 != 0 {
			continue
		}
		data, deleteFiles := 0, 0
		for _, m := range manifestsOf(t, f.objects, tbl.snap) {
			if m.ManifestContent() == iceberg.ManifestContentData {
				data++
			} else {
				deleteFiles++
			}
		}
		bound := 2 + len(tbl.snap.Files())/128
		if data > bound || deleteFiles > bound {
			t.Fatalf("after %d commits %d files have %d and %d manifests", i, len(tbl.snap.Files()), data, deleteFiles)
		}
	}
	if most < commits/2 {
		t.Errorf("the table never had more than %d files", most)
	}
	tbl.checkSet(mustCurrent(t, f, tbl.c))
}

// manifestsOf reads the manifest list of a snapshot.
func manifestsOf(t *testing.T, objects blobtest.Store, snap *lakehouse.Snapshot) []iceberg.ManifestFile {
	t.Helper()
	prefix := fmt.Sprintf("%smetadata/snap-%d-", thingsFolder, snap.ID())
	for name := range objects.List(t.Context(), prefix, "") {
		raw, err := objects.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		files, err := iceberg.ReadManifestList(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	t.Fatal(blob.ErrNotFound)
	return nil
}
