package segment

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/trinedb/trine/schema"
)

// tailGuess is how much of a segment's end is read in the hope that all of its
// tail is in it: 1.5 million collections in 256 MiB of blocks.
const tailGuess = 2 << 20

// Reader reads one segment. It is safe for concurrent use, holds no connection
// and need not be closed.
type Reader struct {
	src  Source
	dec  *Decoder
	ref  Ref
	name string
	tail *tail
	gets atomic.Int64
}

// Open reads the end of a segment: one ranged read, two if index and filter are
// longer than 2 MiB. It fails with blob.ErrNotFound if there is no such segment:
// one that holds the same changes was made since.
func Open(ctx context.Context, src Source, dec *Decoder, ref Ref) (*Reader, error) {
	t, gets, err := readTail(ctx, src, ref)
	if err != nil {
		return nil, err
	}
	t.filter.bits = bytes.Clone(t.filter.bits) // not to hold all that was read
	r := &Reader{src: src, dec: dec, ref: ref, name: ref.Name(), tail: t}
	r.gets.Store(gets)
	return r, nil
}

// readTail reads the tail of a segment, and tells how many reads it took.
func readTail(ctx context.Context, src Source, ref Ref) (*tail, int64, error) {
	name, gets := ref.Name(), int64(1)
	end, err := src.GetRange(ctx, name, -tailGuess, tailGuess)
	if err != nil {
		return nil, gets, fmt.Errorf("open segment: %w", err)
	}
	whole := len(end) < tailGuess
	n, err := tailSize(name, end)
	if err != nil {
		return nil, gets, err
	}
	if have := int64(len(end)); n > have && !whole {
		gets++
		front, err := src.GetRange(ctx, name, -n, n-have)
		if err != nil {
			return nil, gets, fmt.Errorf("open segment: %w", err)
		}
		end = append(front, end...)
	}
	t, err := decodeTail(name, ref, end)
	if err != nil {
		return nil, gets, err
	}
	if whole && int64(len(end)) != t.info.Bytes {
		return nil, gets, corrupt(name, 0, "the object has %d bytes, its trailer tells of %d", len(end), t.info.Bytes)
	}
	return t, gets, nil
}

// Ref names the segment.
func (r *Reader) Ref() Ref { return r.ref }

// Info tells what the segment holds.
func (r *Reader) Info() Info { return r.tail.info }

// Gets is how many ranged reads were made, that of Open among them.
func (r *Reader) Gets() int64 { return r.gets.Load() }

// Memory is about how many bytes the Reader holds.
func (r *Reader) Memory() int64 {
	t := r.tail
	return int64(512 + 40*len(t.index) + len(t.filter.bits) + 8*len(t.filter.firsts) + 8*len(t.info.Empty))
}

// MayContain reports whether the segment may hold changes of a collection,
// without reading. Of collections that it does not hold it says so of all but
// about one in a hundred.
func (r *Reader) MayContain(id schema.Instance) bool {
	lo, hi := r.tail.index.find(id, 0)
	return lo < hi && r.tail.filter.has(id)
}

// Read yields a collection's changes from a Seq on, in order; the first group
// begins there if the segment holds the Seq. One error may come, last. It costs
// a ranged read for each ReadAhead bytes, none if MayContain denies. Records may
// be kept; they hold on to the blocks that were read with them.
func (r *Reader) Read(ctx context.Context, id schema.Instance, from schema.Seq) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		c := r.seek(id, from, r.ref.From, r.ref.To)
		for {
			g, ok, err := c.next(ctx)
			if err != nil {
				yield(Group{}, err)
				return
			}
			if !ok || !yield(g, nil) {
				return
			}
		}
	}
}

// cursor gives a collection's changes in one segment.
type cursor struct {
	scan
	id       schema.Instance
	from     schema.Seq
	low      uint64 // chunks before it and
	high     uint64 // after it are left out
	below    bool   // changes below from were met: no older segment has any from it on
	finished bool
}

// seek places a cursor on the changes from a Seq on, of the chunks low to high.
// Nothing is read.
func (r *Reader) seek(id schema.Instance, from schema.Seq, low, high uint64) *cursor {
	c := &cursor{scan: scan{r: r, ahead: ReadAhead}, id: id, from: from, low: low, high: high}
	if c.finished = !r.tail.filter.has(id); !c.finished {
		c.lo, c.hi = r.tail.index.find(id, from)
	}
	return c
}

// next gives the next group, and reports whether there is one.
func (c *cursor) next(ctx context.Context) (Group, bool, error) {
	for !c.finished {
		ok, err := c.scan.next(ctx)
		if err != nil {
			return Group{}, false, err
		}
		if !ok || c.block.run.instance > c.id {
			c.finished = true
			break
		}
		run := &c.block.run
		if run.instance < c.id {
			continue
		}
		c.below = c.below || run.first < c.from && run.number >= c.low
		if run.next() <= c.from || run.number < c.low || run.number > c.high {
			continue
		}
		g, err := run.group(&c.block.parser, c.r.ref, c.from)
		return g, err == nil, err
	}
	return Group{}, false, nil
}

// Check reads the whole segment and compares all that it says: each sum, the
// order of changes, counts, index and filter. It reads without hurry and keeps
// little in memory.
func (r *Reader) Check(ctx context.Context) error {
	s := scan{r: r, hi: len(r.tail.index), ahead: ReadAhead, reuse: true}
	var last run
	var changes, instances, raw uint64
	for {
		ok, err := s.next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		b := s.block
		if !b.run.follows(&last) {
			return b.fail("seq %d of instance %d after %d of %d", b.run.first, b.run.instance, last.first, last.instance)
		}
		if _, err := b.run.group(&b.parser, r.ref, 0); err != nil {
			return err
		}
		if b.run.instance != last.instance {
			if instances++; !r.tail.filter.has(b.run.instance) {
				return b.fail("the filter denies instance %d", b.run.instance)
			}
		}
		changes += uint64(b.run.count)
		last = b.run
	}
	for i := range r.tail.index {
		raw += uint64(r.tail.index[i].raw)
	}
	if i := r.tail.info; changes != i.Changes || instances != i.Instances || raw != i.RawBytes {
		return corrupt(r.name, r.tail.start, "holds %d changes of %d collections in %d bytes, its footer tells of %d, %d, %d",
			changes, instances, raw, i.Changes, i.Instances, i.RawBytes)
	}
	return nil
}
