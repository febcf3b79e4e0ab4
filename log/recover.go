package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// recover deals with chunks that were not stored, or may not have been: the
// pipeline is empty, w.failed is what it gave back from the first failure on.
//
// Of what failed with an unknown outcome, and what was stored right behind it,
// only the store knows. All that lies behind a chunk which certainly was not
// stored is lost, stored or not: its number stays free until a take-over puts
// its fence there, and what lies behind the fence is void.
func (w *writer) recover(ctx context.Context) {
	chunks, cause := w.failed, w.cause
	first := chunks[0].number
	if !w.open.empty() || len(w.open.riders) > 0 {
		w.open.err = errSkipped
		chunks = append(chunks, w.open)
	}
	n := slices.IndexFunc(chunks, certain)
	if n < 0 {
		n = len(chunks)
	}
	inDoubt, lost := chunks[:n], chunks[n:]
	pos := w.c.at(first)
	log := w.c.o.Logger.With("channel", w.c.o.Channel, "chunk", pos.String(), "in_doubt", n, "lost", len(lost))
	switch i := slices.IndexFunc(chunks, foreign); {
	case i >= 0:
		cause = chunks[i].err
		log.Error("channel was taken over by another writer", "error", cause)
		w.undo(lost, fmt.Errorf("store chunk %v: %w: %w", pos, schema.ErrFenced, cause))
		w.fence(cause)
		w.leave(inDoubt, fmt.Errorf("store chunk %v: %w: %v", pos, schema.ErrUnknownOutcome, cause))
	case n == 0 && !slices.ContainsFunc(lost, traced):
		log.Warn("chunk not stored", "error", cause)
		w.undo(lost, fmt.Errorf("store chunk %v: %w", pos, cause))
	default:
		log.Warn("outcome of chunks is unknown", "error", cause)
		w.undo(lost, fmt.Errorf("chunk %v before it was not stored, or perhaps not: %w: %w", pos, schema.ErrUnavailable, cause))
		w.findOut(ctx, first, inDoubt, cause)
	}
	w.run++
	w.open = &building{number: max(first, w.c.durableNumber()+1), run: w.run}
	w.linger.Stop()
	w.lingered = false
	w.failing, w.failed, w.cause = false, nil, nil
	if p := w.held; p != nil {
		w.held = nil
		w.accept(p)
	}
}

// certain reports whether a chunk was not stored and never will be. In three
// zones another's chunk in one of them does not say so of the others.
func certain(b *building) bool {
	return b.err != nil && !errors.Is(b.err, errSealed) &&
		(blob.NoEffect(b.err) || errors.Is(b.err, schema.ErrTooLarge) || errors.Is(b.err, errSkipped) || foreign(b))
}

// foreign reports whether another writer has the chunk's number.
func foreign(b *building) bool { return errors.Is(b.err, errForeign) || errors.Is(b.err, errSealed) }

// traced reports whether the store has the chunk, or may come to have it.
func traced(b *building) bool { return !certain(b) }

// undo takes back what was sequenced into chunks that will never be stored, and
// tells their batches.
func (w *writer) undo(chunks []*building, err error) {
	if len(chunks) == 0 {
		return
	}
	w.rollback(chunks)
	for _, b := range chunks {
		for _, p := range b.batches {
			w.c.finish(p, Ack{}, err)
		}
		w.strand(b, err)
	}
}

// rollback gives back the Seqs of chunks, in order, that will never be stored.
func (w *writer) rollback(chunks []*building) {
	c := w.c
	c.o.Stager.Discard(c.at(chunks[0].number))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(chunks) - 1; i >= 0; i-- {
		for j := range chunks[i].groups {
			g := &chunks[i].groups[j]
			if e := c.seqs.entries[g.Instance]; e != nil {
				e.next = g.FirstSeq
				c.seqs.evictLocked(e, c.applied)
			}
		}
	}
}

// strand answers the riders of a chunk that failed: they had no effect, but
// what they were decided on is gone or in doubt.
func (w *writer) strand(b *building, err error) {
	if errors.Is(err, schema.ErrUnknownOutcome) {
		err = fmt.Errorf("decided on a chunk whose outcome is unknown: %w", schema.ErrUnavailable)
	}
	for _, r := range b.riders {
		w.c.finish(r.p, Ack{}, err)
	}
	b.riders = nil
}

// fence steps down for good.
func (w *writer) fence(cause error) {
	w.fenced = true
	w.c.refuse(fmt.Errorf("%w: %v", schema.ErrFenced, cause))
}

// pause waits for the next attempt, refusing what comes meanwhile. It reports
// false when the channel is to end.
func (w *writer) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	if p := w.held; p != nil {
		w.held = nil
		w.turnAway(p)
	}
	for {
		select {
		case <-t.C:
			return true
		case p := <-w.c.in:
			w.turnAway(p)
		case <-w.c.closing:
			w.closing = true
			return false
		case <-ctx.Done():
			w.closing = true
			return false
		}
	}
}

func (w *writer) turnAway(p *pending) {
	if p.state.CompareAndSwap(queued, taken) {
		w.c.finish(p, Ack{}, fmt.Errorf("the channel is finding out what became of a chunk: %w (%v)", schema.ErrUnavailable, w.cause))
	}
}

// abandon gives up what was not given to the store yet: Close ran out of time.
func (w *writer) abandon() {
	if len(w.flying) > 0 || w.failing {
		return // ctx ends the store's calls; landed comes next
	}
	w.fenced = true
	w.c.refuse(fmt.Errorf("not stored in time: %w", schema.ErrClosed))
	if !w.open.empty() {
		w.undo([]*building{w.open}, w.c.refusing())
		w.open = &building{number: w.open.number, run: w.run}
	}
	if p := w.held; p != nil {
		w.held = nil
		w.turnAway(p)
	}
	for {
		select {
		case p := <-w.c.in:
			w.turnAway(p)
		default:
			return
		}
	}
}
