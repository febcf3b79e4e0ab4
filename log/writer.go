package log

import (
	"context"
	"time"

	"github.com/trinedb/trine/log/chunk"
)

// writer is the one goroutine that sequences batches and calls the Stager.
type writer struct {
	c    *Channel
	pipe *pipeline

	open     *building   // being filled; its number is the next
	flying   []*building // in the pipeline, in order
	held     *pending    // taken from the queue, waits for room
	linger   *time.Timer
	lingered bool
	gather   gather
	spacing  spacing
	run      uint64
	lastTime int64

	failing bool // the pipeline is being emptied after a failure
	failed  []*building
	cause   error
	fenced  bool
	closing bool
}

func (c *Channel) startWriter(ctx context.Context, next uint64, lastTime int64) error {
	pipe, err := startPipeline(ctx, c)
	if err != nil {
		return err
	}
	w := &writer{c: c, pipe: pipe, lastTime: lastTime, run: 1, linger: time.NewTimer(time.Hour)}
	w.linger.Stop()
	w.open = &building{number: next, run: w.run}
	go w.loop(ctx)
	return nil
}

func (w *writer) loop(ctx context.Context) {
	c, aborted := w.c, ctx.Done()
	for !w.finished() {
		in, closing := c.in, c.closing
		if !w.hungry() {
			in = nil
		}
		if w.closing {
			closing = nil
		}
		select {
		case p := <-in:
			w.accept(p)
			w.drain()
		case b := <-w.pipe.results:
			w.landed(ctx, b)
		case <-w.linger.C:
			w.lingered = !w.open.empty()
			if w.open.empty() {
				w.gather.end(0)
			}
		case <-c.wake:
		case <-closing:
			w.closing = true
			w.drain()
		case <-aborted:
			aborted, w.closing = nil, true
			w.abandon()
		}
		w.seal()
	}
	w.linger.Stop()
	w.pipe.stop()
	c.stopped(ctx)
}

// finished reports whether the channel was closed and nothing is left to do.
func (w *writer) finished() bool {
	return w.closing && len(w.flying) == 0 && w.held == nil && w.open.empty() && len(w.c.in) == 0
}

// hungry reports whether another batch may be taken from the queue.
func (w *writer) hungry() bool {
	if w.failing || w.held != nil || w.open.bytes >= int64(w.c.o.MaxChunkBytes) {
		return false
	}
	return w.closing || w.c.unapplied.Load() <= w.c.o.MaxUnappliedBytes
}

// drain takes what is in the queue as far as there is room.
func (w *writer) drain() {
	for w.hungry() {
		select {
		case p := <-w.c.in:
			w.accept(p)
		default:
			return
		}
	}
}

// accept sequences a batch, or holds it if it does not fit into the open chunk.
func (w *writer) accept(p *pending) {
	if !w.open.empty() && w.open.bytes+p.bytes > int64(w.c.o.MaxChunkBytes) {
		w.held = p
		return
	}
	if !p.state.CompareAndSwap(queued, taken) {
		return // its sender gave up
	}
	if w.fenced {
		w.c.finish(p, Ack{}, w.c.refusing())
		return
	}
	since(w.c.metrics.stages.queue, p.start)
	start := time.Now()
	groups, err := w.decide(p)
	since(w.c.metrics.stages.decide, start)
	if err == nil && len(groups) > 0 {
		err = w.sequence(p, groups)
	} else if err == nil && p.dedup != nil {
		w.take(p, nil, nil)
		return
	}
	if err != nil || len(groups) == 0 {
		w.ride(p, err)
	}
}

// seal hands the open chunk on if it is time to.
func (w *writer) seal() {
	for {
		reason := w.sealReason()
		if reason == "" {
			return
		}
		w.dispatch(reason)
		if p := w.held; p != nil {
			w.held = nil
			w.accept(p)
		}
		w.drain()
	}
}

func (w *writer) sealReason() string {
	big := w.held != nil || w.open.bytes >= int64(w.c.o.MaxChunkBytes)
	switch {
	case w.failing, w.open.empty(), len(w.flying) >= w.pipe.depth():
		return ""
	case big:
		return "size"
	case len(w.flying) == 0 && (w.closing || !w.gather.waiting(len(w.open.batches))):
		return "idle"
	case w.lingered && (len(w.flying) < w.c.o.InFlight || w.open.bytes >= int64(w.c.o.MaxChunkBytes)/aheadFraction):
		return "linger"
	default:
		return ""
	}
}

// aheadFraction is the part of MaxChunkBytes from which on encoding takes long
// enough to be done ahead. A smaller chunk had better stay open for more.
const aheadFraction = 4

func (w *writer) dispatch(reason string) {
	b := w.open
	w.lastTime = max(w.lastTime, w.c.o.Now().UnixMicro())
	b.seal(chunk.Header{
		Kind: chunk.Data, Channel: w.c.o.Channel, Position: w.c.at(b.number), Epoch: w.c.owner().head.Epoch,
		TimeMicros: w.lastTime, PutID: w.c.newPutID(), WriterID: w.c.o.WriterID, DurableUpto: w.c.durableNumber(),
	})
	w.linger.Stop()
	w.lingered = false
	w.gather.end(len(b.batches))
	w.spacing.sealed()
	w.flying = append(w.flying, b)
	w.open = &building{number: b.number + 1, run: w.run}
	w.c.metrics.sealed(reason)
	since(w.c.metrics.stages.linger, b.began)
	w.pipe.submit(b)
}

// landed deals with a chunk that comes back from the pipeline.
func (w *writer) landed(ctx context.Context, b *building) {
	w.flying = w.flying[1:]
	if b.err == nil && !w.failing {
		w.spacing.stored(b.put)
		if len(w.flying) == 0 {
			if d := w.gather.begin(len(b.batches), len(w.open.batches), b.put, w.c.o.Linger); d > 0 {
				w.lingered = false
				w.linger.Reset(d)
			}
		}
		w.publish(b)
		return
	}
	if !w.failing {
		w.failing, w.cause = true, b.err
	}
	w.failed = append(w.failed, b)
	if len(w.flying) == 0 {
		w.recover(ctx)
	}
}

// publish makes a durable chunk visible, then acknowledges its batches.
func (w *writer) publish(b *building) {
	c := w.c
	defer since(c.metrics.stages.publish, time.Now())
	c.o.Stager.Publish(b.chunk)
	c.commit(b.chunk)
	c.metrics.stored(b)
	for _, p := range b.batches {
		ack := p.ack
		ack.Position, ack.TimeMicros = b.chunk.Position, b.chunk.TimeMicros
		c.finish(p, ack, nil)
	}
	for _, r := range b.riders {
		w.answer(r, b.chunk.TimeMicros)
	}
}
