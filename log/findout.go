package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// Waits between attempts to find out what became of a chunk.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// findOut takes the channel over anew, which settles which of the chunks in
// doubt, from number first on, were stored. If that works at once, their batches
// get their true outcome; otherwise they are told that it is unknown, and it is
// tried until it works. A retry waits for the next attempt.
func (w *writer) findOut(ctx context.Context, first uint64, inDoubt []*building, cause error) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		landed, err := w.retake(ctx, first, inDoubt)
		if err == nil {
			w.settle(inDoubt, landed, cause)
			return
		}
		unknown := fmt.Errorf("store chunk %v: %w: %v; %v", w.c.at(first), schema.ErrUnknownOutcome, cause, err)
		for _, b := range inDoubt {
			w.tellUnknown(b, unknown)
		}
		w.c.o.Logger.Warn("channel not yet taken over anew", "channel", w.c.o.Channel, "error", err)
		if errors.Is(err, schema.ErrFenced) {
			w.fence(err)
			w.leave(inDoubt, unknown)
			return
		}
		if !w.pause(ctx, wait) {
			w.fenced = true // closing: nothing may follow a chunk in doubt
			w.c.refuse(fmt.Errorf("outcome of chunk %v is unknown: %w", w.c.at(first), schema.ErrClosed))
			w.leave(inDoubt, unknown)
			return
		}
	}
}

// leave gives up finding out about chunks: the next owner decides, and here they
// are not seen.
func (w *writer) leave(inDoubt []*building, err error) {
	if len(inDoubt) == 0 {
		return
	}
	w.rollback(inDoubt)
	for _, b := range inDoubt {
		w.tellUnknown(b, err)
		w.c.resolve(b.doubts, nil, err)
	}
}

// tellUnknown answers the batches of a chunk in doubt, or if that was done their
// retries, and keeps their keys so that later ones wait for the next attempt to
// end the doubt.
func (w *writer) tellUnknown(b *building, err error) {
	for _, p := range b.batches {
		if p.dedup != nil {
			w.c.mu.Lock()
			b.doubts = append(b.doubts, w.c.doubtLocked(p))
			w.c.mu.Unlock()
		}
		w.c.finish(p, Ack{}, err)
	}
	if b.told {
		w.c.stillInDoubt(b.doubts, err)
	}
	b.told = true
	b.batches = nil
	w.strand(b, err)
}

// settle ends the doubt about chunks, of which the first ones landed; these
// retake has published.
func (w *writer) settle(inDoubt []*building, landed int, cause error) {
	for _, b := range inDoubt[:landed] {
		w.c.resolve(b.doubts, b.chunk, nil)
	}
	for _, b := range inDoubt[landed:] {
		w.c.resolve(b.doubts, nil, nil)
		err := fmt.Errorf("store chunk %v: %w: %w", w.c.at(b.number), schema.ErrUnavailable, cause)
		for _, p := range b.batches {
			w.c.finish(p, Ack{}, err)
		}
		w.strand(b, err)
	}
}

// retake takes the channel over anew and publishes what it finds from number
// first on. It tells how many of the chunks in doubt, which begin there, that
// begins with.
func (w *writer) retake(ctx context.Context, first uint64, inDoubt []*building) (landed int, err error) {
	c := w.c
	own, err := c.retake(ctx)
	if err != nil {
		return 0, fmt.Errorf("take the channel over anew: %w", err)
	}
	n := first
	for ; landed < len(inDoubt) && n <= own.last; landed, n = landed+1, n+1 {
		hdr, err := c.header(ctx, n)
		if err != nil {
			return 0, err
		}
		if hdr.PutID != inDoubt[landed].header.PutID {
			break
		}
	}
	var found []*schema.Chunk
	err = c.scan(ctx, n, own.last, func(ck *schema.Chunk) error {
		found = append(found, ck)
		return nil
	})
	if err != nil {
		return 0, err
	}
	w.lastTime = max(w.lastTime, own.timeMicros)
	if gone := inDoubt[landed:]; len(gone) > 0 {
		w.rollback(gone)
	}
	for _, b := range inDoubt[:landed] {
		w.publish(b)
	}
	for _, ck := range found {
		c.o.Stager.Publish(ck)
		c.commit(ck)
	}
	return landed, nil
}

// retake takes over a channel that this writer owned before.
func (c *Channel) retake(ctx context.Context) (ownership, error) {
	c.heading <- struct{}{}
	defer func() { <-c.heading }()
	own, err := c.takeOver(ctx, true, c.durableNumber())
	if err == nil {
		c.setOwner(own)
	}
	return own, err
}
