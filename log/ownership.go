package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// ownership is what a take-over ends with.
type ownership struct {
	head       head
	version    blob.Version
	fence      uint64 // the first number that no earlier owner has a chunk at
	last       uint64 // the last number that is taken from them
	timeMicros int64  // of that
}

// maxHeadTries bounds how often a take-over begins anew because the head
// changed under it: each time another writer took the channel over.
const maxHeadTries = 8

// takeOver makes this writer the channel's owner, by the steps of
// docs/format/head.md. again says that it was the owner before and knows the
// chunks up to known to be durable; then it gives way to whoever took the
// channel meanwhile instead of taking it back.
func (c *Channel) takeOver(ctx context.Context, again bool, known uint64) (ownership, error) {
	var least schema.Epoch
	for try := 1; try <= maxHeadTries; try++ {
		h, v, err := readHead(ctx, c.heads, c.o.Channel)
		if err != nil {
			return ownership{}, err
		}
		if again && h.Claim != c.claim {
			return ownership{}, fmt.Errorf("epoch %d is %q's: %w", h.Epoch, h.Owner, schema.ErrFenced)
		}
		if !again {
			c.generation = h.Generation // nobody else reads it yet
		}
		lost := h.Epoch == 0
		if err := c.layout.admit(ctx, &h, lost); err != nil {
			if lost { // or another writer made it meanwhile, and what was found
				switch now, _, herr := readHead(ctx, c.heads, c.o.Channel); {
				case herr != nil:
					return ownership{}, fmt.Errorf("is there a head: %w (%v)", herr, err)
				case now.Epoch > 0:
					continue
				}
			}
			return ownership{}, err
		}
		h.Epoch = max(h.Epoch, least) + 1
		// Until the fillers are there, what earlier owners may have in flight
		// counts too: also for whoever comes if we do not get that far.
		h.InFlight = max(h.InFlight, c.o.InFlight)
		h.Owner, h.Claim = c.o.WriterID, c.claim
		v, err = h.swap(ctx, c.heads, v)
		switch {
		case errors.Is(err, blob.ErrChanged):
			continue
		case err != nil && (blob.NoEffect(err) || try >= maxFenceTries):
			return ownership{}, err
		case err != nil: // it may be ours by now: that is no worse than if it was another's
			if err := sleep(ctx, time.Duration(try)*10*time.Millisecond); err != nil {
				return ownership{}, err
			}
			continue
		}
		own, higher, err := c.layout.secure(ctx, ownership{head: h, version: v}, known, lost)
		if errors.Is(err, schema.ErrFenced) && lost && higher > 0 {
			least = higher // the head was lost, the chunks were not
			continue
		}
		return own, err
	}
	return ownership{}, fmt.Errorf("%d others took the channel over at the same time: %w", maxHeadTries, schema.ErrFenced)
}

// updateHint lets the head tell that chunks up to n are durable. It reports
// schema.ErrFenced if another owns the channel.
func (c *Channel) updateHint(ctx context.Context, n uint64) error {
	return c.changeHead(ctx, func(h *head) bool { return h.cover(n) })
}

// sleep waits on the clock that testing/synctest can turn.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
