package sync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// ChangesRequest says which changes of a log, and in which order.
type ChangesRequest struct {
	From       schema.Seq // inclusive
	To         schema.Seq // exclusive; not looked at with Follow
	Descending bool       // from To-1 down to From; never with Follow
	Follow     bool       // do not end, wait for more
}

// errEnough ends a walk whose reader has gone.
var errEnough = errors.New("enough")

// Changes yields changes of a collection's log; one error may come, last.
func (e *Engine) Changes(ctx context.Context, c *schema.Collection, req ChangesRequest) iter.Seq2[schema.Change, error] {
	return func(yield func(schema.Change, error) bool) {
		emit := func(ch schema.Change) (bool, error) {
			if !yield(ch, nil) {
				return false, errEnough
			}
			return true, nil
		}
		err := e.kept(ctx, c.Instance, req.From)
		switch {
		case err != nil:
		case req.Follow:
			err = e.follow(ctx, c.Instance, req.From, emit)
		case req.Descending:
			err = e.changesBackward(ctx, c.Instance, req.From, req.To, emit)
		default:
			_, err = e.changes(ctx, c.Instance, req.From, req.To, emit)
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(schema.Change{}, err)
		}
	}
}

// follow reads what there is and then goes with the log, chunk by chunk that
// holds something for it. The watch begins before the first read, so nothing
// falls between the two. A reader that is too slow for the watch reads what it
// missed as any other does, by the index's pointers.
func (e *Engine) follow(ctx context.Context, inst schema.Instance, from schema.Seq, fn func(schema.Change) (bool, error)) error {
	watch := e.log.Watch(inst, schema.InstanceCollections)
	defer watch.Close()
	w := walk{next: from, to: seqEnd, fn: fn}
	for behind := true; ; {
		if behind {
			next, err := e.changes(ctx, inst, w.next, seqEnd, fn)
			if err != nil {
				return err
			}
			if _, err := e.catalog.ByInstance(ctx, inst); err != nil {
				return err // dropped, perhaps before what the watch tells of
			}
			w.next, behind = next, false
		}
		pos, err := watch.Next(ctx)
		if behind = errors.Is(err, log.ErrBehind); behind {
			continue
		}
		if err != nil {
			return err
		}
		err = e.followChunk(ctx, inst, pos, &w)
		if behind = errors.Is(err, schema.ErrTrimmed); behind {
			continue // deletion was faster: segments have what was missed
		}
		if err != nil {
			return err
		}
	}
}

// followChunk passes what a chunk has for a follower of inst.
func (e *Engine) followChunk(ctx context.Context, inst schema.Instance, pos schema.Position, w *walk) error {
	definitions, _, err := e.log.Group(ctx, pos, schema.InstanceCollections)
	if err != nil && !errors.Is(err, schema.ErrNotFound) {
		return fmt.Errorf("read chunk %s: %w", pos, err)
	}
	if e.drops(definitions, inst) {
		return fmt.Errorf("collection was dropped: %w", schema.ErrNotFound)
	}
	g, micros, err := e.log.Group(ctx, pos, inst)
	switch {
	case errors.Is(err, schema.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("read chunk %s: %w", pos, err)
	case g.NextSeq() <= w.next:
		return nil // it was read before the watch told of it
	}
	if _, err = w.group(g, micros); errors.Is(err, errGap) {
		err = e.missing(ctx, inst, w.next)
	}
	return err
}

// drops reports whether records of the collections' collection end the life of
// inst.
func (e *Engine) drops(definitions schema.Group, inst schema.Instance) bool {
	return slices.ContainsFunc(definitions.Records, func(rec schema.Record) bool {
		gone, ok := e.opts.Dropped(rec)
		return ok && gone == inst
	})
}

// changesBackward calls fn for from ≤ seq < to, newest first. The chunks that
// the index lacks are few and in memory: they are passed first.
func (e *Engine) changesBackward(ctx context.Context, inst schema.Instance, from, to schema.Seq, fn func(schema.Change) (bool, error)) error {
	durable := e.log.Durable()
	applied := e.index.Applied()
	var recent []recentGroup
	err := e.groupsBetween(ctx, inst, applied, durable, func(g schema.Group, micros int64) (bool, error) {
		recent = append(recent, recentGroup{g, micros})
		return true, nil
	})
	if err != nil {
		return err
	}
	w := backwalk{from: from, next: to, fn: fn}
	for i := len(recent) - 1; i >= 0; i-- {
		if more, err := w.group(recent[i].Group, recent[i].micros); err != nil || !more {
			return err
		}
	}
	err = e.index.GroupsBackward(ctx, inst, w.next, func(ref kvindex.GroupRef) (bool, error) {
		if ref.NextSeq() < w.next {
			return false, nil // pointers were dropped
		}
		g, micros, err := e.log.Group(ctx, ref.Position, inst)
		if errors.Is(err, schema.ErrTrimmed) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read chunk %s: %w", ref.Position, err)
		}
		more, err := w.group(g, micros)
		w.done = !more
		return more, err
	})
	if err == nil && !w.done && w.next > w.from {
		err = e.segmentsBackward(ctx, inst, &w)
	}
	if err == nil && !w.done && w.next > w.from {
		err = e.missing(ctx, inst, w.next-1)
	}
	return err
}

// segmentsBackward passes what segments hold of what is left.
func (e *Engine) segmentsBackward(ctx context.Context, inst schema.Instance, w *backwalk) error {
	if e.log.Archive() == nil {
		return nil
	}
	for g, err := range e.log.Archive().ReadBackward(ctx, inst, w.next) {
		if err != nil {
			return err
		}
		more, err := w.group(g.Group, g.TimeMicros)
		if w.done = !more; err != nil || !more {
			return err
		}
	}
	return nil
}

type recentGroup struct {
	schema.Group
	micros int64
}

// backwalk passes the wanted changes of groups, newest first, each once.
type backwalk struct {
	from, next schema.Seq // next is the seq after the one to pass next
	fn         func(schema.Change) (bool, error)
	done       bool // fn wants no more, or all is passed
}

func (w *backwalk) group(g schema.Group, micros int64) (bool, error) {
	for i := len(g.Records) - 1; i >= 0; i-- {
		seq := g.FirstSeq + schema.Seq(i)
		if seq >= w.next {
			continue
		}
		if seq < w.from {
			return false, nil
		}
		if seq != w.next-1 {
			return false, fmt.Errorf("log of instance %d: seq %d precedes %d: %w", g.Instance, seq, w.next, schema.ErrCorrupt)
		}
		w.next = seq
		if more, err := w.fn(schema.Change{Seq: seq, TimeMicros: micros, Record: g.Records[i]}); err != nil || !more {
			return false, err
		}
	}
	return w.next > w.from, nil
}

// NextSeq is the seq after a collection's newest durable change.
func (e *Engine) NextSeq(ctx context.Context, c *schema.Collection) (schema.Seq, error) {
	return e.log.NextSeq(ctx, c.Instance)
}

// SeqAt is the first seq that is kept and was committed at or after a time, or
// NextSeq. Commit times never go back along a log, and are one per chunk.
func (e *Engine) SeqAt(ctx context.Context, c *schema.Collection, micros int64) (schema.Seq, error) {
	seq, err := e.seqAt(ctx, c, micros)
	if err != nil {
		return 0, err
	}
	first, err := e.firstSeq(ctx, c.Instance)
	return max(seq, first), err
}

func (e *Engine) seqAt(ctx context.Context, c *schema.Collection, micros int64) (schema.Seq, error) {
	applied := e.index.Applied()
	durable := e.log.Durable()
	ref, ok, err := e.index.GroupAt(ctx, c.Instance, micros)
	if err != nil {
		return 0, err
	}
	seq, found, err := e.archivedSeqAt(ctx, c.Instance, micros, ref, ok)
	if err != nil || found {
		return seq, err
	}
	if ok {
		return ref.FirstSeq, nil
	}
	err = e.groupsBetween(ctx, c.Instance, applied, durable, func(g schema.Group, at int64) (bool, error) {
		if ok = at >= micros; ok {
			seq = g.FirstSeq
		}
		return !ok, nil
	})
	if err != nil || ok {
		return seq, err
	}
	return e.log.NextSeq(ctx, c.Instance)
}

// archivedSeqAt is SeqAt among what segments hold, which are older than all that
// pointers lead to. They are not asked if there is an earlier pointer than the one
// found: then all before it is too old.
func (e *Engine) archivedSeqAt(ctx context.Context, inst schema.Instance, micros int64, ref kvindex.GroupRef, pointed bool) (schema.Seq, bool, error) {
	if e.log.Archive() == nil || pointed && ref.FirstSeq == 0 {
		return 0, false, nil
	}
	earlier := false
	if pointed {
		err := e.index.GroupsBackward(ctx, inst, ref.FirstSeq, func(kvindex.GroupRef) (bool, error) {
			earlier = true
			return false, nil
		})
		if err != nil || earlier {
			return 0, false, err
		}
	}
	return e.log.Archive().SeqAt(ctx, inst, micros)
}
