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

	// The rest is run's own.
	due    dueHeap
	dueAt  map[schema.Instance]time.Time
	failed map[schema.Instance]time.Time // not before when: their last flush failed
}

func newFlusher(e *Engine) *flusher {
	return &flusher{
		engine: e, wake: make(chan struct{}, 1),
		touched: map[schema.Instance]struct{}{}, dueAt: map[schema.Instance]time.Time{},
		failed: map[schema.Instance]time.Time{},
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

// touchOne notes a collection whose definition changed.
func (f *flusher) touchOne(inst schema.Instance) {
	f.mu.Lock()
	f.touched[inst] = struct{}{}
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
			f.look(ctx, inst)
		}
		f.flushDue(ctx)
		f.engine.metrics.lakeWaiting.Set(float64(len(f.dueAt)))
	}
}

// seed schedules the collections whose changes the lake lacked at start: those
// that the index tells of, and those that are to have a table whatever they hold.
// It reads nothing of the others, which are most.
func (f *flusher) seed(ctx context.Context) {
	err := f.engine.index.Dirty(ctx, func(inst schema.Instance, stats kvindex.Stats) (bool, error) {
		f.retryLook(ctx, inst, f.consider(ctx, inst, stats))
		return true, ctx.Err()
	})
	if err == nil {
		err = f.engine.catalog.Pinned(ctx, func(inst schema.Instance) (bool, error) {
			f.look(ctx, inst)
			return true, ctx.Err()
		})
	}
	if err != nil && ctx.Err() == nil {
		f.engine.logger.Error("find unflushed collections", "error", err)
	}
}

// look considers a collection that was touched. One that cannot be looked at is
// tried again later: nobody may touch it again.
func (f *flusher) look(ctx context.Context, inst schema.Instance) {
	stats, err := f.engine.index.Stats(ctx, inst)
	if err == nil {
		err = f.consider(ctx, inst, stats)
	}
	f.retryLook(ctx, inst, err)
}

func (f *flusher) retryLook(ctx context.Context, inst schema.Instance, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, schema.ErrClosed) {
		f.engine.logger.Warn("look for unflushed changes", "instance", uint64(inst), "retry_in", flushRetry, "error", err)
		f.schedule(inst, f.engine.opts.Now().Add(flushRetry))
	}
}

// consider schedules a collection by what waits in its tail.
func (f *flusher) consider(ctx context.Context, inst schema.Instance, stats kvindex.Stats) error {
	if inst < schema.FirstUserInstance || stats.NextSeq <= stats.LakeSeq {
		return nil
	}
	c, err := f.engine.catalog.ByInstance(ctx, inst)
	if errors.Is(err, schema.ErrNotFound) {
		return nil // dropped
	}
	if err != nil {
		return err
	}
	if at, ok := f.dueBy(c, stats); ok {
		f.schedule(inst, at)
	}
	return nil
}

// dueBy is when what waits in a collection's tail is to be flushed, if it is.
func (f *flusher) dueBy(c *schema.Collection, stats kvindex.Stats) (time.Time, bool) {
	switch {
	case c.Options.Lake == schema.LakeOff:
	case stats.TailBytes >= f.engine.opts.FlushBytes:
		return f.engine.opts.Now(), true
	case stats.LakeSnapshot != 0 || c.Options.Lake == schema.LakePinned:
		return stats.TailSince.Add(c.Options.LakeFreshness), true
	}
	return time.Time{}, false
}

// schedule makes a collection due, but not before the retry of one that failed:
// a table that cannot be written must not take the turns of those that can.
func (f *flusher) schedule(inst schema.Instance, at time.Time) {
	if least, ok := f.failed[inst]; ok && at.Before(least) {
		at = least
	}
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
	var mu stdsync.Mutex
	var ended []flushed
	for now := f.engine.opts.Now(); len(f.due) > 0 && !f.due[0].at.After(now); {
		item := heap.Pop(&f.due).(dueTable)
		if at, ok := f.dueAt[item.inst]; !ok || !at.Equal(item.at) {
			continue // scheduled earlier since
		}
		delete(f.dueAt, item.inst)
		group.Go(func() error {
			more, err := f.flush(ctx, item.inst)
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, flushed{item.inst, more, err})
			return nil
		})
	}
	_ = group.Wait() // each flush reports its own failure
	for _, e := range ended {
		now := f.engine.opts.Now()
		delete(f.failed, e.inst)
		switch {
		case ctx.Err() != nil:
		case e.err != nil:
			f.engine.logger.Warn("background flush", "instance", uint64(e.inst), "retry_in", flushRetry, "error", e.err)
			f.failed[e.inst] = now.Add(flushRetry)
			f.schedule(e.inst, now)
		case e.more:
			f.schedule(e.inst, now)
		}
	}
}

// flushed is how a flush ended.
type flushed struct {
	inst schema.Instance
	more bool
	err  error
}

// flush makes one commit, so that a long tail does not keep other tables
// waiting: the rest of it is due again, after those that were due before.
func (f *flusher) flush(ctx context.Context, inst schema.Instance) (more bool, err error) {
	stats, err := f.engine.index.Stats(ctx, inst)
	if err != nil {
		return false, err
	}
	c, err := f.engine.catalog.ByInstance(ctx, inst)
	if err == nil {
		if _, ok := f.dueBy(c, stats); !ok {
			return false, nil // its table was withdrawn meanwhile
		}
		_, more, err = f.engine.flush(ctx, inst, true)
	}
	if errors.Is(err, schema.ErrNotFound) || errors.Is(err, schema.ErrUnsupported) {
		return false, nil // dropped meanwhile, or to have no table any more
	}
	return more, err
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
