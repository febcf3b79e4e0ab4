package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// single is the layout of a channel whose chunks lie in one store. Who comes
// second at a number knows by that; see docs/protocol.md.
type single struct {
	c      *Channel
	store  ChunkStore
	epochs epochs
}

var _ layout = (*single)(nil)

func (s *single) admit(ctx context.Context, h *head, lost bool) error {
	if len(h.Zones) > 0 {
		return fmt.Errorf("the channel's chunks lie in the zones %v, not in one store: name all of them: %w", h.Zones, schema.ErrInvalid)
	}
	if lost {
		return s.c.findHead(ctx, h)
	}
	return nil
}

func (s *single) put(ctx context.Context, hdr chunk.Header, data []byte, free func()) error {
	defer free()
	err := s.store.PutIfAbsent(ctx, s.c.name(hdr.Position.Chunk), data)
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	// A store may have tried more than once.
	occupant, herr := s.header(ctx, hdr.Position.Chunk)
	switch {
	case herr != nil:
		return fmt.Errorf("who has our number: %v (%v)", herr, err)
	case occupant.PutID == hdr.PutID:
		return nil
	case occupant.Epoch <= hdr.Epoch:
		// No writer that we fenced can have come here. Taking the channel over
		// anew finds out what counts.
		return fmt.Errorf("chunk %v is of epoch %d, writer %q, not above our %d", hdr.Position, occupant.Epoch, occupant.WriterID, hdr.Epoch)
	}
	return fmt.Errorf("epoch %d, writer %q: %w", occupant.Epoch, occupant.WriterID, errForeign)
}

func (s *single) remove(ctx context.Context, n uint64) error {
	return s.store.Delete(ctx, s.c.name(n))
}

// close has nothing to wait for: put returns when the store has.
func (s *single) close(cancel context.CancelFunc) { cancel() }

func (s *single) read(ctx context.Context, n uint64, fn readFunc) (reading, error) {
	return fn(ctx, s.store, n)
}

// header reads the header of chunk n; blob.ErrNotFound if there is none.
func (s *single) header(ctx context.Context, n uint64) (chunk.Header, error) {
	r, err := s.c.readHeader(ctx, s.store, n)
	return r.header, err
}

func (s *single) counts(ctx context.Context, hdr chunk.Header) (bool, error) {
	end := s.c.durableNumber()
	n := hdr.Position.Chunk
	if own := s.c.owner(); hdr.Epoch == own.head.Epoch && n <= end {
		return true, nil // nobody comes before us in our own epoch
	}
	highest, err := s.highest(ctx, n, hdr.Epoch, end)
	return hdr.Epoch >= highest, err
}

func (s *single) inOrder(ctx context.Context, from, to uint64) (func(chunk.Header) bool, error) {
	highest, err := s.highestBefore(ctx, from, to)
	if err != nil {
		return nil, err
	}
	return func(hdr chunk.Header) bool {
		if highest = max(highest, hdr.Epoch); hdr.Epoch < highest {
			return false
		}
		s.epochs.counts(hdr.Position.Chunk, highest)
		return true
	}, nil
}

// kept makes sure that what was read of a chunk without changes counts: that the
// floor, read after it, is below. Below the floor, where a chunk was deleted, the
// fence of a take-over that came late may lie; what has changes is what it was.
func (s *single) kept(ctx context.Context, pos schema.Position) error {
	h, _, err := readHead(ctx, s.c.heads, s.c.o.Channel)
	switch {
	case err != nil:
		return fmt.Errorf("whether chunk %v is kept: %w", pos, err)
	case pos.Chunk <= h.Floor:
		return s.c.trimmed(pos, h.Floor)
	default:
		return nil
	}
}
