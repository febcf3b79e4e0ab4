package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// ownership is what a take-over ends with.
type ownership struct {
	head       head
	version    blob.Version
	fence      uint64 // number of the fence
	last       uint64 // number of the last filler: the last chunk there is
	timeMicros int64  // of that
}

// maxHeadTries bounds how often a take-over begins anew because the head
// changed under it: each time another writer took the channel over.
const maxHeadTries = 8

// maxFenceTries bounds how often a PUT of a fence is repeated at once when its
// outcome is not known.
const maxFenceTries = 3

// takeOver makes this writer the channel's owner, by the steps of
// docs/format/head.md. again says that it was the owner before and knows the
// chunks up to known to be durable; then it gives way to whoever took the
// channel meanwhile instead of taking it back.
func (c *Channel) takeOver(ctx context.Context, again bool, known uint64) (ownership, error) {
	var least schema.Epoch
	for range maxHeadTries {
		h, v, err := readHead(ctx, c.o.Store, c.o.Channel)
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
		h.Epoch = max(h.Epoch, least) + 1
		// Until the fillers are there, what earlier owners may have in flight
		// counts too: also for whoever comes if we do not get that far.
		h.InFlight = max(h.InFlight, c.o.InFlight)
		h.Owner, h.Claim = c.o.WriterID, c.claim
		v, err = h.swap(ctx, c.o.Store, v)
		if errors.Is(err, blob.ErrChanged) {
			continue
		}
		if err != nil {
			return ownership{}, err
		}
		own, higher, err := c.secure(ctx, ownership{head: h, version: v}, known, lost)
		if errors.Is(err, schema.ErrFenced) && lost && higher > 0 {
			least = higher // the head was lost, the chunks were not
			continue
		}
		return own, err
	}
	return ownership{}, fmt.Errorf("%d others took the channel over at the same time: %w", maxHeadTries, schema.ErrFenced)
}

// secure makes it impossible for earlier owners to add a chunk. When it fails
// because of a chunk of a higher epoch, it tells that. made says that there was
// no head.
func (c *Channel) secure(ctx context.Context, own ownership, known uint64, made bool) (ownership, schema.Epoch, error) {
	h := own.head
	p, last, higher, err := c.walk(ctx, h, max(h.Floor, h.Hint, known)+1)
	if err != nil {
		return own, higher, err
	}
	own.timeMicros = max(last, c.o.Now().UnixMicro())
	if own.fence, own.timeMicros, err = c.occupy(ctx, chunk.Fence, h, p, own.timeMicros); err != nil {
		return own, 0, err
	}
	// Only now: an owner that came in between has raised the epoch before it
	// walked, and its fence is where ours could be.
	again, v, err := readHead(ctx, c.o.Store, c.o.Channel)
	if err != nil {
		return own, 0, err
	}
	if again.Epoch != h.Epoch || again.Claim != h.Claim || again.Floor >= own.fence {
		return own, 0, fmt.Errorf("epoch %d is %q's, floor %d: %w", again.Epoch, again.Owner, again.Floor, schema.ErrFenced)
	}
	own.head, own.version = again, v // its floor may have been raised
	wide := uint64(h.InFlight)
	if made && p == 1 {
		wide = uint64(c.o.InFlight) // a new channel: nobody had it before
	}
	own.last = own.fence
	for own.last < own.fence+wide-1 {
		if own.last, own.timeMicros, err = c.occupy(ctx, chunk.Filler, h, own.last+1, own.timeMicros); err != nil {
			return own, 0, err
		}
	}
	return c.narrow(ctx, own), 0, nil
}

// narrow lets the head tell how many chunks this owner has in flight, now that
// the earlier ones are fenced. Should that fail, the next take-over puts more
// fillers than it needs to.
func (c *Channel) narrow(ctx context.Context, own ownership) ownership {
	h := own.head
	if h.InFlight == c.o.InFlight {
		return own
	}
	h.InFlight = c.o.InFlight
	v, err := h.swap(ctx, c.o.Store, own.version)
	if err != nil {
		c.o.Logger.Warn("head not updated", "channel", c.o.Channel, "error", err)
		return own
	}
	own.head, own.version = h, v
	return own
}

// header reads the header of chunk n; blob.ErrNotFound if there is none.
func (c *Channel) header(ctx context.Context, n uint64) (chunk.Header, error) {
	pos := c.at(n)
	name := chunk.Name(c.o.Channel, pos)
	data, err := c.o.Store.GetRange(ctx, name, 0, chunk.HeaderSize)
	if err != nil {
		return chunk.Header{}, fmt.Errorf("read header of chunk %v: %w", pos, err)
	}
	return chunk.DecodeHeader(name, c.o.Channel, pos, data)
}

// occupy puts an empty chunk at n, or at the first number after it that no
// earlier owner came to fill, and tells where and with which commit time.
func (c *Channel) occupy(ctx context.Context, kind chunk.Kind, h head, n uint64, timeMicros int64) (uint64, int64, error) {
	enc, err := chunk.NewEncoder()
	if err != nil {
		return 0, 0, err
	}
	for {
		hdr := chunk.Header{
			Kind: kind, Channel: c.o.Channel, Position: c.at(n), Epoch: h.Epoch,
			TimeMicros: timeMicros, PutID: c.newPutID(), WriterID: c.o.WriterID,
		}
		data, err := enc.Append(nil, hdr, nil, nil)
		if err != nil {
			return 0, 0, err
		}
		occupant, err := c.putFence(ctx, hdr, data)
		switch {
		case err != nil:
			return 0, 0, fmt.Errorf("put %v at %v: %w", kind, hdr.Position, err)
		case occupant.PutID == hdr.PutID:
			return n, timeMicros, nil
		case occupant.Epoch >= h.Epoch:
			return 0, 0, fmt.Errorf("chunk %v is of epoch %d, writer %q: %w", hdr.Position, occupant.Epoch, occupant.WriterID, schema.ErrFenced)
		}
		timeMicros = max(timeMicros, occupant.TimeMicros)
		n++
	}
}

// putFence puts an empty chunk and tells whose chunk is at its number now.
func (c *Channel) putFence(ctx context.Context, hdr chunk.Header, data []byte) (chunk.Header, error) {
	name := chunk.Name(c.o.Channel, hdr.Position)
	for try := 1; ; try++ {
		err := c.o.Store.PutIfAbsent(ctx, name, data)
		switch {
		case err == nil:
			return hdr, nil
		case errors.Is(err, blob.ErrExists):
			return c.header(ctx, hdr.Position.Chunk)
		case blob.NoEffect(err) || try == maxFenceTries:
			return chunk.Header{}, err
		}
		if err := sleep(ctx, time.Duration(try)*10*time.Millisecond); err != nil {
			return chunk.Header{}, err
		}
	}
}

// updateHint lets the head tell that chunks up to n are durable. It reports
// schema.ErrFenced if another owns the channel.
func (c *Channel) updateHint(ctx context.Context, n uint64) error {
	c.heading <- struct{}{}
	defer func() { <-c.heading }()
	own := c.owner()
	for range 2 {
		if n <= own.head.Hint {
			return nil
		}
		h := own.head
		h.Hint = n
		v, err := h.swap(ctx, c.o.Store, own.version)
		if err == nil {
			own.head, own.version = h, v
			c.setOwner(own)
			return nil
		}
		if blob.NoEffect(err) && !errors.Is(err, blob.ErrChanged) {
			return err
		}
		// The floor was raised, our swap landed without our knowing, or we
		// were replaced.
		h, v, rerr := readHead(ctx, c.o.Store, c.o.Channel)
		if rerr != nil {
			return errors.Join(err, rerr)
		}
		if h.Epoch != own.head.Epoch || h.Claim != c.claim {
			return fmt.Errorf("epoch %d is %q's: %w", h.Epoch, h.Owner, schema.ErrFenced)
		}
		own.head, own.version = h, v
		c.setOwner(own)
	}
	return nil
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
