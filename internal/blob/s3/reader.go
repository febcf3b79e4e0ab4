package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// reader reads one object in blocks that it keeps a while. Reads of one block
// at the same time share a request, a missing run of blocks is one request, and
// reads in order read ahead. Every request demands the ETag that Open met.
type reader struct {
	s      *Store
	ctx    context.Context // ReadAt has none of its own
	cancel func()
	name   string
	size   int64
	etag   string
	unit   int64 // bytes of a block

	mu     sync.Mutex
	blocks map[int64]*block // by offset / unit
	clock  uint64           // of block.used
	next   int64            // where the last read ended
	ahead  int64            // blocks to read ahead
}

// block is a part of the object, or the promise of one.
type block struct {
	ready chan struct{} // closed once data or err is there
	data  []byte
	err   error
	used  uint64
}

// Open opens an object for reading, by one request for its end, which is kept:
// a small object, or a footer, costs no other. ctx bounds the Reader's requests
// until Close.
func (s *Store) Open(ctx context.Context, name string) (blob.Reader, error) {
	if err := s.ready(ctx, name); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	unit := int64(s.o.BlockBytes)
	p, err := s.get(ctx, name, span{off: -unit, n: unit})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	// An object has an end unless it is empty: then size is -1.
	r := &reader{s: s, name: name, size: max(p.size, 0), etag: p.etag, unit: unit, blocks: map[int64]*block{}, next: -1}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if r.size > 0 {
		last := (r.size - 1) / unit
		begin := last*unit - (r.size - int64(len(p.data)))
		r.blocks[last] = newBlock()
		r.blocks[last].fill(append([]byte(nil), p.data[begin:]...), nil)
	}
	return r, nil
}

func newBlock() *block { return &block{ready: make(chan struct{})} }

func (b *block) fill(data []byte, err error) {
	b.data, b.err = data, err
	close(b.ready)
}

// Size is the object's length in bytes.
func (r *reader) Size() int64 { return r.size }

// Close ends requests under way and drops what was kept.
func (r *reader) Close() error {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks = nil
	return nil
}

// ReadAt reads into p as io.ReaderAt wants it.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s at %d: %w", r.name, off, schema.ErrInvalid)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.size-off)]
	n, err := r.read(want, off)
	if err != nil {
		return n, fmt.Errorf("read %s at %d: %w", r.name, off, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *reader) read(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) >= int64(r.s.o.ReaderCacheBytes)/2 { // it would push all else out
		data, err := r.fetch(off, int64(len(p)))
		return copy(p, data), err
	}
	first, last := off/r.unit, (off+int64(len(p))-1)/r.unit
	blocks, runs, err := r.claim(first, last, off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	for _, run := range runs {
		r.fill(run)
	}
	n := 0
	for i, b := range blocks {
		select {
		case <-b.ready:
		case <-r.ctx.Done():
			return n, r.ended()
		}
		if b.err != nil {
			return n, b.err
		}
		begin := max(0, off-(first+int64(i))*r.unit)
		n += copy(p[n:], b.data[begin:])
	}
	return n, nil
}

// run is a sequence of blocks that one request fills.
type run struct {
	first  int64
	blocks []*block
}

// claim finds the blocks of a read, and makes those that are missing, which the
// caller must fill.
func (r *reader) claim(first, last, off, n int64) ([]*block, []run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blocks == nil {
		return nil, nil, schema.ErrClosed
	}
	if off == r.next {
		r.ahead = min(max(2*r.ahead, 1), int64(r.s.o.ReadAheadBytes)/r.unit, int64(r.s.o.ReaderCacheBytes)/r.unit/2)
	} else {
		r.ahead = 0
	}
	r.next = off + n
	var blocks []*block
	var runs []run
	open := false // the last run ends just before i
	final := (r.size - 1) / r.unit
	for i := first; i <= min(last+r.ahead, final); i++ {
		b := r.blocks[i]
		if i > last && (b != nil || !open) {
			break // ahead is read only along with what is missing
		}
		if b != nil {
			open = false
		} else {
			b = newBlock()
			r.blocks[i] = b
			if !open {
				runs = append(runs, run{first: i})
			}
			open = true
			runs[len(runs)-1].blocks = append(runs[len(runs)-1].blocks, b)
		}
		r.clock++
		b.used = r.clock
		if i <= last {
			blocks = append(blocks, b)
		}
	}
	r.evictLocked()
	return blocks, runs, nil
}

// evictLocked drops the blocks that were not used for longest. Blocks that are
// awaited stay.
func (r *reader) evictLocked() {
	for int64(len(r.blocks))*r.unit > int64(r.s.o.ReaderCacheBytes) {
		oldest := int64(-1)
		for i, b := range r.blocks {
			select {
			case <-b.ready:
				if oldest < 0 || b.used < r.blocks[oldest].used {
					oldest = i
				}
			default:
			}
		}
		if oldest < 0 {
			return
		}
		delete(r.blocks, oldest)
	}
}

// fill reads a run. If that fails its blocks are forgotten, so that the next
// read tries again.
func (r *reader) fill(x run) {
	off := x.first * r.unit
	data, err := r.fetch(off, min(int64(len(x.blocks))*r.unit, r.size-off))
	if err != nil {
		r.mu.Lock()
		for i := range x.blocks {
			delete(r.blocks, x.first+int64(i))
		}
		r.mu.Unlock()
	}
	for i, b := range x.blocks {
		if err != nil {
			b.fill(nil, err)
			continue
		}
		begin := int64(i) * r.unit
		b.fill(data[begin:min(begin+r.unit, int64(len(data)))], nil)
	}
}

func (r *reader) fetch(off, n int64) ([]byte, error) {
	p, err := r.s.get(r.ctx, r.name, span{off: off, n: n, etag: r.etag})
	switch {
	case r.ctx.Err() != nil && err != nil:
		return nil, r.ended()
	case err != nil:
		return nil, err
	case int64(len(p.data)) != n:
		return nil, fmt.Errorf("object is shorter than the %d bytes it had: %w", r.size, schema.ErrCorrupt)
	}
	return p.data, nil
}

// ended tells whether Close ended the reader, or Open's context.
func (r *reader) ended() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blocks == nil {
		return schema.ErrClosed
	}
	return errors.Join(schema.ErrUnavailable, r.ctx.Err())
}
