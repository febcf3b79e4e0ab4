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

// maxFenceTries bounds how often a PUT of a fence, or a swap of the head, is
// repeated at once when its outcome is not known.
const maxFenceTries = 3

// secure puts a fence at the first free number, and fillers behind it.
func (s *single) secure(ctx context.Context, own ownership, known uint64, made bool) (ownership, schema.Epoch, error) {
	if known > 0 {
		s.epochs.counts(known, s.c.owner().head.Epoch)
	}
	h := own.head
	p, last, higher, err := s.walk(ctx, h, max(h.Floor, h.Hint, known)+1)
	if err != nil {
		return own, higher, err
	}
	own.timeMicros = max(last, s.c.o.Now().UnixMicro())
	if own.fence, own.timeMicros, err = s.occupy(ctx, chunk.Fence, h, p, own.timeMicros); err != nil {
		return own, 0, err
	}
	// Only now: an owner that came in between has raised the epoch before it
	// walked, and its fence is where ours could be.
	again, v, err := readHead(ctx, s.c.heads, s.c.o.Channel)
	if err != nil {
		return own, 0, err
	}
	if again.Epoch != h.Epoch || again.Claim != h.Claim || again.Floor >= own.fence {
		return own, 0, fmt.Errorf("epoch %d is %q's, floor %d: %w", again.Epoch, again.Owner, again.Floor, schema.ErrFenced)
	}
	own.head, own.version = again, v // its floor may have been raised
	wide := uint64(h.InFlight)
	if made && p == 1 {
		wide = uint64(s.c.o.InFlight) // a new channel: nobody had it before
	}
	own.last = own.fence
	for own.last < own.fence+wide-1 {
		if own.last, own.timeMicros, err = s.occupy(ctx, chunk.Filler, h, own.last+1, own.timeMicros); err != nil {
			return own, 0, err
		}
	}
	return s.narrow(ctx, own), 0, nil
}

// narrow lets the head tell how many chunks this owner has in flight, now that
// the earlier ones are fenced. Should that fail, the next take-over puts more
// fillers than it needs to.
func (s *single) narrow(ctx context.Context, own ownership) ownership {
	h := own.head
	if h.InFlight == s.c.o.InFlight {
		return own
	}
	h.InFlight = s.c.o.InFlight
	v, err := h.swap(ctx, s.c.heads, own.version)
	if err != nil {
		s.c.o.Logger.Warn("head not updated", "channel", s.c.o.Channel, "error", err)
		return own
	}
	own.head, own.version = h, v
	return own
}

// occupy puts an empty chunk at n, or at the first number after it that no
// earlier owner came to fill, and tells where and with which commit time.
func (s *single) occupy(ctx context.Context, kind chunk.Kind, h head, n uint64, timeMicros int64) (uint64, int64, error) {
	enc, err := chunk.NewEncoder()
	if err != nil {
		return 0, 0, err
	}
	for {
		hdr := chunk.Header{
			Kind: kind, Channel: s.c.o.Channel, Position: s.c.at(n), Epoch: h.Epoch,
			TimeMicros: timeMicros, PutID: s.c.newPutID(), WriterID: s.c.o.WriterID,
		}
		data, err := enc.Append(nil, hdr, nil, nil)
		if err != nil {
			return 0, 0, err
		}
		occupant, err := s.putFence(ctx, hdr, data)
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
func (s *single) putFence(ctx context.Context, hdr chunk.Header, data []byte) (chunk.Header, error) {
	name := s.c.name(hdr.Position.Chunk)
	for try := 1; ; try++ {
		err := s.store.PutIfAbsent(ctx, name, data)
		switch {
		case err == nil:
			return hdr, nil
		case errors.Is(err, blob.ErrExists):
			return s.header(ctx, hdr.Position.Chunk)
		case blob.NoEffect(err) || try == maxFenceTries:
			return chunk.Header{}, err
		}
		if err := sleep(ctx, time.Duration(try)*10*time.Millisecond); err != nil {
			return chunk.Header{}, err
		}
	}
}
