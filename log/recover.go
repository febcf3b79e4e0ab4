package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Waits between attempts to find out what became of a chunk.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// recover deals with a chunk that was not stored, or may not have been. The
// pipeline is empty; all that was sequenced behind the chunk fails with it.
func (w *writer) recover(ctx context.Context) {
	first, cause := w.failed[0], w.cause
	behind := w.failed[1:]
	if !w.open.empty() || len(w.open.riders) > 0 {
		behind = append(behind, w.open)
	}
	pos := w.c.at(first.number)
	log := w.c.o.Logger.With("channel", w.c.o.Channel, "chunk", pos.String(), "batches", len(first.batches))
	switch {
	case errors.Is(cause, errForeign):
		log.Error("channel was taken over by another writer", "error", cause)
		w.undo(append([]*building{first}, behind...), fmt.Errorf("store chunk %v: %w: %w", pos, schema.ErrFenced, cause))
		w.fence(cause)
	case blob.NoEffect(cause), errors.Is(cause, schema.ErrTooLarge):
		log.Warn("chunk not stored", "error", cause)
		w.undo(append([]*building{first}, behind...), fmt.Errorf("store chunk %v: %w", pos, cause))
	default:
		log.Warn("outcome of a chunk is unknown", "error", cause)
		w.undo(behind, fmt.Errorf("outcome of chunk %v before it is unknown: %w: %w", pos, schema.ErrUnavailable, cause))
		w.findOut(ctx, first, cause)
	}
	w.run++
	next := first.number
	if w.c.durableNumber() >= next {
		next = w.c.durableNumber() + 1
	}
	w.open = &building{number: next, run: w.run}
	w.linger.Stop()
	w.lingered = false
	w.failing, w.failed, w.cause = false, nil, nil
	if p := w.held; p != nil {
		w.held = nil
		w.accept(p)
	}
}

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

// findOut takes the channel over anew, which settles whether first was stored.
// If that works at once, its batches get their true outcome; otherwise they are
// told that it is unknown, and it is tried until it works.
func (w *writer) findOut(ctx context.Context, first *building, cause error) {
	var doubts []doubt
	told := false
	tell := func(err error) {
		if !told {
			told = true
			doubts = w.tellUnknown(first, err)
		}
	}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		landed, err := w.retake(ctx, first)
		if err == nil {
			w.settle(first, landed, told, doubts, cause)
			return
		}
		tell(fmt.Errorf("store chunk %v: %w: %v; %v", w.c.at(first.number), schema.ErrUnknownOutcome, cause, err))
		if errors.Is(err, schema.ErrFenced) || !w.pause(ctx, wait) {
			if errors.Is(err, schema.ErrFenced) {
				w.fence(err)
			} else {
				w.fenced = true // closing: nothing may follow a chunk in doubt
				w.c.refuse(fmt.Errorf("outcome of chunk %v is unknown: %w", w.c.at(first.number), schema.ErrClosed))
			}
			w.rollback([]*building{first}) // the next owner decides; here it is not seen
			w.c.resolve(doubts, nil, fmt.Errorf("store chunk %v: %w", w.c.at(first.number), schema.ErrUnknownOutcome))
			return
		}
		w.c.o.Logger.Warn("channel not yet taken over anew", "channel", w.c.o.Channel, "error", err)
	}
}

// tellUnknown answers the batches of a chunk in doubt, and keeps their keys so
// that retries wait until the doubt is over.
func (w *writer) tellUnknown(b *building, err error) []doubt {
	var doubts []doubt
	for _, p := range b.batches {
		if p.dedup != nil {
			w.c.mu.Lock()
			doubts = append(doubts, w.c.doubtLocked(p))
			w.c.mu.Unlock()
		}
		w.c.finish(p, Ack{}, err)
	}
	b.batches = nil
	w.strand(b, err)
	return doubts
}

// settle ends the doubt about a chunk.
func (w *writer) settle(first *building, landed, told bool, doubts []doubt, cause error) {
	switch {
	case landed: // published by retake
		w.c.resolve(doubts, first.chunk, nil)
	case told:
		w.c.resolve(doubts, nil, nil)
	default:
		err := fmt.Errorf("store chunk %v: %w: %w", w.c.at(first.number), schema.ErrUnavailable, cause)
		for _, p := range first.batches {
			w.c.finish(p, Ack{}, err)
		}
		w.strand(first, err)
	}
}

// retake takes the channel over anew and publishes what it finds from first on.
// It reports whether that begins with first.
func (w *writer) retake(ctx context.Context, first *building) (landed bool, err error) {
	c := w.c
	own, err := c.takeOver(ctx, true, c.durableNumber())
	if err != nil {
		return false, fmt.Errorf("take the channel over anew: %w", err)
	}
	var found []*schema.Chunk
	for n := first.number; n <= own.fence; n++ {
		hdr, err := c.header(ctx, n)
		if err != nil {
			return false, err
		}
		if n == first.number && hdr.PutID == first.header.PutID {
			landed = true
			continue
		}
		ck, err := c.load(ctx, n)
		if err != nil {
			return false, err
		}
		found = append(found, ck)
	}
	c.setOwner(own)
	w.lastTime = max(w.lastTime, own.timeMicros)
	if landed {
		w.publish(first)
	} else {
		w.rollback([]*building{first})
	}
	for _, ck := range found {
		c.o.Stager.Publish(ck)
		c.commit(ck)
	}
	return landed, nil
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
		w.c.finish(p, Ack{}, fmt.Errorf("the channel is finding out what became of a chunk: %w", schema.ErrUnavailable))
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
