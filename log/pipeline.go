package log

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

var (
	errSkipped = errors.New("a chunk before it failed") // it was not given to the store
	errForeign = errors.New("another writer's chunk is at our number")
	errSealed  = errors.New("another writer took our number in one zone") // and may adopt our chunk from another
)

// pipeline encodes and puts sealed chunks, several at a time, and gives them
// back with their outcome in the order of their numbers. After a failure it
// skips the chunks behind of the same run that are not at the store yet.
//
// The window: a chunk is put only when all chunks InFlight or more numbers
// before it are stored. A take-over relies on that; see docs/format/head.md.
type pipeline struct {
	c       *Channel
	sealed  chan *building // bounded by depth, which the writer counts
	results chan *building // bounded by depth
	buffers chan []byte    // of encoded chunks, to use again
	wg      sync.WaitGroup

	hinting atomic.Bool
	due     atomic.Uint64 // what the head is to tell next; 0: nothing

	mu     sync.Mutex
	moved  sync.Cond   // the window moved, or something failed
	order  []*building // not given back yet, by number
	failed uint64      // the run that failed last
	from   uint64      // the first number of it that failed
	fenced bool        // the head belongs to another
	pace   pace
}

// depth is how many chunks the pipeline holds: those at the store, one ahead.
func (p *pipeline) depth() int { return p.c.o.InFlight + 1 }

// keepBuffer is the largest buffer that is used again.
const keepBuffer = 8 << 20

func startPipeline(ctx context.Context, c *Channel) (*pipeline, error) {
	p := &pipeline{c: c}
	n := p.depth()
	p.sealed, p.results, p.buffers = make(chan *building, n), make(chan *building, n), make(chan []byte, n)
	p.moved.L = &p.mu
	encoders := make([]*chunk.Encoder, n)
	for i := range encoders {
		var err error
		if encoders[i], err = chunk.NewEncoder(); err != nil {
			return nil, err
		}
	}
	for _, enc := range encoders {
		p.wg.Go(func() { p.work(ctx, enc) })
	}
	return p, nil
}

// submit hands a sealed chunk over; the writer sees to it that there is room.
func (p *pipeline) submit(b *building) {
	p.mu.Lock()
	p.order = append(p.order, b)
	p.mu.Unlock()
	p.sealed <- b
}

// stop ends the pipeline, which must be empty.
func (p *pipeline) stop() {
	close(p.sealed)
	p.wg.Wait()
}

func (p *pipeline) work(ctx context.Context, enc *chunk.Encoder) {
	for b := range p.sealed {
		var buf []byte
		select {
		case buf = <-p.buffers:
		default:
		}
		p.encode(enc, b, buf)
		if b.err = p.turn(b); b.err == nil {
			start := time.Now()
			b.err = p.store(ctx, b)
			b.put = time.Since(start)
		} else {
			p.reuse(b.data)
		}
		b.data = nil
		if p.done(b) {
			p.hint(ctx)
		}
	}
}

// reuse keeps the buffer of a chunk that nobody reads any more.
func (p *pipeline) reuse(data []byte) {
	if cap(data) > keepBuffer {
		return
	}
	select {
	case p.buffers <- data:
	default:
	}
}

// encode encodes a chunk, compressed if that is worth its time.
func (p *pipeline) encode(enc *chunk.Encoder, b *building, buf []byte) {
	p.mu.Lock()
	compress := p.pace.compress(b.bytes)
	p.mu.Unlock()
	enc.Compress(compress)
	start := time.Now()
	b.data, b.err = enc.Append(buf, b.header, b.chunk.Groups, b.chunk.Answers)
	b.chunk.Bytes = len(b.data)
	since(p.c.metrics.stages.encode, start)
	if compress {
		p.mu.Lock()
		p.pace.encoded(b.bytes, time.Since(start))
		p.mu.Unlock()
	}
}

// turn waits until a chunk may be put, or tells why it will not be.
func (p *pipeline) turn(b *building) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case b.err != nil:
			return b.err
		case p.fenced:
			return errForeign
		case b.run == p.failed && b.number > p.from:
			return errSkipped
		case b.number < p.order[0].number+uint64(p.c.o.InFlight):
			return nil
		}
		p.moved.Wait()
	}
}

// done gives back b, and those behind that waited for it. It reports whether there
// is something due that the head should tell.
func (p *pipeline) done(b *building) (hint bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.done = true
	if b.err != nil {
		if p.failed != b.run {
			p.failed, p.from = b.run, b.number
		}
		p.from = min(p.from, b.number)
	} else {
		p.pace.stored(b.put)
	}
	for len(p.order) > 0 && p.order[0].done {
		front := p.order[0]
		p.order = p.order[1:]
		if front.number%p.c.o.HintEvery == 0 && (front.run != p.failed || front.number < p.from) {
			p.due.Store(front.number)
			hint = true
		}
		p.results <- front
	}
	p.moved.Broadcast()
	return hint
}

// hint lets the head tell up to where chunks are durable, and puts nothing more if
// it belongs to another by now. One worker at a time does that: the store of the
// head may be slow, or away, and chunks do not wait for it. What came meanwhile it
// tells next.
func (p *pipeline) hint(ctx context.Context) {
	for p.hinting.CompareAndSwap(false, true) {
		n := p.due.Swap(0)
		var err error
		if n > 0 {
			err = p.c.updateHint(ctx, n)
		}
		p.hinting.Store(false)
		if n == 0 {
			return
		}
		if errors.Is(err, schema.ErrFenced) {
			p.mu.Lock()
			p.fenced = true
			p.moved.Broadcast()
			p.mu.Unlock()
		}
		if err != nil {
			p.c.o.Logger.Warn("head not updated", "channel", p.c.o.Channel, "chunk", n, "error", err)
			return
		}
	}
}
