package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// Chunk reads a durable chunk, from memory if it is there. It fails with
// schema.ErrNotFound for a position that is not durable, and schema.ErrTrimmed
// for one that is no longer kept. The chunk must not be changed.
func (c *Channel) Chunk(ctx context.Context, pos schema.Position) (*schema.Chunk, error) {
	ck, err := c.inMemory(pos)
	if ck != nil || err != nil {
		return ck, err
	}
	r, counts, err := c.read(ctx, pos, c.readWhole)
	if err != nil {
		return nil, err
	}
	if ck = r.chunk; !counts {
		ck = hollow(ck)
	}
	if len(ck.Groups) == 0 {
		if err := c.layout.kept(ctx, pos); err != nil {
			return nil, err
		}
	}
	c.cache.put(pos.Chunk, ck, chunkBytes(ck))
	return ck, nil
}

// inMemory checks a position and finds its chunk in the tail or the cache.
func (c *Channel) inMemory(pos schema.Position) (*schema.Chunk, error) {
	c.mu.RLock()
	ck := c.tail.getLocked(pos.Chunk)
	durable := c.durable
	c.mu.RUnlock()
	switch {
	case pos.Generation != c.generation || pos.Chunk == 0 || pos.Chunk > durable:
		return nil, fmt.Errorf("chunk %v, the last is %v: %w", pos, c.at(durable), schema.ErrNotFound)
	case ck != nil:
		return ck, nil
	default:
		return c.cache.get(pos.Chunk), nil
	}
}

// read reads from a chunk that is not in memory and reports whether it counts.
func (c *Channel) read(ctx context.Context, pos schema.Position, fn readFunc) (reading, bool, error) {
	r, err := c.layout.read(ctx, pos.Chunk, fn)
	counts := false
	if err == nil {
		counts, err = c.layout.counts(ctx, r.header)
	}
	if err != nil {
		return reading{}, false, c.missing(ctx, err, pos)
	}
	return r, counts, nil
}

// missing says what it means that the store lacks a durable chunk. The floor may
// have been raised by others since the head was read.
func (c *Channel) missing(ctx context.Context, err error, pos schema.Position) error {
	if !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	floor := c.floor()
	if pos.Chunk > floor {
		h, _, herr := readHead(ctx, c.heads, c.o.Channel)
		if herr != nil {
			return fmt.Errorf("why chunk %v is missing: %w", pos, herr)
		}
		if floor = h.Floor; pos.Chunk <= floor && c.archive != nil { // others made segments, too
			if rerr := c.archive.Reload(ctx); rerr != nil {
				return rerr
			}
		}
	}
	if pos.Chunk <= floor {
		return c.trimmed(pos, floor)
	}
	return fmt.Errorf("chunk %v is missing (%v): %w", pos, err, schema.ErrCorrupt)
}

func (c *Channel) trimmed(pos schema.Position, floor uint64) error {
	return fmt.Errorf("chunk %v, the log begins after %d: %w", pos, floor, schema.ErrTrimmed)
}

// header reads the header of chunk n.
func (c *Channel) header(ctx context.Context, n uint64) (chunk.Header, error) {
	r, err := c.layout.read(ctx, n, c.readHeader)
	return r.header, err
}

// hollow is what readers see of a void chunk.
func hollow(ck *schema.Chunk) *schema.Chunk {
	return &schema.Chunk{Position: ck.Position, Epoch: ck.Epoch, TimeMicros: ck.TimeMicros, Bytes: ck.Bytes}
}

// Group reads one collection's group of a durable chunk, and its commit time.
// What is not in memory costs two ranged reads. It fails as Chunk does, and
// with schema.ErrNotFound if the chunk has no such group.
func (c *Channel) Group(ctx context.Context, pos schema.Position, id schema.Instance) (schema.Group, int64, error) {
	none := func() (schema.Group, int64, error) {
		return schema.Group{}, 0, fmt.Errorf("instance %d in chunk %v: %w", id, pos, schema.ErrNotFound)
	}
	ck, err := c.inMemory(pos)
	if err != nil {
		return schema.Group{}, 0, err
	}
	if ck != nil {
		if g, ok := ck.Group(id); ok {
			return g, ck.TimeMicros, nil
		}
		return none()
	}
	r, counts, err := c.read(ctx, pos, c.readGroup(id))
	if err != nil {
		return schema.Group{}, 0, err
	}
	if !counts || r.group == nil {
		if err := c.layout.kept(ctx, pos); err != nil {
			return schema.Group{}, 0, err
		}
		return none()
	}
	return *r.group, r.header.TimeMicros, nil
}

// Check reads all chunks from a position on, up to the last durable one, in
// order and from the store, not from memory. It stops at the first error, fn's
// included. The chunk may be kept.
func (c *Channel) Check(ctx context.Context, from schema.Position, fn func(*schema.Chunk) error) error {
	if from.Generation > c.generation {
		return nil
	}
	return c.scan(ctx, max(from.Chunk, c.floor()+1), c.durableNumber(), fn)
}

// readAhead is how many chunks scan reads at a time.
const readAhead = 4

// scan reads the chunks from one number to another, in order. fn
// sees void ones without groups.
func (c *Channel) scan(ctx context.Context, from, to uint64, fn func(*schema.Chunk) error) error {
	if from > to {
		return nil
	}
	counts, err := c.layout.inOrder(ctx, from, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		reading
		err error
	}
	ahead := make(chan chan result, readAhead)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(ahead)
		for n := from; n <= to && ctx.Err() == nil; n++ {
			r := make(chan result, 1)
			ahead <- r // taken below until it is closed
			go func() {
				got, err := c.layout.read(ctx, n, c.readWhole)
				r <- result{got, err}
			}()
		}
	}()
	defer func() {
		cancel()
		for r := range ahead {
			<-r
		}
		<-ended
	}()
	n := from
	e := empties{c: c, fn: fn}
	for r := range ahead {
		got := <-r
		if got.err != nil {
			return c.missing(ctx, got.err, c.at(n))
		}
		if !counts(got.header) {
			got.chunk = hollow(got.chunk)
		}
		if err := e.add(ctx, got.chunk); err != nil {
			return err
		}
		n++
	}
	if err := e.flush(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// empties holds chunks without changes back until the next that has some, so
// that one look at the head tells of all of them that they are kept.
type empties struct {
	c    *Channel
	fn   func(*schema.Chunk) error
	held []*schema.Chunk
}

// maxEmpties bounds what is held back.
const maxEmpties = 256

func (e *empties) add(ctx context.Context, ck *schema.Chunk) error {
	if len(ck.Groups) == 0 && len(e.held) < maxEmpties {
		e.held = append(e.held, ck)
		return nil
	}
	if err := e.flush(ctx); err != nil {
		return err
	}
	if len(ck.Groups) == 0 {
		return e.add(ctx, ck)
	}
	return e.fn(ck)
}

func (e *empties) flush(ctx context.Context) error {
	if len(e.held) == 0 {
		return nil
	}
	if err := e.c.layout.kept(ctx, e.held[0].Position); err != nil {
		return err
	}
	for _, ck := range e.held {
		if err := e.fn(ck); err != nil {
			return err
		}
	}
	e.held = e.held[:0]
	return nil
}
