package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// raiseFloor lets the head tell that chunks up to n may be deleted, and that none
// of them has an epoch above the one given. When it fails the floor may be raised
// or not, and nothing must be deleted. It reports schema.ErrFenced if another
// owns the channel.
func (c *Channel) raiseFloor(ctx context.Context, n uint64, epoch schema.Epoch) error {
	return c.changeHead(ctx, func(h *head) bool {
		if n <= h.Floor {
			return false
		}
		h.raise(n, max(h.FloorEpoch, epoch))
		return true
	})
}

// changeHead swaps the head for one that change made of it, unless that reports
// that nothing is to be changed. It reports schema.ErrFenced if another owns the
// channel.
func (c *Channel) changeHead(ctx context.Context, change func(*head) bool) error {
	c.heading <- struct{}{}
	defer func() { <-c.heading }()
	own := c.owner()
	for range 2 {
		h := own.head
		if !change(&h) {
			return nil
		}
		v, err := h.swap(ctx, c.heads, own.version)
		if err == nil {
			own.head, own.version = h, v
			c.setOwner(own)
			return nil
		}
		if blob.NoEffect(err) && !errors.Is(err, blob.ErrChanged) {
			return err
		}
		// Our swap landed without our knowing, or we were replaced.
		h, v, rerr := readHead(ctx, c.heads, c.o.Channel)
		if rerr != nil {
			return errors.Join(err, rerr)
		}
		if h.Epoch != own.head.Epoch || h.Claim != c.claim {
			return fmt.Errorf("epoch %d is %q's: %w", h.Epoch, h.Owner, schema.ErrFenced)
		}
		own.head, own.version = h, v
		c.setOwner(own)
	}
	h := own.head
	if change(&h) {
		return fmt.Errorf("head of channel %d: %w", c.o.Channel, blob.ErrChanged)
	}
	return nil
}
