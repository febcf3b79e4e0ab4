package lakehouse_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	iceberg_table "github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// withdrawn is a table of some versions and rows, which is withdrawn; before is its
// last snapshot.
func withdrawn(t *testing.T, k *clock, change ...func(*lakehouse.Options)) (f *fixture, tbl *table, before *lakehouse.Snapshot) {
	t.Helper()
	f = newFixture(t, append(change, graces(k))...)
	tbl = newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 20), nil)
	tbl.commit(simpleRows(20, 5), map[uint32][]uint32{0: {1, 2}})
	before = tbl.snap
	if why := before.Unique(); why != "" {
		t.Fatalf("it is said to have %s", why)
	}
	if err := f.lake.Withdraw(t.Context(), tbl.c, before, nil); err != nil {
		t.Fatal(err)
	}
	return f, tbl, before
}

// again makes the table anew with the rows that the test believes in.
func (t *table) again(l *lakehouse.Lake) error {
	var rows []lakehouse.Row
	for _, file := range sortedKeys(t.rows) {
		for i, row := range t.rows[file] {
			if !t.gone[file][uint32(i)] {
				rows = append(rows, row)
			}
		}
	}
	snap, written, err := l.Commit(t.Context(), lakehouse.Commit{Collection: t.c, NextSeq: t.next, Rows: each(rows)})
	if err != nil {
		return err
	}
	t.snap, t.rows, t.gone = snap, map[uint32][]lakehouse.Row{}, map[uint32]map[uint32]bool{}
	t.took(written, rows)
	return nil
}

func removeWithdrawn(t *testing.T, l *lakehouse.Lake, c *schema.Collection) lakehouse.Cleaned {
	t.Helper()
	done, err := l.RemoveWithdrawn(t.Context(), c, nil)
	if err == nil && done.Next.IsZero() {
		err = l.ForgetWithdrawn(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// A withdrawn table is gone at once for who asks, readable for the grace for who has
// it, and then its objects are gone; it is made anew at any time.
func TestWithdraw(t *testing.T) {
	for _, sole := range []bool{false, true} {
		t.Run(fmt.Sprintf("sole=%v", sole), func(t *testing.T) {
			k := newClock()
			alone := func(o *lakehouse.Options) { o.Sole = sole }
			f, tbl, before := withdrawn(t, k, alone)
			for _, l := range []*lakehouse.Lake{f.lake, f.open(f.objects, graces(k))} {
				if _, err := l.Current(t.Context(), tbl.c); !errors.Is(err, schema.ErrNotFound) {
					t.Fatalf("withdrawn: %v", err)
				}
			}
			k.pass(30 * time.Minute)
			if done := removeWithdrawn(t, f.lake, tbl.c); done.Versions != 0 || done.Next.IsZero() {
				t.Fatalf("within the grace: %+v", done)
			}
			tbl.check(before)
			k.pass(40 * time.Minute)
			unpin := before.Pin()
			if done := removeWithdrawn(t, f.lake, tbl.c); done.Versions != 0 || done.Next.IsZero() {
				t.Fatalf("while it is read: %+v", done)
			}
			tbl.check(before)
			unpin()
			if done := removeWithdrawn(t, f.lake, tbl.c); done.Versions != 3 || done.Files != 3 || !done.Next.IsZero() {
				t.Errorf("%+v", done)
			}
			want := []string{"metadata/floor"}
			if sole {
				want = nil
			}
			if names := f.names(); !slices.Equal(names, want) {
				t.Fatalf("left: %v", names)
			}
			for range 2 { // from memory, and without
				l := f.lake
				f.lake = f.open(f.objects, graces(k), alone)
				if _, err := l.Current(t.Context(), tbl.c); !errors.Is(err, schema.ErrNotFound) {
					t.Fatalf("removed: %v", err)
				}
			}
			if _, err := f.lake.Current(t.Context(), tbl.c); !errors.Is(err, schema.ErrNotFound) {
				t.Fatal(err)
			}
			if err := tbl.again(f.lake); err != nil {
				t.Fatal(err)
			}
			if first := 4; !sole && tbl.snap.Version() != first || sole && tbl.snap.Version() != 1 {
				t.Errorf("made anew as version %d", tbl.snap.Version())
			}
			tbl.check(mustCurrent(t, f, tbl.c))
			tbl.churn(6, k, time.Minute)
			k.pass(12 * time.Hour)
			expire(t, f.lake, tbl.c)
			k.pass(2 * time.Hour)
			clean(t, f.lake, tbl.c)
			tbl.check(mustCurrent(t, f, tbl.c))
			if err := f.lake.Drop(t.Context(), tbl.c); err != nil {
				t.Fatal(err)
			}
			if names := f.names(); len(names) > 0 {
				t.Errorf("left by a drop: %v", names)
			}
		})
	}
}

// A table that is made anew before the old one's files are gone keeps its own, and
// the old ones go as those of old versions do.
func TestWithdrawnTableIsMadeAnew(t *testing.T) {
	k := newClock()
	f, tbl, before := withdrawn(t, k)
	if _, err := f.lake.Current(t.Context(), tbl.c); !errors.Is(err, schema.ErrNotFound) {
		t.Fatal(err)
	}
	tbl.check(before)
	if err := tbl.again(f.lake); err != nil {
		t.Fatal(err)
	}
	if tbl.snap.Version() != 4 {
		t.Errorf("version %d", tbl.snap.Version())
	}
	k.pass(90 * time.Minute)
	if done := removeWithdrawn(t, f.lake, tbl.c); done.Versions != 0 {
		t.Errorf("there is a table, and %+v is removed", done)
	}
	tbl.check(mustCurrent(t, f, tbl.c))
	if done := clean(t, f.lake, tbl.c); done.Versions != 3 || done.Files != 3 {
		t.Errorf("%+v", done)
	}
	tbl.check(mustCurrent(t, f, tbl.c))
	if names := f.names(); len(names) != 5 {
		t.Errorf("left: %v", names)
	}
}

// Of a commit and a withdrawal on one version, one has no effect.
func TestWithdrawAgainstCommits(t *testing.T) {
	k := newClock()
	f, tbl, before := withdrawn(t, k)
	other := f.open(f.objects, graces(k))
	late := func(l *lakehouse.Lake, base *lakehouse.Snapshot) {
		t.Helper()
		names := f.names()
		_, _, err := l.Commit(t.Context(), lakehouse.Commit{Collection: tbl.c, Base: base, NextSeq: tbl.next, Rows: each(rowsFrom(70, 1))})
		wantKind(t, err, schema.ErrConflict)
		if left := f.names(); !slices.Equal(left, names) {
			t.Errorf("it left %v, there was %v", left, names)
		}
	}
	late(other, before)
	if err := tbl.again(f.lake); err != nil {
		t.Fatal(err)
	}
	k.pass(time.Second)
	wantKind(t, other.Withdraw(t.Context(), tbl.c, before, nil), schema.ErrConflict)
	if err := f.lake.Withdraw(t.Context(), tbl.c, tbl.snap, nil); err != nil {
		t.Fatal(err)
	}
	k.pass(2 * time.Hour)
	removeWithdrawn(t, f.lake, tbl.c)
	// Those that slept since the table was there, or since before it was first made;
	// one puts the very version that had withdrawn it.
	late(other, before)
	late(other, tbl.snap)
	late(f.open(f.objects, graces(k)), nil)
	if _, err := other.Current(t.Context(), tbl.c); !errors.Is(err, schema.ErrNotFound) {
		t.Fatalf("after them: %v", err)
	}
	if err := tbl.again(other); err != nil {
		t.Fatal(err)
	}
	tbl.check(mustCurrent(t, f, tbl.c))
	late(f.lake, before)
	tbl.check(mustCurrent(t, f, tbl.c))
}

// A withdrawal that ends at any of its calls, as a crash would, leaves a table or
// none; what comes after finishes it, and the table can be made anew in between.
func TestWithdrawFaultAtEachCall(t *testing.T) {
	for _, anew := range []bool{false, true} {
		for _, landed := range []bool{false, true} {
			calls := 0
			for ; withdrawFaultAt(t, calls, landed, anew); calls++ {
				if t.Failed() {
					return
				}
			}
			if calls < 25 {
				t.Errorf("only %d calls", calls)
			}
		}
	}
}

func withdrawFaultAt(t *testing.T, at int, landed, anew bool) (reached bool) {
	t.Helper()
	what := fmt.Sprintf("dead after %d calls, landed %v, made anew %v", at, landed, anew)
	k := newClock()
	f := newFixture(t, graces(k))
	tbl := newTable(f, collection(simple()))
	tbl.commit(simpleRows(0, 20), nil)
	tbl.commit(simpleRows(20, 5), map[uint32][]uint32{0: {1, 2}})
	tbl.commit(simpleRows(30, 5), map[uint32][]uint32{0: {3}})
	dead, n := errors.New("dead"), 0
	crashed := f.open(&blobtest.Faulty{Store: f.objects, Hook: func(blobtest.Call, string) (before, after error) {
		if n++; n <= at {
			return nil, nil
		}
		first := !reached
		if reached = true; first && landed {
			return nil, dead
		}
		return dead, nil
	}}, graces(k))
	if base, err := crashed.Current(t.Context(), tbl.c); err == nil && crashed.Withdraw(t.Context(), tbl.c, base, nil) == nil {
		k.pass(2 * time.Hour)
		_, _ = crashed.RemoveWithdrawn(t.Context(), tbl.c, nil)
	}
	l := f.open(f.objects, graces(k))
	now, err := l.Current(t.Context(), tbl.c)
	if err == nil {
		tbl.check(now)
		err = l.Withdraw(t.Context(), tbl.c, now, nil)
	}
	if err != nil && !errors.Is(err, schema.ErrNotFound) {
		t.Fatalf("%s: %v", what, err)
	}
	if anew {
		if _, err := l.Current(t.Context(), tbl.c); !errors.Is(err, schema.ErrNotFound) {
			t.Fatalf("%s: %v", what, err)
		}
		if err := tbl.again(l); err != nil {
			t.Fatalf("%s: make anew: %v", what, err)
		}
	}
	k.pass(2 * time.Hour)
	removeWithdrawn(t, l, tbl.c)
	if anew {
		clean(t, l, tbl.c)
		tbl.check(mustCurrent(t, f, tbl.c))
	}
	k.pass(48 * time.Hour)
	if anew {
		if _, err := l.RemoveOrphans(t.Context(), tbl.c, nil); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		tbl.check(mustCurrent(t, f, tbl.c))
	}
	want := 1
	if anew {
		want = 5 // version, list, manifest, data, floor
	}
	if names := f.names(); len(names) != want {
		t.Fatalf("%s: left %v", what, names)
	}
	return reached
}

// What is nowhere else keeps a table.
func TestUnique(t *testing.T) {
	var tbl *table
	for _, test := range []struct {
		want string
		ask  func() lakehouse.EngineCommit
	}{
		{"", func() lakehouse.EngineCommit { return lakehouse.EngineCommit{} }},
		{"tags", func() lakehouse.EngineCommit {
			return lakehouse.EngineCommit{Tags: map[string]*iceberg_table.SnapshotRef{"q3": {SnapshotID: tbl.snap.ID(), SnapshotRefType: iceberg_table.TagRef}}}
		}},
		{`property "owner"`, func() lakehouse.EngineCommit {
			return lakehouse.EngineCommit{Set: iceberg.Properties{"owner": "ann"}}
		}},
		{"rows that an engine appended", func() lakehouse.EngineCommit { return tbl.askAppend(simpleRows(9, 1)) }},
	} {
		tbl = newTable(newDirFixture(t), collection(unkeyed()))
		tbl.commit(simpleRows(0, 5), nil)
		snap, _, err := tbl.obey(test.ask())
		if err != nil {
			t.Fatal(err)
		}
		if why := snap.Unique(); !strings.Contains(why, test.want) || (why == "") != (test.want == "") {
			t.Errorf("unique: %q, want %q", why, test.want)
		}
	}
	v3 := newTable(newFixture(t), inFormat(3, simple()))
	v3.commit(simpleRows(0, 5), nil)
	if why := v3.snap.Unique(); why != "row ids" {
		t.Errorf("a table of format version 3: %q", why)
	}
}

// FuzzFloor has the floor of a table be what its bytes say, or be refused.
func FuzzFloor(f *testing.F) {
	for _, text := range []string{"7", "7\nwithdrawn", "9\n3 5 2\n4 6 3", "7\nwithdrawn\n3 5 2", "7\n3 5 2\nwithdrawn", "0", "x", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := lakehouse.RecodeFloor(data)
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if again, err := lakehouse.RecodeFloor(out); err != nil || string(again) != string(out) {
			t.Errorf("%q: %q, then %q (%v)", data, out, again, err)
		}
	})
}
