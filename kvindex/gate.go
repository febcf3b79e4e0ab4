package kvindex

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/trinedb/trine/schema"
)

// gate counts operations under way, so that Close waits for them: a read from
// an unmapped file would kill the process. Unlike a RWMutex it can be entered
// again by who is inside, and costs one atomic each way.
type gate struct {
	state   atomic.Int64 // operations under way, and shutBit
	closing chan struct{}
	drained chan struct{}

	shutOnce, drainOnce, finishOnce sync.Once
	err                             error // of finishOnce
}

const shutBit = int64(1) << 62

func (g *gate) init() {
	g.closing, g.drained = make(chan struct{}), make(chan struct{})
}

// alive is asked by long operations now and then: it fails when the gate is
// shut or ctx ended.
func (g *gate) alive(ctx context.Context) error {
	if g.state.Load()&shutBit != 0 {
		return errClosed
	}
	return ctx.Err()
}

var errClosed = fmt.Errorf("index: %w", schema.ErrClosed)

// enter begins an operation; leave ends it if enter gave no error.
func (g *gate) enter() error {
	if g.state.Add(1)&shutBit != 0 {
		g.leave()
		return errClosed
	}
	return nil
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutBit {
		g.drain()
	}
}

// shut lets nobody in any more; the channel is closed when nobody is in.
func (g *gate) shut() <-chan struct{} {
	g.shutOnce.Do(func() {
		close(g.closing)
		if g.state.Or(shutBit) == 0 {
			g.drain()
		}
	})
	return g.drained
}

// drain may be called several times: those who are turned away at a shut gate
// count for a moment too.
func (g *gate) drain() { g.drainOnce.Do(func() { close(g.drained) }) }

// finish calls fn the first time, and gives its error each time.
func (g *gate) finish(fn func() error) error {
	g.finishOnce.Do(func() { g.err = fn() })
	return g.err
}
