package sync

import (
	"container/heap"
	"context"
	"errors"
	stdsync "sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// flushSettle is how long changed collections are gathered before the flusher
// looks at them: a busy collection is looked at once, not at each chunk.
const flushSettle = 250 * time.Millisecond

// flushRetry is how long a collection waits whose flush failed.
const flushRetry = 30 * time.Second

// flusher commits tables that are worth it: at once when enough bytes wait, at
// the latest by its collection's freshness when the table exists. A small
// collection without a table is left alone until an engine asks for it.
type flusher struct {
	engine *Engine
	wake   chan struct{} // holds one token: something was touched

	mu      stdsync.Mutex
	touched map[schema.Instance]struct{}

	due   dueHeap // owned by run
	dueAt map[schema.Instance]time.Time
}

func newFlusher(e *Engine) *flusher {
	return &flusher{
		engine: e, wake: make(chan struct{}, 1),
		touched: map[schema.Instance]struct{}{}, dueAt: map[schema.Instance]time.Time{},
	}
}

// touch notes the collections of a chunk that the index has applied.
func (f *flusher) touch(chunk *schema.Chunk) {
	f.mu.Lock()
	for i := range chunk.Groups {
		if inst := chunk.Groups[i].Instance; inst >= schema.FirstUserInstance {
			f.touched[inst] = struct{}{}
		}
	}
	f.mu.Unlock()
	f.signal()
}

func (f *flusher) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *flusher) takeTouched() map[schema.Instance]struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.touched
	f.touched = map[schema.Instance]struct{}{}
	return taken
}

// run looks at what was touched and flushes what is due, until ctx ends. It
// begins with what an earlier process left behind.
func (f *flusher) run(ctx context.Context) {
	f.seed(ctx)
	for {
		timer := time.NewTimer(f.untilNextDue())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-f.wake:
			timer.Stop()
			if !sleep(ctx, flushSettle) {
				return
			}
		}
		for inst := range f.takeTouched() {
			stats, err := f.engine.index.Stats(ctx, inst)
			if err == nil {
				f.consider(ctx, inst, stats)
			}
		}
		f.flushDue(ctx)
	}
}

// seed schedules the collections whose changes the lake lacked at start.
func (f *flusher) seed(ctx context.Context) {
	err := f.engine.index.Dirty(ctx, func(inst schema.Instance, stats kvindex.Stats) (bool, error) {
		f.consider(ctx, inst, stats)
		return true, ctx.Err()
	})
	if err != nil && ctx.Err() == nil {
		f.engine.logger.Error("find unflushed collections", "error", err)
	}
}

// consider schedules a collection by what waits in its tail.
func (f *flusher) consider(ctx context.Context, inst schema.Instance, stats kvindex.Stats) {
	if inst < schema.FirstUserInstance || stats.NextSeq <= stats.LakeSeq {
		return
	}
	full := stats.TailBytes >= f.engine.opts.FlushBytes
	c, err := f.engine.catalog.ByInstance(ctx, inst)
	if err != nil || c.Options.Lake == schema.LakeOff {
		return
	}
	switch {
	case full:
		f.schedule(inst, f.engine.opts.Now())
	case stats.LakeSnapshot != 0 || c.Options.Lake == schema.LakePinned:
		f.schedule(inst, stats.TailSince.Add(c.Options.LakeFreshness))
	}
}

func (f *flusher) schedule(inst schema.Instance, at time.Time) {
	if old, ok := f.dueAt[inst]; ok && !at.Before(old) {
		return
	}
	f.dueAt[inst] = at
	heap.Push(&f.due, dueTable{inst: inst, at: at})
}

func (f *flusher) untilNextDue() time.Duration {
	if len(f.due) == 0 {
		return time.Hour // nothing waits; a touch wakes it
	}
	return max(0, f.due[0].at.Sub(f.engine.opts.Now()))
}

// flushDue flushes the tables that are due, FlushWorkers at a time, and waits
// for them; what is touched meanwhile is gathered.
func (f *flusher) flushDue(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(f.engine.opts.FlushWorkers)
	now := f.engine.opts.Now()
	var mu stdsync.Mutex
	var failed []schema.Instance
	for len(f.due) > 0 && !f.due[0].at.After(now) {
		item := heap.Pop(&f.due).(dueTable)
		if at, ok := f.dueAt[item.inst]; !ok || !at.Equal(item.at) {
			continue // scheduled earlier since
		}
		delete(f.dueAt, item.inst)
		group.Go(func() error {
			if err := f.flush(ctx, item.inst); err != nil && ctx.Err() == nil {
				f.engine.logger.Warn("background flush", "instance", uint64(item.inst), "retry_in", flushRetry, "error", err)
				mu.Lock()
				failed = append(failed, item.inst)
				mu.Unlock()
			}
			return nil
		})
	}
	_ = group.Wait() // each flush reports its own failure
	for _, inst := range failed {
		f.schedule(inst, f.engine.opts.Now().Add(flushRetry))
	}
}

func (f *flusher) flush(ctx context.Context, inst schema.Instance) error {
	c, err := f.engine.catalog.ByInstance(ctx, inst)
	if errors.Is(err, schema.ErrNotFound) {
		return nil // dropped meanwhile
	}
	if err != nil {
		return err
	}
	_, err = f.engine.Flush(ctx, c)
	return err
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// dueTable is a table to be flushed at a time.
type dueTable struct {
	inst schema.Instance
	at   time.Time
}

// dueHeap has the earliest first.
type dueHeap []dueTable

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueTable)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
