package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// Waits between attempts to find out what became of a chunk.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// patience is how long an attempt to find out may take before those who wait are
// told that the outcome is unknown, and others are turned away.
const patience = 5 * time.Second

// findOut takes the channel over anew, which settles which of the chunks in
// doubt, from number first on, were stored. If that works at once, their batches
// get their true outcome; otherwise they are told that it is unknown, and it is
// tried until it works. A retry waits for the next attempt.
func (w *writer) findOut(ctx context.Context, first uint64, inDoubt []*building, cause error) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		found, err := w.look(ctx, first, inDoubt, cause)
		if err == nil {
			w.adopt(inDoubt, found)
			w.settle(inDoubt, found.landed, cause)
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

// truth is what a take-over found of chunks in doubt, and behind them.
type truth struct {
	landed     int // of those in doubt the first so many
	behind     []*schema.Chunk
	timeMicros int64
}

// look takes the channel over anew, to find out what landed of the chunks in doubt,
// which begin at number first. A store that does not answer keeps nobody waiting.
func (w *writer) look(ctx context.Context, first uint64, inDoubt []*building, cause error) (truth, error) {
	sent := make([]chunk.Header, len(inDoubt))
	for i, b := range inDoubt {
		sent[i] = b.header
	}
	var found truth
	done := make(chan error, 1)
	go func() {
		var err error
		found, err = w.c.lookFor(ctx, first, sent)
		done <- err
	}()
	var in chan *pending // what comes waits at first
	impatient := time.NewTicker(patience)
	defer impatient.Stop()
	for {
		select {
		case err := <-done:
			return found, err
		case p := <-in:
			w.turnAway(p)
		case <-impatient.C:
			in = w.c.in
			if p := w.held; p != nil {
				w.held = nil
				w.turnAway(p)
			}
			for _, b := range inDoubt {
				w.tellUnknown(b, fmt.Errorf("store chunk %v: %w: %v; the store takes long to tell", w.c.at(first), schema.ErrUnknownOutcome, cause))
			}
		}
	}
}

// lookFor takes the channel over anew and tells how many of the chunks with these
// headers the log has from number first on, and what is behind them.
func (c *Channel) lookFor(ctx context.Context, first uint64, sent []chunk.Header) (truth, error) {
	own, err := c.retake(ctx)
	if err != nil {
		return truth{}, fmt.Errorf("take the channel over anew: %w", err)
	}
	found := truth{timeMicros: own.timeMicros}
	n := first
	for ; found.landed < len(sent) && n <= own.last; found.landed, n = found.landed+1, n+1 {
		hdr, err := c.header(ctx, n)
		if err != nil {
			return truth{}, err
		}
		if !hdr.SameChunk(sent[found.landed]) {
			break
		}
	}
	err = c.scan(ctx, n, own.last, func(ck *schema.Chunk) error {
		found.behind = append(found.behind, ck)
		return nil
	})
	return found, err
}

// adopt publishes what was found.
func (w *writer) adopt(inDoubt []*building, found truth) {
	w.lastTime = max(w.lastTime, found.timeMicros)
	if gone := inDoubt[found.landed:]; len(gone) > 0 {
		w.rollback(gone)
	}
	for _, b := range inDoubt[:found.landed] {
		w.publish(b)
	}
	for _, ck := range found.behind {
		w.c.o.Stager.Publish(ck)
		w.c.commit(ck)
	}
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
