package lakehouse_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/crashfs"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

func rowsFrom(from, n int) []lakehouse.Row {
	rows := make([]lakehouse.Row, n)
	for i, v := range simpleRows(from, n) {
		rows[i] = lakehouse.Row{Values: v, Seq: schema.Seq(from + i)}
	}
	return rows
}

func TestOneOfManyCommittersWins(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	c := collection(simple())
	var base *lakehouse.Snapshot
	for version := range 8 {
		const committers = 4
		var wins atomic.Int32
		var won atomic.Pointer[lakehouse.Snapshot]
		var wg sync.WaitGroup
		for i := range committers {
			wg.Go(func() {
				// Each has a Lake of its own, as another process would.
				snap, _, err := f.open(f.objects).Commit(ctx, lakehouse.Commit{
					Collection: c, Base: base, NextSeq: schema.Seq(version + 1), Rows: each(rowsFrom(version*100+i, 1)),
				})
				switch {
				case err == nil:
					wins.Add(1)
					won.Store(snap)
				case !errors.Is(err, schema.ErrConflict):
					t.Errorf("version %d: %v", version, err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("version %d: %d committers won", version, wins.Load())
		}
		var err error
		if base, err = f.lake.Current(ctx, c); err != nil {
			t.Fatal(err)
		}
		if base.ID() != won.Load().ID() || base.Rows() != int64(version+1) {
			t.Fatalf("version %d: current is %d with %d rows, winner %d", version, base.ID(), base.Rows(), won.Load().ID())
		}
	}
	data := 0
	for name := range f.objects.List(ctx, "", "") {
		if strings.HasSuffix(name, ".parquet") {
			data++
		}
	}
	if data != 8 {
		t.Errorf("%d data files: losers should have removed theirs", data)
	}
}

func TestStaleBase(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	tbl := newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 5), nil)
	stale := tbl.snap
	tbl.commit(simpleRows(5, 5), nil)
	for _, base := range []*lakehouse.Snapshot{nil, stale} {
		_, _, err := f.lake.Commit(ctx, lakehouse.Commit{Collection: tbl.c, Base: base, NextSeq: 99, Rows: each(rowsFrom(0, 1))})
		wantKind(t, err, schema.ErrConflict)
	}
	tbl.check(tbl.snap)
	past, err := tbl.snap.At(ctx, stale.ID())
	if err != nil || past.Rows() != 5 {
		t.Fatalf("the past has %v rows, %v", past, err)
	}
	_, _, err = f.lake.Commit(ctx, lakehouse.Commit{Collection: tbl.c, Base: past, NextSeq: 99})
	wantKind(t, err, schema.ErrInvalid)
}

func TestHintIsOnlyAHint(t *testing.T) {
	ctx := context.Background()
	for _, hint := range []string{"", "1", "3", "nonsense", "99", "-4"} {
		f := newFixture(t)
		tbl := newTable(f, collection(simple()))
		for i := range 21 {
			tbl.commit(simpleRows(i, 1), nil)
		}
		const name = "acme/things-000000000000004d/metadata/version-hint.text"
		if err := f.objects.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
		if hint != "" {
			if err := f.objects.PutIfAbsent(ctx, name, []byte(hint)); err != nil {
				t.Fatal(err)
			}
		}
		snap, err := f.open(f.objects).Current(ctx, tbl.c)
		if err != nil || snap.Rows() != 21 {
			t.Fatalf("hint %q: %v, %v", hint, snap, err)
		}
	}
}

// TestFaultAtEachCall fails each write of a commit in turn, with and without
// the effect, and looks at what came of it.
func TestFaultAtEachCall(t *testing.T) {
	for _, formats := range [][2]int{{2, 2}, {3, 3}, {2, 3}} {
		t.Run(fmt.Sprintf("format=%d-%d", formats[0], formats[1]), func(t *testing.T) {
			for _, landed := range []bool{false, true} {
				for k := 0; ; k++ {
					if !faultAt(t, formats, k, landed) {
						if k < 5 {
							t.Fatalf("only %d writes in a commit", k)
						}
						break
					}
				}
			}
		})
	}
}

// faultAt commits to a table of the first format version what makes it one of the
// second.
func faultAt(t *testing.T, formats [2]int, k int, landed bool) (reached bool) {
	t.Helper()
	ctx := context.Background()
	f := newFixture(t)
	tbl := newTable(f, inFormat(formats[0], simple()))
	tbl.commit(simpleRows(0, 100), nil)
	tbl.commit(nil, map[uint32][]uint32{0: {1}})
	tbl.c = inFormat(formats[1], simple())
	var calls atomic.Int32
	broken := errors.New("broken")
	faulty := &blobtest.Faulty{Store: f.objects, Hook: func(call blobtest.Call, name string) (before, after error) {
		switch call {
		case blobtest.PutIfAbsent, blobtest.Commit, blobtest.Swap:
			if int(calls.Add(1))-1 == k {
				reached = true
				if landed {
					return nil, broken
				}
				return broken, nil
			}
		}
		return nil, nil
	}}
	l := f.open(faulty)
	base, err := l.Current(ctx, tbl.c)
	if err != nil {
		t.Fatal(err)
	}
	snap, _, err := l.Commit(ctx, lakehouse.Commit{
		Collection: tbl.c, Base: base, NextSeq: 110, Rows: each(rowsFrom(100, 10)), Deletes: map[uint32][]uint32{0: {2}},
	})
	now, cerr := f.open(f.objects).Current(ctx, tbl.c)
	if cerr != nil {
		t.Fatalf("call %d, landed %v: %v", k, landed, cerr)
	}
	what := fmt.Sprintf("call %d, landed %v, commit %v", k, landed, err)
	if err != nil {
		if now.ID() != base.ID() || now.FormatVersion() != formats[0] {
			t.Fatalf("%s: but the table changed", what)
		}
		tbl.check(now)
		tbl.snap = now
		tbl.commit(simpleRows(100, 10), map[uint32][]uint32{0: {2}})
		tbl.check(tbl.snap)
		return reached
	}
	if now.ID() != snap.ID() || now.NextSeq() != 110 || now.Rows() != 100-2+10 || now.FormatVersion() != formats[1] {
		t.Fatalf("%s: the table has %d rows below %d", what, now.Rows(), now.NextSeq())
	}
	if got := read(t, now, lakehouse.ReadOptions{Schema: tbl.c.Schema}); len(got) != 108 {
		t.Fatalf("%s: %d rows", what, len(got))
	}
	return reached
}

// TestSilentStore has the store fall silent at the commit: it may have landed,
// so nothing may be removed, and the caller is told that it is not known.
func TestSilentStore(t *testing.T) {
	ctx := context.Background()
	for _, landed := range []bool{false, true} {
		f := newFixture(t)
		tbl := newTable(f, collection(simple()))
		tbl.commit(simpleRows(0, 10), nil)
		silent := errors.New("silent")
		faulty := &blobtest.Faulty{Store: f.objects, Hook: func(call blobtest.Call, name string) (before, after error) {
			if strings.HasSuffix(name, "/v2.metadata.json") {
				if call == blobtest.PutIfAbsent && landed {
					return nil, silent
				}
				return silent, nil
			}
			return nil, nil
		}}
		_, _, err := f.open(faulty).Commit(ctx, lakehouse.Commit{Collection: tbl.c, Base: tbl.snap, NextSeq: 20, Rows: each(rowsFrom(10, 10))})
		wantKind(t, err, schema.ErrUnknownOutcome)
		now := must(f.open(f.objects).Current(ctx, tbl.c))
		want := map[bool]int{false: 10, true: 20}[landed]
		if got := read(t, now, lakehouse.ReadOptions{Schema: tbl.c.Schema}); len(got) != want || int(now.NextSeq()) != want {
			t.Fatalf("landed %v: %d rows below %d", landed, len(got), now.NextSeq())
		}
	}
}

// TestPowerFailure cuts the power at a random step of the file system, over
// and over, and checks that the table is a whole version each time: the last
// acknowledged one, or the one that was under way.
func TestPowerFailure(t *testing.T) {
	ctx := context.Background()
	r := seedtest.Rand(t)
	fsys := crashfs.New()
	c := collection(simple())
	acked, tried := 0, 0 // rows
	var ackedID int64
	for range times(60, 20) {
		dir, err := blob.OpenDir("", blob.DirOptions{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		l, err := lakehouse.Open(lakehouse.Options{Objects: dir, BaseURI: "file:///lake"})
		if err != nil {
			t.Fatal(err)
		}
		base, err := l.Current(ctx, c)
		if errors.Is(err, schema.ErrNotFound) && acked == 0 {
			base, err = nil, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if base != nil {
			got := read(t, base, lakehouse.ReadOptions{Schema: c.Schema})
			if len(got) != acked && len(got) != tried || int(base.NextSeq()) != len(got) {
				t.Fatalf("%d rows below seq %d after a power failure; %d were acknowledged, %d tried", len(got), base.NextSeq(), acked, tried)
			}
			if len(got) == acked && ackedID != 0 && acked != tried && base.ID() != ackedID {
				t.Fatalf("an acknowledged snapshot was replaced")
			}
			acked = len(got)
		}
		acked, ackedID = commitUntilPowerFails(t, r, fsys, l, c, base, acked, &tried)
		_ = dir.Close()
		fsys = fsys.Crash(r)
	}
	if acked < 100 {
		t.Errorf("only %d rows were ever acknowledged", acked)
	}
}

func commitUntilPowerFails(t *testing.T, r *rand.Rand, fsys *crashfs.FS, l *lakehouse.Lake, c *schema.Collection, base *lakehouse.Snapshot, acked int, tried *int) (int, int64) {
	left := r.IntN(150)
	fsys.SetHook(func(crashfs.Op, string) (before, after error) {
		if left--; left < 0 {
			return crashfs.ErrPowerOff, nil
		}
		return nil, nil
	})
	var id int64
	if base != nil {
		id = base.ID()
	}
	for {
		n := 1 + r.IntN(20)
		*tried = acked + n
		snap, _, err := l.Commit(context.Background(), lakehouse.Commit{
			Collection: c, Base: base, NextSeq: schema.Seq(*tried), Rows: each(rowsFrom(acked, n)),
		})
		if err != nil {
			return acked, id
		}
		base, acked, id = snap, *tried, snap.ID()
	}
}

func TestRowsThatFail(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	c := collection(simple())
	bad := errors.New("source broke")
	rows := func(yield func(lakehouse.Row, error) bool) {
		for _, r := range rowsFrom(0, 1000) {
			if !yield(r, nil) {
				return
			}
		}
		yield(lakehouse.Row{}, bad)
	}
	_, _, err := f.lake.Commit(ctx, lakehouse.Commit{Collection: c, Rows: rows})
	wantKind(t, err, bad)
	_, _, err = f.lake.Commit(ctx, lakehouse.Commit{Collection: c, Rows: each([]lakehouse.Row{{Values: []schema.Value{{}, {}, {}}}})})
	wantKind(t, err, schema.ErrInvalid)
	_, err = f.lake.Current(ctx, c)
	wantKind(t, err, schema.ErrNotFound)
	for name := range f.objects.List(ctx, "", "") {
		t.Errorf("%s is left", name)
	}
}

func TestCancelledCommit(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(context.Background())
	rows := func(yield func(lakehouse.Row, error) bool) {
		for _, r := range rowsFrom(0, 10) {
			if !yield(r, nil) {
				return
			}
		}
		cancel()
	}
	_, _, err := f.lake.Commit(ctx, lakehouse.Commit{Collection: collection(simple()), Rows: rows})
	wantKind(t, err, context.Canceled)
	_, err = f.lake.Current(context.Background(), collection(simple()))
	wantKind(t, err, schema.ErrNotFound)
}
