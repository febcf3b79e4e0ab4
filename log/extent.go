package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// Extent is what the head of a channel tells, without taking the channel over.
type Extent struct {
	Generation uint32
	Epoch      schema.Epoch // of the last owner; 0: the channel never was opened
	Floor      uint64       // chunks up to it may be deleted
	Hint       uint64       // there are chunks up to it, at least
}

// ReadExtent reads the head of a channel.
func ReadExtent(ctx context.Context, s HeadStore, channel uint32) (Extent, error) {
	h, _, err := readHead(ctx, s, channel)
	if err != nil {
		return Extent{}, fmt.Errorf("extent of channel %d: %w", channel, err)
	}
	return Extent{Generation: h.Generation, Epoch: h.Epoch, Floor: h.Floor, Hint: h.Hint}, nil
}

// Holds reports whether a state that was made at a position in an epoch is one
// of this log, whose chunks lie in one store or three zones: ErrPrecondition if the
// log does not reach that far, as one that was put back to an earlier state. A
// position that the log begins after is ErrTrimmed.
func (x Extent) Holds(ctx context.Context, stores []ChunkStore, channel uint32, pos schema.Position, epoch schema.Epoch) error {
	switch {
	case epoch > x.Epoch:
		return fmt.Errorf("epoch %d, channel %d is at %d: %w", epoch, channel, x.Epoch, schema.ErrPrecondition)
	case pos.IsZero():
		return nil
	case pos.Generation != x.Generation:
		return fmt.Errorf("position %s, channel %d is in generation %d: %w", pos, channel, x.Generation, schema.ErrPrecondition)
	case pos.Chunk < x.Floor:
		return fmt.Errorf("position %s, channel %d begins after %d: %w", pos, channel, x.Floor, schema.ErrTrimmed)
	case pos.Chunk <= x.Hint:
		return nil
	}
	// A durable chunk is in more than half of the stores.
	absent := 0
	var errs []error
	for _, s := range stores {
		_, err := s.GetRange(ctx, chunk.Name(channel, pos), 0, chunk.HeaderSize)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, blob.ErrNotFound):
			absent++
		default:
			errs = append(errs, err)
		}
	}
	if 2*absent > len(stores) {
		return fmt.Errorf("position %s: channel %d ends before it: %w", pos, channel, schema.ErrPrecondition)
	}
	return fmt.Errorf("position %s of channel %d: %w", pos, channel, errors.Join(errs...))
}

// Epoch is the epoch in which this process owns the channel, or owned it.
func (c *Channel) Epoch() schema.Epoch { return c.owner().head.Epoch }
