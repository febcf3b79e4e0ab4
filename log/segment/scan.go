package segment

import (
	"context"
	"fmt"
)

// scan reads neighbouring blocks of a segment and gives their runs in order.
type scan struct {
	r      *Reader
	lo, hi int   // the blocks that are to come
	ahead  int64 // most bytes that one ranged read asks for, unless a block is longer
	reuse  bool  // runs are not kept: memory is used again for each block

	fetched []byte // what was read and not used yet: blocks from lo on
	stored  []byte // the block at hand as it is stored
	block   *blockReader
	raw     []byte
}

// next moves to the next run, which is block.run, and reports whether there is
// one.
func (s *scan) next(ctx context.Context) (bool, error) {
	for {
		if s.block != nil {
			if ok, err := s.block.next(s.r.ref); ok || err != nil {
				return ok, err
			}
		}
		if ok, err := s.nextBlock(ctx); !ok || err != nil {
			return false, err
		}
	}
}

// nextBlock moves before the first run of the next block, and reports whether
// there is one.
func (s *scan) nextBlock(ctx context.Context) (bool, error) {
	s.block = nil
	if s.lo >= s.hi {
		return false, nil
	}
	if len(s.fetched) == 0 {
		if err := s.fetch(ctx); err != nil {
			return false, err
		}
	}
	e := &s.r.tail.index[s.lo]
	s.stored, s.fetched = s.fetched[:e.length()], s.fetched[e.length():]
	b, err := s.r.dec.open(s.r.name, e, s.stored, s.raw)
	if err != nil {
		return false, err
	}
	if s.reuse && e.zstd && cap(b.Buf) <= 4*BlockBytes {
		s.raw = b.Buf
	}
	s.block = b
	s.lo++
	return true, nil
}

// fetch reads the blocks that are next, with one ranged read.
func (s *scan) fetch(ctx context.Context) error {
	x := s.r.tail.index
	off, n := x[s.lo].offset, x[s.lo].length()
	for i := s.lo + 1; i < s.hi && n+x[i].length() <= s.ahead; i++ {
		n += x[i].length()
	}
	s.r.gets.Add(1)
	data, err := s.r.src.GetRange(ctx, s.r.name, off, n)
	if err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	if int64(len(data)) != n {
		return corrupt(s.r.name, off, "cut short: %d of %d bytes", len(data), n)
	}
	s.fetched = data
	return nil
}
