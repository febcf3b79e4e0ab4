package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	stdsync "sync"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// load is what an engine's load of a table comes to.
func (r *rig) load(c *schema.Collection) *lakehouse.Snapshot {
	r.t.Helper()
	r.engine.Used(context.Background(), c)
	snap, err := r.engine.Flush(context.Background(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	return snap
}

// askAgain has an engine ask for a table that is there and that none asked for: so
// short a time is set here that a load can last longer, and its record be gone by then.
func (r *rig) askAgain(c *schema.Collection, objects int) {
	r.t.Helper()
	_, used, err := r.index.Used(context.Background(), c.Instance)
	if err != nil {
		r.t.Fatal(err)
	}
	if !used && objects > 0 {
		r.engine.Used(context.Background(), c)
	}
}

// tableObjects are what the lake's store holds of a collection.
func tableObjects(t *testing.T, objects *blob.Mem, c *schema.Collection) (names []string) {
	t.Helper()
	for name, err := range objects.List(t.Context(), c.Tenant+"/"+c.Name+"-", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// withdrawing are stores and options of an engine that withdraws tables soon.
func withdrawing(t *testing.T, objects *blob.Mem) (stores, sync.Options) {
	at := newStores(t, objects)
	at.lake = lakehouse.Options{FileGrace: 20 * time.Millisecond, Sole: true}
	return at, sync.Options{WithdrawAfter: 80 * time.Millisecond, UpkeepEvery: time.Millisecond, UpkeepRequests: 10_000}
}

// A table that was made because an engine asked, and that none asks for any more,
// leaves nothing behind, and is made again when one does.
func TestUnusedTableIsWithdrawn(t *testing.T) {
	for _, s := range []*schema.Schema{items, events} {
		t.Run(fmt.Sprintf("keyed=%v", s.Keyed()), func(t *testing.T) {
			objects := blob.NewMem()
			at, o := withdrawing(t, objects)
			r := newRigOn(t, at, o)
			c := r.catalog.define(16, s)
			c.Options.LakeFreshness = time.Millisecond
			for i := range 3 {
				for k := range 5 {
					r.append(c, upsert(c, item(int64(k), fmt.Sprint(i))...))
				}
				r.load(c)
			}
			want := r.rows(c, query.Scan{})
			gone := func() bool {
				_, used, err := r.index.Used(t.Context(), c.Instance)
				if err != nil {
					t.Fatal(err)
				}
				marks := 0
				_ = r.index.Upkeep(t.Context(), func(inst schema.Instance, _ []byte) (bool, error) {
					if inst == c.Instance {
						marks++
					}
					return true, nil
				})
				left := len(tableObjects(t, objects, c))
				r.askAgain(c, left)
				return !used && marks == 0 && left == 0
			}
			waitFor(t, "withdrawal", gone)
			same := func() {
				t.Helper()
				if got := r.rows(c, query.Scan{}); !slices.Equal(sorted(got), sorted(want)) {
					t.Errorf("%v, want %v", got, want)
				}
				if report, err := r.engine.Verify(t.Context(), c); err != nil || !report.OK() {
					t.Errorf("%v, %+v", err, report)
				}
			}
			same()
			// A small collection without a table gets none by being written to.
			r.append(c, upsert(c, item(9, "late")...))
			want = append(want, "9 late")
			other := r.catalog.define(17, items)
			other.Options.Lake, other.Options.LakeFreshness = schema.LakePinned, time.Millisecond
			r.append(other, upsert(other, item(1, "x")...))
			waitFor(t, "table that is pinned", func() bool { return len(tableObjects(t, objects, other)) > 0 })
			if names := tableObjects(t, objects, c); len(names) > 0 {
				t.Errorf("made again by itself: %v", names)
			}
			same()
			if snap := r.load(c); snap.NextSeq() != 16 {
				t.Errorf("loaded again: next seq %d", snap.NextSeq())
			}
			same()
			waitFor(t, "second withdrawal", gone)
			r.close()
			r = newRigOn(t, at, o)
			same()
		})
	}
}

func sorted(rows []string) []string {
	rows = slices.Clone(rows)
	slices.Sort(rows)
	return rows
}

// Tables stay that hold what is nowhere else, that Trine would make by itself, or that
// no engine asked for.
func TestTablesThatStay(t *testing.T) {
	objects := blob.NewMem()
	at, o := withdrawing(t, objects)
	o.FlushBytes = 2 << 10
	r := newRigOn(t, at, o)
	define := func(inst schema.Instance, s *schema.Schema, change func(*schema.Options)) *schema.Collection {
		c := r.catalog.define(inst, s)
		if change != nil {
			change(&c.Options)
		}
		r.append(c, upsert(c, item(1, "a")...), upsert(c, item(2, "b")...))
		return c
	}
	plain := define(16, items, nil)
	tagged := define(17, items, nil)
	trimmed := define(18, events, nil)
	large := define(19, items, nil)
	pinned := define(20, items, func(o *schema.Options) { o.Lake = schema.LakePinned })
	lineage := define(21, items, func(o *schema.Options) { o.LakeFormat = 3 })
	unasked := define(22, items, nil)
	keyedTrimmed := define(23, items, nil)
	r.append(large, upsert(large, item(3, strings.Repeat("x", 4<<10))...))
	for _, c := range []*schema.Collection{trimmed, keyedTrimmed} {
		r.load(c)
		if _, err := r.engine.Trim(t.Context(), c, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.engine.SetTag(t.Context(), tagged, "q3", sync.TagAt{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*schema.Collection{plain, tagged, trimmed, large, pinned, lineage, keyedTrimmed} {
		r.load(c)
	}
	if _, err := r.engine.Flush(t.Context(), unasked); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "end of all records of use", func() bool {
		n := 0
		if err := r.index.EachUsed(t.Context(), func(schema.Instance, time.Time) (bool, error) { n++; return true, nil }); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
	for _, c := range []*schema.Collection{plain, keyedTrimmed} {
		waitFor(t, "withdrawal of "+c.Name, func() bool {
			left := len(tableObjects(t, objects, c))
			r.askAgain(c, left)
			return left == 0
		})
		if got := r.rows(c, query.Scan{}); !slices.Equal(sorted(got), []string{"1 a", "2 b"}) {
			t.Errorf("%s: %v", c, got)
		}
		r.load(c)
		if got := r.rows(c, query.Scan{}); !slices.Equal(sorted(got), []string{"1 a", "2 b"}) {
			t.Errorf("%s, made again: %v", c, got)
		}
	}
	for _, c := range []*schema.Collection{tagged, trimmed, large, pinned, lineage, unasked} {
		if _, err := r.lake.Current(t.Context(), c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// Loads race with withdrawals: each sees a whole table, and can read it for the grace.
func TestLoadsAgainstWithdrawals(t *testing.T) {
	for _, s := range []*schema.Schema{items, events} {
		t.Run(fmt.Sprintf("keyed=%v", s.Keyed()), func(t *testing.T) {
			objects := blob.NewMem()
			at, o := withdrawing(t, objects)
			at.lake.FileGrace = 10 * time.Second
			o.WithdrawAfter = time.Millisecond
			r := newRigOn(t, at, o)
			c := r.catalog.define(16, s)
			versions := map[int]bool{}
			withdrawals := 0
			for i := range 60 {
				r.append(c, upsert(c, item(int64(i), "x")...))
				var work stdsync.WaitGroup
				for range 2 {
					work.Go(func() {
						snap := r.load(c)
						if snap.NextSeq() != schema.Seq(i+1) || snap.Rows() != int64(i+1) {
							t.Errorf("load %d: next seq %d, %d rows", i, snap.NextSeq(), snap.Rows())
						}
						if err := readAll(snap, s); err != nil {
							t.Errorf("load %d: %v", i, err)
						}
					})
				}
				work.Wait()
				snap := r.load(c)
				if versions[snap.Version()] = true; i > 0 && len(snap.Files()) == 1 {
					withdrawals++ // what was appended one by one is in one file
				}
			}
			if withdrawals < 5 {
				t.Errorf("the table was withdrawn %d times", withdrawals)
			}
			if report, err := r.engine.Verify(t.Context(), c); err != nil || !report.OK() {
				t.Errorf("%v, %+v", err, report)
			}
		})
	}
}

func readAll(snap *lakehouse.Snapshot, s *schema.Schema) error {
	for batch, err := range snap.Read(context.Background(), lakehouse.ReadOptions{Schema: s}) {
		if err != nil {
			return err
		}
		batch.Release()
	}
	return nil
}

// A trim of a log without a key never lets go of what only a withdrawn table had.
func TestTrimsAgainstWithdrawals(t *testing.T) {
	at, o := withdrawing(t, blob.NewMem())
	o.WithdrawAfter = time.Millisecond
	r := newRigOn(t, at, o)
	for i := range 60 {
		c := r.catalog.define(schema.Instance(16+i), events)
		r.append(c, upsert(c, item(1, "a")...), upsert(c, item(2, "b")...))
		r.load(c)
		for range i % 4 {
			r.rows(c, query.Scan{}) // so that the two meet at different points
		}
		if _, err := r.engine.Trim(t.Context(), c, 2); err != nil {
			t.Fatal(err)
		}
		if _, err := r.lake.Current(t.Context(), c); err != nil {
			t.Fatalf("%s is trimmed, and its table: %v", c, err)
		}
		if got := r.rows(c, query.Scan{}); !slices.Equal(sorted(got), []string{"1 a", "2 b"}) {
			t.Fatalf("%s: %v", c, got)
		}
	}
}

// A crash between the withdrawal and the index's record of it is found.
func TestCrashAfterWithdrawal(t *testing.T) {
	for _, s := range []*schema.Schema{items, events} {
		objects := blob.NewMem()
		at, o := withdrawing(t, objects)
		r := newRigOn(t, at, sync.Options{NoUpkeep: true})
		c := r.catalog.define(16, s)
		r.append(c, upsert(c, item(1, "a")...), upsert(c, item(2, "b")...))
		snap := r.load(c)
		if err := r.engine.MarkTable(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := r.lake.Withdraw(t.Context(), c, snap, nil); err != nil {
			t.Fatal(err)
		}
		r.close()
		r = newRigOn(t, at, o)
		waitFor(t, "removal of what the crash left", func() bool { return len(tableObjects(t, objects, c)) == 0 })
		stats, err := r.index.Stats(t.Context(), c.Instance)
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "index without the table", func() bool {
			stats, err = r.index.Stats(t.Context(), c.Instance)
			return err != nil || stats.LakeSnapshot == 0
		})
		if got := r.rows(c, query.Scan{}); err != nil || !slices.Equal(sorted(got), []string{"1 a", "2 b"}) {
			t.Errorf("%v (%v)", got, err)
		}
		if _, err := r.lake.Current(t.Context(), c); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("table: %v", err)
		}
		r.close()
	}
}
