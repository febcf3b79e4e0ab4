package log

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// layout is where the chunks of a channel lie and how its writers keep out of
// each other's way there: single, one store, or zones, three of them. All else of
// the channel is the same for both. It is safe for concurrent use.
type layout interface {
	chunkOwner
	chunkWriter
	chunkReader
}

// chunkOwner takes a channel over. It is called by one goroutine at a time.
type chunkOwner interface {
	// admit checks that a head is of this layout, and makes a new one so: lost
	// says that there was none. It fails with schema.ErrCorrupt if there were
	// chunks that cannot be read without the one that was lost.
	admit(ctx context.Context, h *head, lost bool) error
	// secure makes it impossible for earlier owners to add a chunk, once own.head
	// has the new epoch, and finds out which of theirs count. Chunks up to known
	// are durable, from before this writer took the channel over anew. made says
	// that there was no head. If a chunk of a higher epoch ends the attempt,
	// secure tells that with schema.ErrFenced.
	secure(ctx context.Context, own ownership, known uint64, made bool) (ownership, schema.Epoch, error)
}

// chunkWriter adds chunks, for the owner.
type chunkWriter interface {
	// put makes a chunk durable. free is called, once, when data is the caller's
	// again, which may be after put has returned. An error that is none of
	// blob.NoEffect's leaves the outcome open, but for errForeign.
	put(ctx context.Context, hdr chunk.Header, data []byte, free func()) error
	// remove deletes what there is of a chunk at or below the floor.
	remove(ctx context.Context, n uint64) error
	// close waits for what goes on after put has returned, and lets cancel, which
	// ends it, cut that short.
	close(cancel context.CancelFunc)
}

// chunkReader reads chunks that are durable.
type chunkReader interface {
	// read has fn read from the chunk at n, in a store that has it; it may do so
	// several times, also at once. blob.ErrNotFound: there is no chunk.
	read(ctx context.Context, n uint64, fn readFunc) (reading, error)
	// counts reports whether what was read counts, or is void.
	counts(ctx context.Context, hdr chunk.Header) (bool, error)
	// inOrder is counts for the chunks from one number to another, which it is
	// asked about one after the other.
	inOrder(ctx context.Context, from, to uint64) (func(chunk.Header) bool, error)
	// kept makes sure that what was read of a chunk without changes was not of one
	// at or below the floor, where what is found is not to be believed; else it
	// fails with schema.ErrTrimmed.
	kept(ctx context.Context, pos schema.Position) error
}

// reading is what was read of a chunk: its header, and what else fn wanted.
type reading struct {
	header chunk.Header
	chunk  *schema.Chunk // the whole
	data   []byte        // its bytes
	group  *schema.Group // one collection's
}

// readFunc reads from the chunk at a number.
type readFunc func(ctx context.Context, s rangeReader, n uint64) (reading, error)

// rangeReader is what a readFunc needs of a store.
type rangeReader interface {
	Get(ctx context.Context, name string) ([]byte, error)
	GetRange(ctx context.Context, name string, off, n int64) ([]byte, error)
}

func (c *Channel) name(n uint64) string { return chunk.Name(c.o.Channel, c.at(n)) }

// readHeader is a readFunc for the header alone.
func (c *Channel) readHeader(ctx context.Context, s rangeReader, n uint64) (reading, error) {
	data, err := s.GetRange(ctx, c.name(n), 0, chunk.HeaderSize)
	if err != nil {
		return reading{}, fmt.Errorf("read header of chunk %v: %w", c.at(n), err)
	}
	hdr, err := chunk.DecodeHeader(c.name(n), c.o.Channel, c.at(n), data)
	return reading{header: hdr}, err
}

// readWhole is a readFunc for the whole chunk, which it checks.
func (c *Channel) readWhole(ctx context.Context, s rangeReader, n uint64) (reading, error) {
	data, err := s.Get(ctx, c.name(n))
	if err != nil {
		return reading{}, fmt.Errorf("read chunk %v: %w", c.at(n), err)
	}
	hdr, ck, err := c.dec.Decode(c.name(n), c.o.Channel, c.at(n), data)
	return reading{header: hdr, chunk: ck, data: data}, err
}

// readGroup is a readFunc for one collection's records, by two ranged reads.
func (c *Channel) readGroup(id schema.Instance) readFunc {
	return func(ctx context.Context, s rangeReader, n uint64) (reading, error) {
		f, tail, err := c.footer(ctx, s, n)
		if err != nil {
			return reading{}, err
		}
		r := reading{header: f.Header}
		e, ok := f.Find(id)
		if !ok {
			return r, nil
		}
		var block []byte
		if from := e.Offset - (f.Size - int64(len(tail))); from >= 0 {
			block = tail[from : from+e.Length()]
		} else if block, err = s.GetRange(ctx, c.name(n), e.Offset, e.Length()); err != nil {
			return reading{}, fmt.Errorf("read block of chunk %v: %w", c.at(n), err)
		}
		g, err := c.dec.Group(c.name(n), e, block)
		r.group = &g
		return r, err
	}
}

// footerGuess is how much of a chunk's end is read in the hope that the whole
// footer is in it: some 4,000 groups.
const footerGuess = 64 << 10

// footer reads a chunk's footer, and gives the part of the chunk's end that was
// read for it.
func (c *Channel) footer(ctx context.Context, s rangeReader, at uint64) (*chunk.Footer, []byte, error) {
	name, pos := c.name(at), c.at(at)
	tail, err := s.GetRange(ctx, name, -footerGuess, footerGuess)
	if err != nil {
		return nil, nil, fmt.Errorf("read footer of chunk %v: %w", pos, err)
	}
	n, err := chunk.FooterSize(name, tail)
	if err != nil {
		return nil, nil, err
	}
	if n > int64(len(tail)) && len(tail) == footerGuess {
		if tail, err = s.GetRange(ctx, name, -n, n); err != nil {
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
