package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// Compaction is one exchange of data files for new ones with the same rows.
type Compaction struct {
	FilesBefore, FilesAfter int
	BytesBefore, BytesAfter int64
	Rows                    int64
	Took                    time.Duration
}

// compactOnce rewrites the files of a table that are best rewritten next; nil
// means that nothing is worth it.
//
// The files are written without a lock, and flushes go on. Then, as a committer,
// it brings in the rows that these deleted meanwhile, makes the exchange current,
// and leads scans from the old places to the new ones until the index has them
// all. A crash before the exchange leaves files that nothing names; one after it
// leaves an index that names the snapshot before, which reconcile mends.
func (e *Engine) compactOnce(ctx context.Context, inst schema.Instance, pace func(context.Context) error) (*Compaction, error) {
	start := e.opts.Now()
	c, err := e.catalog.ByInstance(ctx, inst)
	if err != nil {
		return nil, err
	}
	old, err := e.currentSnapshot(ctx, c)
	if err != nil || old == nil {
		return nil, err
	}
	files := old.PlanRewrite(c.Schema)
	if len(files) > 0 && !old.FormatCurrent(c) {
		// A flush that converts the table meanwhile would make the work one for nothing.
		if old, _, err = e.flush(ctx, inst, true); err != nil {
			return nil, err
		}
		files = old.PlanRewrite(c.Schema)
	}
	if len(files) == 0 {
		return nil, nil
	}
	defer old.Pin()()
	// Read again after the snapshot, the definition is not older than its rows.
	if c, err = e.catalog.ByInstance(ctx, inst); err != nil {
		return nil, err
	}
	moves, err := e.lake.Rewrite(ctx, old, lakehouse.RewriteOptions{Collection: c, Files: files, Pace: pace})
	if err != nil {
		return nil, err
	}
	if err := e.exchange(ctx, inst, moves); err != nil {
		return nil, err
	}
	done := compactionOf(old, files, moves)
	done.Took = e.opts.Now().Sub(start)
	e.metrics.upkeep.compacted(done)
	return done, nil
}

func compactionOf(old *lakehouse.Snapshot, files []uint32, moves *lakehouse.Rewrite) *Compaction {
	done := &Compaction{FilesBefore: len(files), FilesAfter: len(moves.Files()), BytesAfter: moves.Bytes()}
	rewritten := map[uint32]bool{}
	for _, f := range files {
		rewritten[f] = true
	}
	for _, f := range old.Files() {
		if rewritten[f.Ordinal] {
			done.BytesBefore += f.Bytes
		}
	}
	for _, w := range moves.Files() {
		done.Rows += int64(w.Rows)
	}
	return done
}

// exchange makes moved rows current and tells the index of their places. It is a
// commit: flushes of the table wait for its end, scans for its publication only.
func (e *Engine) exchange(ctx context.Context, inst schema.Instance, moves *lakehouse.Rewrite) (err error) {
	lock := e.tables.acquire(inst)
	defer e.tables.release(inst)
	unlock, err := lock.lockCommit(ctx)
	if err != nil {
		moves.Discard(ctx)
		return err
	}
	defer unlock()
	c, err := e.catalog.ByInstance(ctx, inst)
	if err == nil && c.Options.Lake == schema.LakeOff {
		err = fmt.Errorf("option lake is off: %w", schema.ErrUnsupported)
	}
	var base *lakehouse.Snapshot
	if err == nil {
		base, err = e.baseInStep(ctx, c, lock)
	}
	if err == nil && base == nil {
		err = fmt.Errorf("table is gone: %w", schema.ErrConflict)
	}
	if err != nil {
		moves.Discard(ctx)
		return err
	}
	snap, err := e.publishMoves(ctx, c, lock, base, moves)
	if err != nil {
		return err
	}
	if err = e.dropIfGone(ctx, c); err == nil {
		err = e.recordMoves(ctx, c, snap, moves)
	}
	return errors.Join(err, endForward(ctx, lock))
}

// publishMoves commits the exchange, and sets the forward before scans pin again.
func (e *Engine) publishMoves(ctx context.Context, c *schema.Collection, lock *tableLock, base *lakehouse.Snapshot, moves *lakehouse.Rewrite) (*lakehouse.Snapshot, error) {
	unlock := func() {}
	defer func() { unlock() }()
	snap, err := e.lake.Replace(ctx, lakehouse.Replacement{
		Collection: c, Base: base, Rewrite: moves,
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
	lock.forward = &forward{from: base.ID(), to: snap.ID(), moves: moves}
	return snap, nil
}

// recordMoves gives the index the places of the rows in the new files. Those that
// were deleted while the files were written are not among them.
func (e *Engine) recordMoves(ctx context.Context, c *schema.Collection, snap *lakehouse.Snapshot, moves *lakehouse.Rewrite) error {
	flush := kvindex.Flush{LakeSeq: snap.NextSeq(), Snapshot: snap.ID(), Between: e.between(c.Instance), Upkeep: upkeepNote(c)}
	var readErr error
	if c.Schema.Keyed() {
		live := map[uint32]bool{}
		for _, f := range snap.Files() {
			live[f.Ordinal] = true
		}
		var files []uint32
		for _, w := range moves.Files() {
			if live[w.File] {
				files = append(files, w.File)
			}
		}
		flush.Set = placesIn(ctx, c, snap, files, &readErr)
		flush.Err = func() error { return readErr }
	}
	if err := e.index.RecordFlush(ctx, c.Instance, flush); err != nil {
		return fmt.Errorf("record the places of rows: %w", err)
	}
	return nil
}

// endForward ends the leading. If the index did not get all places, its snapshot
// is not the table's, and whoever comes next reconciles the two. This must not be
// left undone when ctx ends: a scan would go on by a forward that is out of date.
func endForward(ctx context.Context, lock *tableLock) error {
	unlock, err := lock.pinAlone(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer unlock()
	lock.forward = nil
	return nil
}
