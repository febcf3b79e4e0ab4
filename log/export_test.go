package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Held tells how much the channel keeps in memory: entries for collections and
// for keys, and chunks.
func (c *Channel) Held() (collections, keys, chunks int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.seqs.entries), len(c.dedup), len(c.tail.chunks)
}

// RecodeHead decodes the bytes of a head and encodes it again.
func RecodeHead(data []byte) ([]byte, error) {
	h, err := decodeHead("head", 0, data)
	if err != nil {
		return nil, err
	}
	return h.encode()
}

// HeadOwner tells whose chunk counts at a number, by the bytes of a head.
func HeadOwner(data []byte, n uint64) (epoch uint64, counts bool, err error) {
	h, err := decodeHead("head", 0, data)
	if err != nil {
		return 0, false, err
	}
	e, ok := h.ownerOf(n)
	return uint64(e), ok, nil
}

// HeadSealed tells who serves, and up to where all is decided, by the bytes of a
// head.
func HeadSealed(data []byte) (serves, sealed uint64, err error) {
	h, err := decodeHead("head", 0, data)
	return uint64(h.Serves), h.Sealed, err
}

// HeadFloor tells the floor, by the bytes of a head.
func HeadFloor(data []byte) (uint64, error) {
	h, err := decodeHead("head", 0, data)
	return h.Floor, err
}

// Holes are numbers of chunks that a zone lacks.
type Holes struct{ h holes }

func (h *Holes) Add(n uint64)          { h.h.add(n) }
func (h *Holes) Remove(n uint64)       { h.h.remove(n) }
func (h *Holes) First() (uint64, bool) { return h.h.first() }
func (h *Holes) Count() uint64         { return h.h.count() }

// Collect raises the floor of a channel in three zones, as its owner, and deletes
// what counts up to there. A zone that is away keeps it.
func (c *Channel) Collect(ctx context.Context, floor uint64, epoch schema.Epoch) error {
	c.heading <- struct{}{}
	defer func() { <-c.heading }()
	own := c.owner()
	before := own.head
	if floor <= before.Floor {
		return nil
	}
	before.cover(floor)
	own.head.raise(floor, epoch)
	v, err := own.head.swap(ctx, c.heads, own.version)
	if err != nil {
		return err
	}
	own.version = v
	c.setOwner(own)
	var errs []error
	for n := c.o.Applied.Chunk; n <= floor; n++ {
		if _, counts := before.ownerOf(n); counts && n > 0 {
			errs = append(errs, c.layout.remove(ctx, n))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}
