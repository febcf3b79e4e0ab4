package sync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// Flush brings a collection's table up to what is durable now, making the
// table if there is none, and answers its newest snapshot. Concurrent calls
// for one collection take turns; the later ones mostly find nothing to do.
func (e *Engine) Flush(ctx context.Context, c *schema.Collection) (*lakehouse.Snapshot, error) {
	if c.Options.Lake == schema.LakeOff {
		return nil, fmt.Errorf("flush %s: option lake is off: %w", c, schema.ErrUnsupported)
	}
	lock := e.tables.acquire(c.Instance)
	defer e.tables.release(c.Instance)
	lock.commit.Lock()
	defer lock.commit.Unlock()

	goal, err := e.flushGoal(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("flush %s: %w", c, err)
	}
	for {
		snap, err := e.flushOnce(ctx, c, lock, goal)
		if err != nil {
			e.metrics.flushFailures.Inc()
			return nil, fmt.Errorf("flush %s: %w", c, err)
		}
		if snap.NextSeq() >= goal {
			return snap, nil
		}
	}
}

// flushGoal is the seq that a flush begun now goes to, once the index has it:
// the index records places of rows only below what it has applied.
func (e *Engine) flushGoal(ctx context.Context, c *schema.Collection) (schema.Seq, error) {
	position, goal, err := e.nextSeqAt(ctx, c.Instance)
	if err != nil {
		return 0, err
	}
	return goal, e.waitApplied(ctx, position)
}

// flushOnce commits the next stretch of changes; lock.commit is held.
func (e *Engine) flushOnce(ctx context.Context, c *schema.Collection, lock *tableLock, goal schema.Seq) (*lakehouse.Snapshot, error) {
	base, err := e.currentSnapshot(ctx, c)
	if err != nil {
		return nil, err
	}
	lock.pin.Lock()
	err = e.reconcile(ctx, c, base)
	lock.pin.Unlock()
	if err != nil {
		return nil, err
	}
	if base != nil && base.NextSeq() >= goal {
		if current, err := base.SchemaCurrent(c.Schema); current || err != nil {
			return base, err
		}
	}
	start := e.opts.Now()
	batch, err := e.prepareFlush(ctx, c, base, goal)
	if err != nil {
		return nil, err
	}
	snap, err := e.commitFlush(ctx, c, lock, base, batch)
	if err != nil {
		return nil, err
	}
	e.metrics.flushed(int64(snap.NextSeq()-nextSeqOf(base)), e.opts.Now().Sub(start))
	return snap, nil
}

// currentSnapshot is the newest snapshot of c's table, or nil if it has none.
func (e *Engine) currentSnapshot(ctx context.Context, c *schema.Collection) (*lakehouse.Snapshot, error) {
	snap, err := e.lake.Current(ctx, c)
	if errors.Is(err, schema.ErrNotFound) {
		return nil, nil
	}
	return snap, err
}

func nextSeqOf(s *lakehouse.Snapshot) schema.Seq {
	if s == nil {
		return 0
	}
	return s.NextSeq()
}

// flushBatch is one commit's worth of changes.
type flushBatch struct {
	next    schema.Seq
	since   time.Time // log's time of the oldest change; zero if there is none
	rows    iter.Seq2[lakehouse.Row, error]
	deletes map[uint32][]uint32 // rows of the base that are superseded or deleted
	written [][]byte            // keyed: the keys of rows, in the order of rows
	gone    [][]byte            // keyed: keys that no longer have a row
}

func (e *Engine) prepareFlush(ctx context.Context, c *schema.Collection, base *lakehouse.Snapshot, goal schema.Seq) (*flushBatch, error) {
	from := nextSeqOf(base)
	since, err := e.timeOf(ctx, c.Instance, from, goal)
	if err != nil {
		return nil, err
	}
	if !c.Schema.Keyed() {
		return &flushBatch{next: max(goal, from), since: since, rows: e.appendRows(ctx, c, from, goal)}, nil
	}
	f, err := e.foldChanges(ctx, c.Instance, from, goal, e.opts.FoldBytes)
	if err != nil {
		return nil, err
	}
	b := &flushBatch{next: max(f.next, from), since: since}
	keys := f.sortedKeys()
	for _, key := range keys {
		if f.rows[string(key)].deleted {
			b.gone = append(b.gone, key)
		} else {
			b.written = append(b.written, key)
		}
	}
	b.rows = e.foldedRows(ctx, c, f, b.written)
	if base != nil {
		b.deletes, err = e.locate(ctx, c, base, keys)
	}
	return b, err
}

// timeOf is the log's time of the first change with from ≤ seq < to, or zero.
func (e *Engine) timeOf(ctx context.Context, inst schema.Instance, from, to schema.Seq) (t time.Time, err error) {
	if from >= to {
		return t, nil
	}
	err = e.index.Groups(ctx, inst, from, func(g kvindex.GroupRef) (bool, error) {
		t = time.UnixMicro(g.TimeMicros)
		return false, nil
	})
	if err != nil {
		return t, fmt.Errorf("time of seq %d: %w", from, err)
	}
	return t, nil
}

// appendRows streams the changes of an append-only collection.
func (e *Engine) appendRows(ctx context.Context, c *schema.Collection, from, to schema.Seq) iter.Seq2[lakehouse.Row, error] {
	return func(yield func(lakehouse.Row, error) bool) {
		reader := newRowReader(e.catalog, c.Schema)
		next, err := e.changes(ctx, c.Instance, from, to, func(ch schema.Change) (bool, error) {
			values, err := reader.decode(ctx, ch.Row)
			if err != nil {
				return false, fmt.Errorf("row at seq %d: %w", ch.Seq, err)
			}
			return yield(lakehouse.Row{Values: values, Seq: ch.Seq, TimeMicros: ch.TimeMicros}, nil), nil
		})
		if err == nil && next < to {
			err = fmt.Errorf("log of %s ends at seq %d, want %d: %w", c, next, to, schema.ErrCorrupt)
		}
		if err != nil {
			yield(lakehouse.Row{}, err)
		}
	}
}

// foldedRows yields the folded rows of keys.
func (e *Engine) foldedRows(ctx context.Context, c *schema.Collection, f *fold, keys [][]byte) iter.Seq2[lakehouse.Row, error] {
	return func(yield func(lakehouse.Row, error) bool) {
		reader := newRowReader(e.catalog, c.Schema)
		for _, key := range keys {
			l := f.rows[string(key)]
			values, err := reader.decode(ctx, l.row)
			if err != nil {
				yield(lakehouse.Row{}, fmt.Errorf("row at seq %d: %w", l.seq, err))
				return
			}
			if !yield(lakehouse.Row{Values: values, Seq: l.seq, TimeMicros: l.micros}, nil) {
				return
			}
		}
	}
}

// locate finds where snap holds the rows of keys: rows by file, sorted. Places
// in files that the table has let go are stale and mean no row.
func (e *Engine) locate(ctx context.Context, c *schema.Collection, snap *lakehouse.Snapshot, keys [][]byte) (map[uint32][]uint32, error) {
	live := map[uint32]bool{}
	for _, f := range snap.Files() {
		live[f.Ordinal] = true
	}
	places := map[uint32][]uint32{}
	err := e.index.Locate(ctx, c.Instance, keys, func(_ int, loc kvindex.Location, ok bool) {
		if ok && live[loc.File] {
			places[loc.File] = append(places[loc.File], loc.Row)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("locate rows in the lake: %w", err)
	}
	for _, rows := range places {
		slices.Sort(rows)
	}
	return places, nil
}

// commitFlush writes the files, then makes the snapshot current and records
// the rows' places while no scan is pinning.
func (e *Engine) commitFlush(ctx context.Context, c *schema.Collection, lock *tableLock, base *lakehouse.Snapshot, b *flushBatch) (*lakehouse.Snapshot, error) {
	locked := false
	defer func() {
		if locked {
			lock.pin.Unlock()
		}
	}()
	snap, written, err := e.lake.Commit(ctx, lakehouse.Commit{
		Collection: c, Base: base, NextSeq: b.next, Position: e.log.Durable(),
		Since: b.since, Rows: b.rows, Deletes: b.deletes,
		BeforePublish: func() { lock.pin.Lock(); locked = true },
	})
	if err != nil {
		return nil, err
	}
	err = e.index.RecordFlush(ctx, c.Instance, kvindex.Flush{
		LakeSeq: snap.NextSeq(), Snapshot: snap.ID(),
		Set: placed(b.written, written), Clear: slices.Values(b.gone),
	})
	if err != nil {
		return nil, fmt.Errorf("record the places of rows: %w", err)
	}
	return snap, nil
}

// placed pairs each key with its row's place: rows went to the written files
// in the order of the keys.
func placed(keys [][]byte, files []lakehouse.Written) iter.Seq2[[]byte, kvindex.Location] {
	return func(yield func([]byte, kvindex.Location) bool) {
		if len(keys) == 0 {
			return
		}
		i := 0
		for _, f := range files {
			for row := range f.Rows {
				if !yield(keys[i], kvindex.Location{File: f.File, Row: uint32(row)}) {
					return
				}
				i++
			}
		}
	}
}
