package kvindex

import (
	"context"

	"github.com/trinedb/trine/schema"
)

// Bounds of what a flush hands to the engine: a transaction, and how many of these
// at once. A flush looks nothing up between commits, so that larger transactions than
// Apply's are the quicker: 200,000 places took 12% less of a flush's time than with
// 512 in each. One of two is built while the engine writes the other.
const (
	maxFlushOps     = 4096
	maxFlushBatches = 2
)

// flushWriter commits what a flush records. While some batches are being committed,
// on a goroutine, the next ones are filled.
type flushWriter struct {
	x    *Index
	inst schema.Instance
	b    *batch // being filled

	full    []*batch // to be committed next
	spare   []*batch
	pending chan error // nil: nothing is under way
	sent    []*batch   // by it
}

// next commits batches when enough are full.
func (w *flushWriter) next(ctx context.Context) error {
	if len(w.b.ops) < maxFlushOps && w.b.bytes < w.x.opts.batchBytes() {
		return nil
	}
	w.full = append(w.full, w.b)
	if n := len(w.spare); n > 0 {
		w.b, w.spare = w.spare[n-1], w.spare[:n-1]
	} else {
		w.b = new(batch)
	}
	if len(w.full) < maxFlushBatches {
		return nil
	}
	return w.send(ctx)
}

// send has the full batches committed, after those that are under way.
func (w *flushWriter) send(ctx context.Context) error {
	if err := w.wait(); err != nil {
		return err
	}
	if err := w.x.gate.alive(ctx); err != nil {
		return err
	}
	if err := w.x.checkSpace(applyPercent); err != nil {
		return err
	}
	done := make(chan error, 1)
	w.pending, w.sent, w.full = done, w.full, nil
	go func(batches []*batch) { done <- w.x.commitFlush(w.inst, batches) }(w.sent)
	return nil
}

// wait is for what is under way.
func (w *flushWriter) wait() error {
	if w.pending == nil {
		return nil
	}
	err := <-w.pending
	for _, b := range w.sent {
		b.reset()
	}
	w.spare, w.pending, w.sent = append(w.spare, w.sent...), nil, nil
	return err
}

// end commits the rest, if all went well, and leaves nothing under way and b empty.
func (w *flushWriter) end(ctx context.Context, well bool) error {
	if !well {
		return w.wait()
	}
	if len(w.b.ops) > 0 {
		w.full, w.b = append(w.full, w.b), new(batch)
	}
	if len(w.full) > 0 {
		if err := w.send(ctx); err != nil {
			return err
		}
	}
	return w.wait()
}

// commitFlush commits batches of a flush of a collection that is still there.
func (x *Index) commitFlush(inst schema.Instance, batches []*batch) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if gone, err := x.wasDropped(inst); err != nil || gone {
		return notFound(err)
	}
	if x.failed != nil {
		return x.failed
	}
	under := make([]chan committed, len(batches))
	for i, b := range batches {
		under[i] = x.commit(b, x.progress)
	}
	var failed error
	for _, c := range under {
		if done := <-c; failed == nil { // no view looks behind a failure
			failed = x.committed(done)
		}
	}
	return failed
}
