package sync

import (
	"context"
	"errors"
	"fmt"
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
	snap, _, err := e.flush(ctx, c.Instance, false)
	if err != nil {
		return nil, fmt.Errorf("flush %s: %w", c, err)
	}
	return snap, nil
}

// flush goes all the way, or with once as far as one commit does, and tells
// whether more is to be done.
func (e *Engine) flush(ctx context.Context, inst schema.Instance, once bool) (snap *lakehouse.Snapshot, more bool, err error) {
	lock := e.tables.acquire(inst)
	defer e.tables.release(inst)
	unlock, err := lock.lockCommit(ctx)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	e.flushing.Add(1)
	defer e.flushing.Add(-1)

	c, goal, err := e.flushGoal(ctx, inst)
	if err != nil {
		return nil, false, err
	}
	for {
		if snap, err = e.flushOnce(ctx, c, lock, goal); err != nil {
			e.metrics.flushFailures.Inc()
			return nil, false, err
		}
		if more = snap.NextSeq() < goal.next; once || !more {
			return snap, more, nil
		}
	}
}

// border is a place in a collection's log that cuts no batch: the changes
// below next are those up to a position.
type border struct {
	next     schema.Seq
	position schema.Position
}

// flushGoal is how far a flush begun now goes, once the index has it: the index
// records places of rows only below what it has applied. The definition is read
// after the goal, so that no row below it is of a newer schema: such a row would
// lose the fields that are new.
func (e *Engine) flushGoal(ctx context.Context, inst schema.Instance) (*schema.Collection, border, error) {
	position, next, err := e.nextSeqAt(ctx, inst)
	if err != nil {
		return nil, border{}, err
	}
	if err := e.waitApplied(ctx, position); err != nil {
		return nil, border{}, err
	}
	c, err := e.catalog.ByInstance(ctx, inst)
	if err != nil {
		return nil, border{}, err
	}
	if c.Options.Lake == schema.LakeOff {
		return nil, border{}, fmt.Errorf("option lake is off: %w", schema.ErrUnsupported)
	}
	return c, border{next, position}, nil
}

// flushOnce commits the next stretch of changes; lock.commit is held.
func (e *Engine) flushOnce(ctx context.Context, c *schema.Collection, lock *tableLock, goal border) (*lakehouse.Snapshot, error) {
	base, err := e.baseInStep(ctx, c, lock)
	if err != nil {
		return nil, err
	}
	if base != nil && base.NextSeq() >= goal.next {
		if current, err := base.DefinitionCurrent(c); current || err != nil {
			return base, err
		}
	}
	start := e.opts.Now()
	batch, err := e.prepareFlush(ctx, c, base, goal)
	if err != nil {
		return nil, err
	}
	defer batch.close()
	snap, err := e.commitFlush(ctx, batch.as, lock, base, batch)
	if err != nil {
		return nil, err
	}
	now, age := e.opts.Now(), time.Duration(0)
	if !batch.since.IsZero() {
		age = now.Sub(batch.since)
	}
	e.metrics.flushed(int64(snap.NextSeq()-nextSeqOf(base)), now.Sub(start), age)
	return snap, nil
}

// baseInStep is the newest snapshot, nil if there is none, with the index's places
// of rows being its; lock.commit is held, so that no other committer comes between.
func (e *Engine) baseInStep(ctx context.Context, c *schema.Collection, lock *tableLock) (*lakehouse.Snapshot, error) {
	base, ok, err := e.snapshotInStep(ctx, c, lock)
	if err == nil && !ok {
		base, err = e.reconciled(ctx, c, lock)
	}
	return base, err
}

// reconciled is the newest snapshot of c's table, nil if it has none, with the
// index's places of rows being its. Snapshot and places are compared while the
// lock is held: places of an older snapshot must never be put over newer ones.
func (e *Engine) reconciled(ctx context.Context, c *schema.Collection, lock *tableLock) (*lakehouse.Snapshot, error) {
	unlock, err := lock.pinAlone(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	snap, err := e.currentSnapshot(ctx, c)
	if err != nil {
		return nil, err
	}
	return snap, e.reconcile(ctx, c, snap)
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

// commitFlush writes the files, then makes the snapshot current and records
// the rows' places while no scan is pinning.
func (e *Engine) commitFlush(ctx context.Context, c *schema.Collection, lock *tableLock, base *lakehouse.Snapshot, b *flushBatch) (*lakehouse.Snapshot, error) {
	unlock := func() {}
	defer func() { unlock() }()
	snap, written, err := e.lake.Commit(ctx, lakehouse.Commit{
		Collection: c, Base: base, NextSeq: b.to.next, Position: b.to.position,
		Since: b.since, Rows: b.rows, Deletes: b.deletes,
		BeforePublish: func() {
			// When ctx ends here, nothing is published.
			if u, err := lock.pinAlone(ctx); err == nil {
				unlock = u
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if err := e.dropIfGone(ctx, c); err != nil {
		return nil, err
	}
	err = e.index.RecordFlush(ctx, c.Instance, kvindex.Flush{
		LakeSeq: snap.NextSeq(), Snapshot: snap.ID(),
		Set: placed(b.written, written), Clear: slices.Values(b.gone),
		Between: e.between(c.Instance), Upkeep: upkeepNote(c),
	})
	if err != nil {
		return nil, fmt.Errorf("record the places of rows: %w", err)
	}
	e.upkeep.committed(c, snap)
	return snap, nil
}

// dropIfGone removes the table that was just written of a collection that was
// dropped meanwhile: who dropped it may have removed the table before. A drop
// that comes after this look finds all files.
func (e *Engine) dropIfGone(ctx context.Context, c *schema.Collection) error {
	_, err := e.catalog.ByInstance(ctx, c.Instance)
	if !errors.Is(err, schema.ErrNotFound) {
		return nil // of other errors the next flush tells
	}
	if derr := e.lake.Drop(ctx, c); derr != nil {
		e.logger.Warn("table of a dropped collection is left behind", "collection", c.String(), "error", derr)
	}
	return err
}
