package sync

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// scanPin is what a scan reads: rows of snap with a seq below lakeTo, or with none,
// and not hidden, then the changes with from ≤ seq < to (folded, if keyed).
type scanPin struct {
	position schema.Position
	snap     *lakehouse.Snapshot
	lakeTo   schema.Seq
	hide     map[uint32][]uint32
	from, to schema.Seq
	tail     *fold // nil for an append-only collection
	passing  bool  // what is read is of the index as it is now, and cannot be read again
	unpin    func()
}

// hold keeps the snapshot's files until unpin.
func (p *scanPin) hold() {
	p.unpin = func() {}
	if p.snap != nil {
		p.unpin = p.snap.Pin()
	}
}

// maxPinTries bounds how often a scan flushes a tail that is too long to fold.
const maxPinTries = 4

// noLakeFold is how much more a scan may fold that cannot flush instead: of a
// collection without a table, or as of a seq before the table's.
const noLakeFold = 8

func (e *Engine) pinScan(ctx context.Context, c *schema.Collection, req query.Scan) (*scanPin, error) {
	if req.Resume != nil {
		return e.pinAgain(ctx, c, &req.Resume.State)
	}
	if req.Snapshot != 0 || req.Tag != "" {
		return e.pinSnapshot(ctx, c, req)
	}
	limit := e.opts.FoldBytes
	if c.Options.Lake == schema.LakeOff || req.AtSeq != nil {
		limit *= noLakeFold
	}
	for range maxPinTries {
		p, err := e.pinOnce(ctx, c, req, limit)
		if err != nil {
			return nil, err
		}
		if p.tail == nil || p.tail.next >= p.to {
			return p, nil
		}
		p.unpin()
		if c.Options.Lake == schema.LakeOff || req.AtSeq != nil {
			return nil, fmt.Errorf("rows to fold from the log hold more than %d bytes: %w", limit, schema.ErrTooLarge)
		}
		if _, err := e.Flush(ctx, c); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("writers outrun the flushes that this scan needs: %w", schema.ErrOverloaded)
}

// pinOnce picks snapshot, changes and hidden rows that fit together.
func (e *Engine) pinOnce(ctx context.Context, c *schema.Collection, req query.Scan, limit int64) (*scanPin, error) {
	lock := e.tables.acquire(c.Instance)
	defer e.tables.release(c.Instance)
	snap, unlock, err := e.lockPinned(ctx, c, lock)
	if err != nil {
		return nil, err
	}
	defer unlock()

	p := &scanPin{snap: snap, lakeTo: seqEnd, from: nextSeqOf(snap)}
	p.hold()
	if err := e.pinTail(ctx, c, req, limit, lock, p); err != nil {
		p.unpin()
		return nil, err
	}
	return p, nil
}

// pinTail picks the changes after the pinned snapshot, and the rows of it that
// they supersede.
func (e *Engine) pinTail(ctx context.Context, c *schema.Collection, req query.Scan, limit int64, lock *tableLock, p *scanPin) error {
	var err error
	if p.position, p.to, err = e.nextSeqAt(ctx, c.Instance); err != nil {
		return err
	}
	next := p.to
	if req.AtSeq != nil {
		if p.to, err = asOf(c, *req.AtSeq, p.to); err != nil {
			return err
		}
		p.cutLake(c)
	}
	if done, err := e.pinTrimmed(ctx, c, p, next, limit); done || err != nil {
		return err
	}
	if !c.Schema.Keyed() {
		if req.AtSeq != nil { // also where that cuts nothing: rows without a seq are left out
			p.lakeTo = min(p.lakeTo, p.to)
		}
		return nil
	}
	if p.tail, err = e.foldChanges(ctx, c.Instance, p.from, p.to, limit); err != nil || p.snap == nil {
		return err
	}
	p.hide, err = e.locate(ctx, c, p.snap, p.tail.keys(), lock.forward)
	return err
}

// nextSeqAt is a position and the seq that inst's next change has at it: read
// again while chunks come in between the two.
func (e *Engine) nextSeqAt(ctx context.Context, inst schema.Instance) (schema.Position, schema.Seq, error) {
	for {
		position := e.log.Durable()
		next, err := e.log.NextSeq(ctx, inst)
		if err != nil || e.log.Durable() == position {
			return position, next, err
		}
	}
}

// lockPinned holds lock.pin shared, with the index's places of rows those of
// the newest snapshot.
func (e *Engine) lockPinned(ctx context.Context, c *schema.Collection, lock *tableLock) (*lakehouse.Snapshot, func(), error) {
	if c.Options.Lake == schema.LakeOff {
		return nil, func() {}, nil
	}
	for {
		unlock, err := lock.pinShared(ctx)
		if err != nil {
			return nil, nil, err
		}
		snap, ok, err := e.snapshotInStep(ctx, c, lock)
		if ok && err == nil {
			return snap, unlock, nil
		}
		unlock()
		if err == nil {
			_, err = e.reconciled(ctx, c, lock)
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// snapshotInStep is the newest snapshot, and whether the index's places of rows
// are those of it, or lead to them.
func (e *Engine) snapshotInStep(ctx context.Context, c *schema.Collection, lock *tableLock) (*lakehouse.Snapshot, bool, error) {
	snap, err := e.currentSnapshot(ctx, c)
	if err != nil {
		return nil, false, err
	}
	stats, err := e.index.Stats(ctx, c.Instance)
	if err != nil {
		return nil, false, fmt.Errorf("read index state: %w", err)
	}
	if snap == nil {
		return nil, stats.LakeSnapshot == 0, nil
	}
	return snap, snap.ID() == stats.LakeSnapshot || lock.forward.leads(stats.LakeSnapshot, snap.ID()), nil
}

// asOf is the seq after the last that a scan at seq at sees.
func asOf(c *schema.Collection, at, next schema.Seq) (schema.Seq, error) {
	if at >= next {
		return 0, fmt.Errorf("%w: %w", schema.ErrNotFound, &schema.FieldError{Field: "at_seq", Value: fmt.Sprint(at),
			Rule: fmt.Sprintf("%s has changes below seq %d only", c, next)})
	}
	return at + 1, nil
}

// cutLake makes a pin that ends before its snapshot does. An append-only
// table still serves, cut by seq; a keyed one no longer has the rows of then,
// so the log is folded instead.
func (p *scanPin) cutLake(c *schema.Collection) {
	if p.snap == nil || p.to >= p.from {
		return
	}
	if c.Schema.Keyed() {
		p.snap, p.from = nil, 0
		return
	}
	p.lakeTo, p.from = p.to, p.to
}

// pinSnapshot reads one snapshot of the table and no log.
func (e *Engine) pinSnapshot(ctx context.Context, c *schema.Collection, req query.Scan) (*scanPin, error) {
	if req.AtSeq != nil {
		return nil, &schema.FieldError{Field: "snapshot", Rule: "a scan is at a seq or of a snapshot: leave out one of at_seq and snapshot"}
	}
	current, err := e.lake.Current(ctx, c)
	if err != nil {
		return nil, err
	}
	var snap *lakehouse.Snapshot
	if req.Tag != "" {
		snap, err = current.AtTag(ctx, req.Tag)
	} else {
		snap, err = current.At(ctx, req.Snapshot)
	}
	if err != nil {
		return nil, err
	}
	p := &scanPin{position: snap.Position(), snap: snap, lakeTo: seqEnd}
	p.hold()
	if c.Schema.Keyed() {
		p.tail = &fold{}
	}
	return p, nil
}
