package enginetest_test

import (
	"context"
	"fmt"
	"strings"
	stdsync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// TestUpkeepWhileAllGoesOn has writers, flushes, scans and upkeep at once. Each
// batch moves all keys of its writer to one new value, so that a scan that saw a
// part of one, a row twice or one that was deleted, would show it.
func TestUpkeepWhileAllGoesOn(t *testing.T) {
	const writers, batches, keys = 3, 120, 20
	var merged, removed atomic.Int64
	objects := &blobtest.Faulty{Store: blob.NewMem(), Hook: func(call blobtest.Call, name string) (before, after error) {
		if call == blobtest.Commit && strings.Contains(name, "/data/21474") {
			merged.Add(1)
		}
		if call == blobtest.Delete && strings.Contains(name, "/data/") {
			removed.Add(1)
		}
		return nil, nil
	}}
	at := newStores(t, objects)
	at.lake = lakehouse.Options{TargetFileBytes: 8 << 10, RowGroupRows: 64, SnapshotsKept: 2, FileGrace: 500 * time.Millisecond}
	r := newRigOn(t, at, sync.Options{FlushBytes: 1, UpkeepEvery: 20 * time.Millisecond, UpkeepRequests: 10_000})
	c := r.catalog.define(16, items)
	var busy, scans stdsync.WaitGroup
	for w := range writers {
		busy.Go(func() {
			for b := range batches {
				var batch []schema.Record
				for k := range keys {
					rec := upsert(c, item(int64(w*keys+k), fmt.Sprint(b))...)
					if b%7 == 3 {
						rec = schema.Record{Op: schema.OpDelete, Key: rec.Key}
					}
					batch = append(batch, rec)
				}
				r.append(c, batch...)
				if b%3 == 0 {
					if _, err := r.engine.Flush(t.Context(), c); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		scans.Go(func() {
			for ctx.Err() == nil {
				if bad := tornScan(r, c, keys); bad != "" {
					t.Error(bad)
					return
				}
			}
		})
	}
	busy.Wait()
	cancel()
	scans.Wait()
	waitFor(t, "removal of an old file", func() bool { return removed.Load() > 0 })
	if bad := tornScan(r, c, keys); bad != "" {
		t.Error(bad)
	}
	report, err := r.engine.Verify(t.Context(), c)
	if err != nil || !report.OK() {
		t.Errorf("%v, %+v", err, report)
	}
	if merged.Load() == 0 {
		t.Error("nothing was merged")
	}
}

// tornScan says what is wrong with a scan in which every key of a writer should
// have the same value, or be absent.
func tornScan(r *rig, c *schema.Collection, keys int64) string {
	s, err := r.engine.Scan(context.Background(), c, query.Scan{})
	if err != nil {
		return err.Error()
	}
	rows, err := textRows(s)
	if err != nil {
		return err.Error()
	}
	seen := map[int64]map[string]int64{}
	for _, row := range rows {
		var id int64
		var name string
		if _, err := fmt.Sscan(row, &id, &name); err != nil {
			return err.Error()
		}
		if seen[id/keys] == nil {
			seen[id/keys] = map[string]int64{}
		}
		seen[id/keys][name]++
	}
	for w, values := range seen {
		for value, n := range values {
			if len(values) > 1 || n != keys {
				return fmt.Sprintf("scan at %s shows %d rows of batch %s of writer %d, of %v", s.Position, n, value, w, values)
			}
		}
	}
	return ""
}

// A table that is not written to any more is looked after to its end, also by the
// next process, and then costs nothing.
func TestUpkeepEnds(t *testing.T) {
	objects := blob.NewMem()
	at := newStores(t, objects)
	at.lake = lakehouse.Options{FileGrace: 50 * time.Millisecond, SnapshotAge: 100 * time.Millisecond, OrphanGrace: 4 * time.Second}
	r := newRigOn(t, at, sync.Options{NoUpkeep: true})
	c := r.catalog.define(16, items)
	for i := range 8 {
		r.append(c, upsert(c, item(int64(i%5), fmt.Sprint(i))...))
		if _, err := r.engine.Flush(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	r.close()
	r = newRigOn(t, at, sync.Options{UpkeepEvery: time.Millisecond})
	marks := func() (n int) {
		if err := r.index.Upkeep(t.Context(), func(schema.Instance, []byte) (bool, error) { n++; return true, nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if marks() != 1 {
		t.Fatalf("%d tables are marked", marks())
	}
	waitFor(t, "end of upkeep", func() bool { return marks() == 0 })
	if s, err := r.engine.TableStatus(t.Context(), c); err != nil || !s.NextLook.IsZero() {
		t.Errorf("the next look is at %s (%v)", s.NextLook, err)
	}
	left := map[string]int{}
	for name := range objects.List(t.Context(), "", "") {
		left[kindOf(name)]++
	}
	if left["data"] != 1 || left["version"] != 1 || left["list"] != 1 || left["manifest"] != 1 {
		t.Errorf("left: %v", left)
	}
	if report, err := r.engine.Verify(t.Context(), c); err != nil || !report.OK() {
		t.Errorf("%v, %+v", err, report)
	}
}

// openedObjects tells of each data file that is opened.
type openedObjects struct {
	*blob.Mem
	opened func(name string)
}

func (o *openedObjects) Open(ctx context.Context, name string) (blob.Reader, error) {
	o.opened(name)
	return o.Mem.Open(ctx, name)
}

// While the index is told of moved rows, a scan finds the rows that its tail
// supersedes by their old places; and when telling it fails, by none.
func TestScanWhileRowsMove(t *testing.T) {
	for _, fails := range []bool{false, true} {
		objects := &openedObjects{Mem: blob.NewMem(), opened: func(string) {}}
		r := newRig(t, objects, sync.Options{NoUpkeep: true})
		c := r.catalog.define(16, items)
		for i := range 4 {
			r.append(c, upsert(c, item(int64(i), "old")...), upsert(c, item(int64(10+i), "old")...))
			if _, err := r.engine.Flush(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		r.append(c, upsert(c, item(1, "new")...), upsert(c, item(12, "new")...), schema.Record{
			Op: schema.OpDelete, Key: c.Schema.AppendKey(nil, item(3, "")),
		})
		const want = "[0 old 2 old 10 old 11 old 13 old 1 new 12 new]"
		scans := 0
		ctx, cancel := context.WithCancel(t.Context())
		objects.opened = func(name string) {
			if scans > 0 || !strings.Contains(name, "/data/21474") {
				return
			}
			scans++
			if got := fmt.Sprint(r.rows(c, query.Scan{})); got != want {
				t.Errorf("while rows move: %s, want %s", got, want)
			}
			if fails {
				cancel()
			}
		}
		err := r.engine.Compact(ctx, c, func(sync.Compaction) error { return nil })
		cancel()
		if (err != nil) != fails || scans != 1 {
			t.Fatalf("compact: %v, %d scans", err, scans)
		}
		if got := fmt.Sprint(r.rows(c, query.Scan{})); got != want {
			t.Errorf("after it, failed %v: %s, want %s", fails, got, want)
		}
		if report, err := r.engine.Verify(t.Context(), c); err != nil || !report.OK() {
			t.Errorf("%v, %+v", err, report)
		}
	}
}
