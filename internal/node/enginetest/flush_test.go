package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// A flush that was asked for with the definition of a moment ago takes the rows
// written since as what they are: a column added in between keeps its values.
func TestFlushOfAnEvolvedCollection(t *testing.T) {
	r := newRig(t, nil, sync.Options{})
	before := r.catalog.define(16, items)
	r.append(before, upsert(before, item(1, "a")...))
	after := r.catalog.define(16, items2)
	r.append(after, upsert(after, append(item(2, "b"), schema.String("new"))...))
	if _, err := r.engine.Flush(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.rows(after, query.Scan{})); got != "[1 a (null) 2 b new]" {
		t.Errorf("scan: %s", got)
	}
	snap, err := r.lake.Current(t.Context(), after)
	if err != nil {
		t.Fatal(err)
	}
	if current, err := snap.DefinitionCurrent(after); err != nil || !current {
		t.Errorf("the table has an older definition (%v)", err)
	}
}

// A commit that is bounded ends between batches, and says the position that it
// ends at: a table never holds a part of a batch.
func TestFlushEndsBetweenBatches(t *testing.T) {
	for _, s := range []*schema.Schema{items, events} {
		r := newRig(t, nil, sync.Options{FoldBytes: 100})
		c := r.catalog.define(16, s)
		ends := map[schema.Seq]schema.Position{}
		for b := range 5 {
			var records []schema.Record
			for i := range 7 {
				records = append(records, upsert(c, item(int64(10*b+i), "twenty bytes or so ..")...))
			}
			ack := r.append(c, records...)
			ends[ack.Groups[0].FirstSeq+schema.Seq(ack.Groups[0].Count)] = ack.Position
		}
		last, err := r.engine.Flush(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if last.NextSeq() != 35 {
			t.Errorf("flushed to seq %d", last.NextSeq())
		}
		r.append(c, upsert(c, item(99, "later")...))
		n := 0
		for _, id := range snapshotIDs(t, last.Metadata()) {
			snap, err := last.At(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			n++
			want, ok := ends[snap.NextSeq()]
			if !ok {
				t.Errorf("a snapshot holds the changes below %d, which cuts a batch", snap.NextSeq())
			} else if snap.Position() != want {
				t.Errorf("snapshot at seq %d says position %s, want %s", snap.NextSeq(), snap.Position(), want)
			}
		}
		if s.Keyed() && n < 2 {
			t.Errorf("%d snapshots: FoldBytes had no effect", n)
		}
	}
}

// A scan of a snapshot answers the position that the snapshot is of.
func TestSnapshotScanPosition(t *testing.T) {
	r := newRig(t, nil, sync.Options{})
	c, other := r.catalog.define(16, items), r.catalog.define(17, events)
	ack := r.append(c, upsert(c, item(1, "a")...))
	snap, err := r.engine.Flush(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.append(other, upsert(other, item(1, "x")...))
	r.append(c, upsert(c, item(1, "b")...))
	s, err := r.engine.Scan(t.Context(), c, query.Scan{Snapshot: snap.ID()})
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := textRows(s); err != nil || fmt.Sprint(rows) != "[1 a]" || s.Position != ack.Position {
		t.Errorf("rows %v at %s (%v), want [1 a] at %s", rows, s.Position, err, ack.Position)
	}
}

// A flush waits no longer than its ctx, neither for another flush nor for the
// store: loading a table has a deadline.
func TestFlushHonoursItsDeadline(t *testing.T) {
	stuck := &stuckObjects{Mem: blob.NewMem(), entered: make(chan struct{}), let: make(chan struct{})}
	r := newRig(t, stuck, sync.Options{})
	c := r.catalog.define(16, items)
	r.append(c, upsert(c, item(1, "a")...))
	first := make(chan error, 1)
	go func() {
		_, err := r.engine.Flush(context.Background(), c)
		first <- err
	}()
	<-stuck.entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	second := make(chan error, 1)
	go func() {
		_, err := r.engine.Flush(ctx, c)
		second <- err
	}()
	select {
	case err := <-second:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("second flush: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("second flush waits on past its deadline")
	}
	close(stuck.let)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// stuckObjects holds the first commit that would make a version current.
type stuckObjects struct {
	*blob.Mem
	entered, let chan struct{}
}

func (s *stuckObjects) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	if strings.HasSuffix(name, "/v1.metadata.json") {
		select {
		case <-s.entered:
		default:
			close(s.entered)
			<-s.let
		}
	}
	return s.Mem.PutIfAbsent(ctx, name, data)
}

// A flush that overtakes the drop of its collection leaves no table behind.
func TestFlushOfADroppedCollection(t *testing.T) {
	stuck := &stuckObjects{Mem: blob.NewMem(), entered: make(chan struct{}), let: make(chan struct{})}
	r := newRig(t, stuck, sync.Options{})
	c := r.catalog.define(16, items)
	r.append(c, upsert(c, item(1, "a")...))
	done := make(chan error, 1)
	go func() {
		_, err := r.engine.Flush(context.Background(), c)
		done <- err
	}()
	<-stuck.entered
	r.drop(c)
	if err := r.lake.Drop(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	close(stuck.let)
	if err := <-done; !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("flush: %v", err)
	}
	for name, err := range stuck.List(t.Context(), "acme/", "") {
		t.Errorf("left behind: %s (%v)", name, err)
	}
}

// Who waits for the index when the engine stops is told so.
func TestCloseEndsWaiting(t *testing.T) {
	r := newRig(t, nil, sync.Options{})
	c := r.catalog.define(16, items)
	if err := r.engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.append(c, upsert(c, item(1, "a")...))
	failed := make(chan error, 1)
	go func() {
		_, err := r.engine.Flush(context.Background(), c)
		failed <- err
	}()
	select {
	case err := <-failed:
		if !errors.Is(err, schema.ErrClosed) {
			t.Errorf("flush: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a flush waits for an index that nobody feeds")
	}
}
