package log

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

var (
	errSkipped = errors.New("a chunk before it failed") // it was not given to the store
	errForeign = errors.New("another writer's chunk is at our number")
)

// pipeline encodes and puts sealed chunks, in order, and gives them back with
// their outcome: one is at the store while the next is encoded. After a failure
// it skips all chunks of the same run, so that there is never a gap.
type pipeline struct {
	c       *Channel
	enc     *chunk.Encoder
	sealed  chan *building // bounded by depth, which the writer counts
	encoded chan *building // not buffered: one encoded chunk waits
	results chan *building // bounded by depth
	buffers chan []byte    // of encoded chunks, to use again
	wg      sync.WaitGroup
}

// depth is how many chunks the pipeline holds: one at the store, one ahead.
const depth = 2

// keepBuffer is the largest buffer that is used again.
const keepBuffer = 8 << 20

func startPipeline(ctx context.Context, c *Channel) (*pipeline, error) {
	enc, err := chunk.NewEncoder()
	if err != nil {
		return nil, err
	}
	p := &pipeline{
		c: c, enc: enc, sealed: make(chan *building, depth), encoded: make(chan *building),
		results: make(chan *building, depth), buffers: make(chan []byte, depth),
	}
	p.wg.Go(p.encode)
	p.wg.Go(func() { p.put(ctx) })
	return p, nil
}

// stop ends the pipeline, which must be empty.
func (p *pipeline) stop() {
	close(p.sealed)
	p.wg.Wait()
}

func (p *pipeline) encode() {
	defer close(p.encoded)
	for b := range p.sealed {
		var buf []byte
		select {
		case buf = <-p.buffers:
		default:
		}
		b.data, b.err = p.enc.Append(buf, b.header, b.chunk.Groups, b.chunk.Answers)
		b.chunk.Bytes = len(b.data)
		p.encoded <- b
	}
}

func (p *pipeline) put(ctx context.Context) {
	var failed uint64 // run
	var fenced bool
	for b := range p.encoded {
		switch {
		case fenced:
			b.err = errForeign
		case b.run == failed:
			b.err = errSkipped
		case b.err == nil:
			start := time.Now()
			b.err = p.putOne(ctx, b)
			b.put = time.Since(start)
		}
		if b.err != nil {
			failed = b.run
		}
		if cap(b.data) <= keepBuffer {
			select {
			case p.buffers <- b.data:
			default:
			}
		}
		b.data = nil
		stored, n := b.err == nil, b.number
		p.results <- b
		if stored && n%p.c.o.HintEvery == 0 {
			fenced = p.hint(ctx, n)
		}
	}
}

// putOne stores a chunk. An error that is not one of blob.NoEffect's, nor
// errForeign, leaves the outcome open.
func (p *pipeline) putOne(ctx context.Context, b *building) error {
	c := p.c
	err := c.o.Store.PutIfAbsent(ctx, chunk.Name(c.o.Channel, b.header.Position), b.data)
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	// A store may have tried more than once.
	occupant, herr := c.header(ctx, b.number)
	if herr != nil {
		return fmt.Errorf("who has our number: %v (%v)", herr, err)
	}
	if occupant.PutID == b.header.PutID {
		return nil
	}
	return fmt.Errorf("epoch %d, writer %q: %w", occupant.Epoch, occupant.WriterID, errForeign)
}

// hint updates the head and reports whether it belongs to another by now.
func (p *pipeline) hint(ctx context.Context, n uint64) bool {
	err := p.c.updateHint(ctx, n)
	if err != nil {
		p.c.o.Logger.Warn("head not updated", "channel", p.c.o.Channel, "chunk", n, "error", err)
	}
	return errors.Is(err, schema.ErrFenced)
}
