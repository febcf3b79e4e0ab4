package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// footerGuess is how much of a chunk's end is read in the hope that the whole
// footer is in it: some 4,000 groups.
const footerGuess = 64 << 10

// Chunk reads a durable chunk, from memory if it is there. It fails with
// schema.ErrNotFound for a position that is not durable, and schema.ErrTrimmed
// for one that is no longer kept. The chunk must not be changed.
func (c *Channel) Chunk(ctx context.Context, pos schema.Position) (*schema.Chunk, error) {
	ck, err := c.inMemory(pos)
	if ck != nil || err != nil {
		return ck, err
	}
	if ck, err = c.load(ctx, pos.Chunk); err != nil {
		return nil, c.missing(ctx, err, pos)
	}
	highest, err := c.highest(ctx, pos.Chunk, ck.Epoch, c.durableNumber())
	if err != nil {
		return nil, c.missing(ctx, err, pos)
	}
	if ck.Epoch < highest {
		ck = hollow(ck)
	}
	if len(ck.Groups) == 0 {
		if err := c.kept(ctx, pos); err != nil {
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

// missing says what it means that the store lacks a durable chunk. The floor may
// have been raised by others since the head was read.
func (c *Channel) missing(ctx context.Context, err error, pos schema.Position) error {
	if !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	floor := c.floor()
	if pos.Chunk > floor {
		h, _, herr := readHead(ctx, c.o.Store, c.o.Channel)
		if herr != nil {
			return fmt.Errorf("why chunk %v is missing: %w", pos, herr)
		}
		floor = h.Floor
	}
	if pos.Chunk <= floor {
		return c.trimmed(pos, floor)
	}
	return fmt.Errorf("chunk %v is missing (%v): %w", pos, err, schema.ErrCorrupt)
}

func (c *Channel) trimmed(pos schema.Position, floor uint64) error {
	return fmt.Errorf("chunk %v, the log begins after %d: %w", pos, floor, schema.ErrTrimmed)
}

// kept makes sure that what was read of a chunk without changes counts: that the
// floor, read after it, is below. Below the floor, where a chunk was deleted, the
// fence of a take-over that came late may lie; what has changes is what it was.
func (c *Channel) kept(ctx context.Context, pos schema.Position) error {
	h, _, err := readHead(ctx, c.o.Store, c.o.Channel)
	switch {
	case err != nil:
		return fmt.Errorf("whether chunk %v is kept: %w", pos, err)
	case pos.Chunk <= h.Floor:
		return c.trimmed(pos, h.Floor)
	default:
		return nil
	}
}

// load reads and checks a whole chunk from the store, also a void one.
func (c *Channel) load(ctx context.Context, n uint64) (*schema.Chunk, error) {
	pos := c.at(n)
	name := chunk.Name(c.o.Channel, pos)
	data, err := c.o.Store.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read chunk %v: %w", pos, err)
	}
	_, ck, err := c.dec.Decode(name, c.o.Channel, pos, data)
	if err != nil {
		return nil, err
	}
	return ck, nil
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
	name := chunk.Name(c.o.Channel, pos)
	f, tail, err := c.footer(ctx, name, pos)
	if err != nil {
		return schema.Group{}, 0, c.missing(ctx, err, pos)
	}
	e, ok := f.Find(id)
	if !ok {
		if err := c.kept(ctx, pos); err != nil {
			return schema.Group{}, 0, err
		}
		return none()
	}
	if highest, err := c.highest(ctx, pos.Chunk, f.Header.Epoch, c.durableNumber()); err != nil {
		return schema.Group{}, 0, c.missing(ctx, err, pos)
	} else if f.Header.Epoch < highest {
		if err := c.kept(ctx, pos); err != nil {
			return schema.Group{}, 0, err
		}
		return none()
	}
	var block []byte
	if from := e.Offset - (f.Size - int64(len(tail))); from >= 0 {
		block = tail[from : from+e.Length()]
	} else if block, err = c.o.Store.GetRange(ctx, name, e.Offset, e.Length()); err != nil {
		return schema.Group{}, 0, c.missing(ctx, err, pos)
	}
	g, err := c.dec.Group(name, e, block)
	return g, f.Header.TimeMicros, err
}

// footer reads a chunk's footer, and gives the part of the chunk's end that was
// read for it.
func (c *Channel) footer(ctx context.Context, name string, pos schema.Position) (*chunk.Footer, []byte, error) {
	tail, err := c.o.Store.GetRange(ctx, name, -footerGuess, footerGuess)
	if err != nil {
		return nil, nil, fmt.Errorf("read footer of chunk %v: %w", pos, err)
	}
	n, err := chunk.FooterSize(name, tail)
	if err != nil {
		return nil, nil, err
	}
	if n > int64(len(tail)) && len(tail) == footerGuess {
		if tail, err = c.o.Store.GetRange(ctx, name, -n, n); err != nil {
			return nil, nil, fmt.Errorf("read footer of chunk %v: %w", pos, err)
		}
	}
	f, err := chunk.DecodeFooter(name, c.o.Channel, pos, tail)
	if err != nil {
		return nil, nil, err
	}
	if int64(len(tail)) > f.Size {
		return nil, nil, fmt.Errorf("chunk %s has more than the %d bytes that it tells of: %w", name, f.Size, schema.ErrCorrupt)
	}
	return f, tail, nil
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

// scan reads the chunks from one number to another, in order. Chunks of an
// epoch below one seen before are void: fn sees them without groups.
func (c *Channel) scan(ctx context.Context, from, to uint64, fn func(*schema.Chunk) error) error {
	if from > to {
		return nil
	}
	highest, err := c.highestBefore(ctx, from, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		ck  *schema.Chunk
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
				ck, err := c.load(ctx, n)
				r <- result{ck, err}
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
		if highest = max(highest, got.ck.Epoch); got.ck.Epoch < highest {
			got.ck = hollow(got.ck)
		} else {
			c.epochs.counts(n, highest)
		}
		if err := e.add(ctx, got.ck); err != nil {
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
	if err := e.c.kept(ctx, e.held[0].Position); err != nil {
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
