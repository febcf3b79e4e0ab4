package sync

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// seqEnd is after every seq.
const seqEnd = schema.Seq(math.MaxUint64)

// changes calls fn for the durable changes of inst with from ≤ seq < to, in
// order, until fn answers false; it tells the seq after the last it passed.
// The change's bytes stay valid. With a to that is not seqEnd it is an error if
// a change is not there, which is ErrNotFound if inst was dropped meanwhile, and a
// TrimmedError if the change was.
func (e *Engine) changes(ctx context.Context, inst schema.Instance, from, to schema.Seq, fn func(schema.Change) (bool, error)) (schema.Seq, error) {
	stopped := false
	next, err := e.someChanges(ctx, inst, from, to, func(ch schema.Change) (bool, error) {
		more, err := fn(ch)
		stopped = !more
		return more, err
	})
	switch {
	case err != nil || stopped:
	case to == seqEnd:
		err = e.kept(ctx, inst, next)
	case next < to:
		err = e.missing(ctx, inst, next)
	}
	return next, err
}

// missing is why the change at seq is not in the log.
func (e *Engine) missing(ctx context.Context, inst schema.Instance, seq schema.Seq) error {
	if _, err := e.catalog.ByInstance(ctx, inst); errors.Is(err, schema.ErrNotFound) {
		return fmt.Errorf("collection was dropped meanwhile: %w", err)
	}
	if err := e.kept(ctx, inst, seq); err != nil {
		return err // trimmed while it was read
	}
	return fmt.Errorf("log of instance %d has no change at seq %d: %w", inst, seq, schema.ErrCorrupt)
}

// trimTries is how often a read goes on elsewhere, without having come further,
// because chunks were deleted under it.
const trimTries = 8

// someChanges is changes that ends early where changes are missing.
//
// Chunks that the index has applied are found by its pointers, older changes in
// segments; the few chunks behind them are looked through in the log's memory. A
// chunk that is deleted meanwhile is in a segment by then.
func (e *Engine) someChanges(ctx context.Context, inst schema.Instance, from, to schema.Seq, fn func(schema.Change) (bool, error)) (schema.Seq, error) {
	w := walk{next: from, to: to, fn: fn}
	for try := 1; ; try++ {
		began := w.next
		err := e.walkOnce(ctx, inst, &w)
		if w.next > began {
			try = 1
		}
		if errors.Is(err, errGap) {
			return w.next, e.missing(ctx, inst, w.next)
		}
		if !errors.Is(err, schema.ErrTrimmed) || w.done || try == trimTries {
			return w.next, err
		}
	}
}

// walkOnce reads the applied position first: a chunk applied meanwhile is met
// twice and passed over by its seq.
func (e *Engine) walkOnce(ctx context.Context, inst schema.Instance, w *walk) error {
	durable := e.log.Durable()
	applied := e.index.Applied()
	for !w.done {
		began := w.next
		gap, err := e.walkPointers(ctx, inst, w)
		if err != nil || w.done {
			return err
		}
		if !gap {
			return e.groupsBetween(ctx, inst, applied, durable, w.group)
		}
		if err := e.walkSegments(ctx, inst, w); err != nil {
			return err
		}
		if w.next == began {
			// Applied since, or nobody has it.
			return e.groupsBetween(ctx, inst, applied, durable, w.group)
		}
	}
	return nil
}

// walkPointers passes the changes that the index points to. It reports a gap
// before which segments are to be asked: the next change is applied and no
// pointer leads to it, or to a chunk that is deleted.
func (e *Engine) walkPointers(ctx context.Context, inst schema.Instance, w *walk) (gap bool, err error) {
	err = e.index.Groups(ctx, inst, w.next, func(ref kvindex.GroupRef) (bool, error) {
		if ref.FirstSeq >= w.to && w.next >= w.to {
			w.done = true
			return false, nil
		}
		if gap = ref.FirstSeq > w.next; gap {
			return false, nil
		}
		g, micros, err := e.log.Group(ctx, ref.Position, inst)
		if gap = errors.Is(err, schema.ErrTrimmed); gap {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read chunk %s: %w", ref.Position, err)
		}
		return w.group(g, micros)
	})
	if err != nil || gap || w.done {
		return gap, err
	}
	if w.done = w.next >= w.to; w.done || e.log.Archive() == nil {
		return false, nil
	}
	next, err := e.index.NextSeq(ctx, inst)
	return next > w.next, err
}

// walkSegments passes the changes that segments hold.
func (e *Engine) walkSegments(ctx context.Context, inst schema.Instance, w *walk) error {
	if e.log.Archive() == nil {
		return nil
	}
	for g, err := range e.log.Archive().Read(ctx, inst, w.next) {
		if err != nil {
			return err
		}
		if more, err := w.group(g.Group, g.TimeMicros); err != nil || !more {
			return err
		}
	}
	return nil
}

// groupsBetween calls fn for the groups of inst in the chunks after applied up
// to durable, in order, until it answers false. They are in the log's memory.
func (e *Engine) groupsBetween(ctx context.Context, inst schema.Instance, applied, durable schema.Position, fn func(schema.Group, int64) (bool, error)) error {
	follower := e.log.Follow(applied)
	for pos := applied; pos.Compare(durable) < 0; {
		chunk, err := follower.Next(ctx)
		if err != nil {
			return err
		}
		pos = chunk.Position
		g, ok := chunk.Group(inst)
		if !ok {
			continue
		}
		if more, err := fn(g, chunk.TimeMicros); err != nil || !more {
			return err
		}
	}
	return nil
}

// errGap says that changes are missing between two that are there.
var errGap = errors.New("changes are missing")

// walk passes the wanted changes of groups, each once, to fn.
type walk struct {
	next, to schema.Seq
	fn       func(schema.Change) (bool, error)
	done     bool
}

func (w *walk) group(g schema.Group, micros int64) (bool, error) {
	if g.FirstSeq > w.next {
		return false, fmt.Errorf("log of instance %d: seq %d follows %d: %w", g.Instance, g.FirstSeq, w.next, errGap)
	}
	for i, rec := range g.Records {
		seq := g.FirstSeq + schema.Seq(i)
		if seq < w.next {
			continue
		}
		if seq >= w.to {
			w.done = true
			return false, nil
		}
		more, err := w.fn(schema.Change{Seq: seq, TimeMicros: micros, Record: rec})
		w.next = seq + 1
		if err != nil || !more {
			w.done = true
			return false, err
		}
	}
	return true, nil
}
