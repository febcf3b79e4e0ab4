package log

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// findHead says what the head of a channel would be that has none: that of a new
// one, or of one whose head was lost, by what there is of chunks and segments;
// see docs/format/head.md. Its epoch is the highest of the
// chunks.
func (c *Channel) findHead(ctx context.Context, h *head) error {
	if err := c.openArchive(ctx); err != nil {
		return err
	}
	from := uint64(1)
	if c.archive != nil && c.archive.Set().To() > 0 {
		from = c.archive.Set().To()
	}
	highest, hole, err := c.highestFrom(ctx, from)
	if err != nil {
		return err
	}
	if from == 1 {
		h.Epoch = highest
		return c.mustEnd(ctx, hole, highest)
	}
	if hole == from {
		return fmt.Errorf("head %s is missing, segments hold the chunks up to %d, and chunk %s is missing too: restore it, and those behind it, with the head: %w",
			chunk.HeadName(c.o.Channel), from, chunk.Name(c.o.Channel, c.at(from)), schema.ErrCorrupt)
	}
	if h.FloorEpoch, err = c.archive.Epoch(ctx); err != nil {
		return err
	}
	h.Epoch, h.Floor, h.Hint = highest, from-1, from-1
	c.recovered = true
	c.o.Logger.Warn("head was lost: the floor is taken from the segments", "channel", c.o.Channel, "floor", h.Floor, "epoch", highest)
	return nil
}

// highestFrom is the highest epoch of the chunks from a number on, and the first
// number that has none.
func (c *Channel) highestFrom(ctx context.Context, n uint64) (highest schema.Epoch, hole uint64, err error) {
	for ; ; n++ {
		hdr, err := c.header(ctx, n)
		if errors.Is(err, blob.ErrNotFound) {
			return highest, n, nil
		}
		if err != nil {
			return 0, 0, err
		}
		highest = max(highest, hdr.Epoch)
	}
}

// mustEnd refuses a hole behind which there is more than what was in flight when
// the last owner died: chunks in it were deleted, or lost.
func (c *Channel) mustEnd(ctx context.Context, hole uint64, highest schema.Epoch) error {
	if c.o.Segments.Chunks == nil {
		return nil
	}
	name := chunk.Name(c.o.Channel, c.at(hole))
	folder := name[:strings.LastIndexByte(name, '/')+1]
	for found, err := range c.o.Segments.Chunks.List(ctx, folder, name) {
		if err != nil {
			return fmt.Errorf("look for chunks: %w", err)
		}
		near := false
		for n := hole + 1; n < hole+MaxInFlight && !near; n++ {
			near = found == chunk.Name(c.o.Channel, c.at(n))
			if !near {
				continue
			}
			hdr, err := c.header(ctx, n)
			if err != nil {
				return err
			}
			near = hdr.Epoch <= highest
			break
		}
		if !near {
			return fmt.Errorf("head %s is missing, and so is chunk %s, behind which there are others (%s), and there are no segments: give the store that holds the segments, or restore the head: %w",
				chunk.HeadName(c.o.Channel), name, found, schema.ErrCorrupt)
		}
	}
	return nil
}
