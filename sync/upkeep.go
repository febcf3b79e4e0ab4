package sync

import (
	"container/heap"
	"context"
	"errors"
	stdsync "sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// upkeepRetry is how long a table waits whose upkeep failed.
const upkeepRetry = 5 * time.Minute

// upkeeper does what tables need beside commits: it merges small and worn files,
// expires snapshots, removes versions, files and orphans whose time has come, and
// withdraws tables that nobody asks for.
// It finds work from commits, and after a restart from the index's marks: a table
// that nobody writes to is in its books only until all is done.
//
// One table is worked on at a time, by one goroutine, which leaves the processor
// to flushes and keeps to a rate of requests.
type upkeeper struct {
	engine   *Engine
	wake     chan struct{} // holds one token: there is something new
	turn     *semaphore.Weighted
	requests *rate.Limiter

	mu     stdsync.Mutex
	tables map[schema.Instance]*tableUpkeep
	due    dueHeap
}

// tableUpkeep is a table that has work, now or later.
type tableUpkeep struct {
	name      string    // tenant/name
	at        time.Time // when it is looked at next; entries of the heap with another time are void
	cleanAt   time.Time // not before: old versions
	orphansAt time.Time // not before: orphans; zero: done
}

func newUpkeeper(e *Engine) *upkeeper {
	return &upkeeper{
		engine: e, wake: make(chan struct{}, 1), turn: semaphore.NewWeighted(1),
		requests: rate.NewLimiter(rate.Limit(e.opts.UpkeepRequests), e.opts.UpkeepRequests),
		tables:   map[schema.Instance]*tableUpkeep{},
	}
}

// upkeepNote is what the index's mark holds.
func upkeepNote(c *schema.Collection) []byte { return []byte(c.String()) }

// committed notes a commit. The snapshot is at hand, so that whether there is
// anything to merge costs no request.
func (u *upkeeper) committed(c *schema.Collection, snap *lakehouse.Snapshot) {
	if u.engine.opts.NoUpkeep {
		return
	}
	now := u.engine.opts.Now()
	at := now.Add(u.engine.opts.UpkeepEvery)
	if len(snap.PlanRewrite(c.Schema)) > 0 {
		at = now
	}
	u.schedule(c.Instance, c.String(), at)
}

// schedule has a table looked at, at some time or before.
func (u *upkeeper) schedule(inst schema.Instance, name string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tables[inst]
	if t == nil {
		// Crashes make orphans, so that it is enough to look for them once in a life
		// of the process, when those of before are past the grace.
		grace := u.engine.lake.OrphanGrace()
		t = &tableUpkeep{name: name, orphansAt: u.engine.opts.Now().Add(grace + grace/8)}
		u.tables[inst] = t
		u.engine.metrics.upkeep.waiting.Inc()
	}
	if !t.at.IsZero() && !at.Before(t.at) {
		return
	}
	t.at = at
	heap.Push(&u.due, dueTable{inst: inst, at: at})
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// take is the next table that is due, or how long to wait for one.
func (u *upkeeper) take() (inst schema.Instance, t tableUpkeep, ok bool, wait time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.due) > 0 {
		first := u.due[0]
		known := u.tables[first.inst]
		if known == nil || !known.at.Equal(first.at) {
			heap.Pop(&u.due) // it was scheduled earlier since
			continue
		}
		if wait = first.at.Sub(u.engine.opts.Now()); wait > 0 {
			return 0, t, false, wait
		}
		heap.Pop(&u.due)
		t = *known
		known.at = time.Time{} // what comes from now on is scheduled anew
		return first.inst, t, true, 0
	}
	return 0, t, false, time.Hour
}

func (u *upkeeper) run(ctx context.Context) {
	if u.engine.opts.NoUpkeep {
		return
	}
	u.seed(ctx)
	sweepAt := u.engine.opts.Now()
	for ctx.Err() == nil {
		if u.engine.opts.WithdrawAfter > 0 && !u.engine.opts.Now().Before(sweepAt) {
			sweepAt = u.sweep(ctx)
		}
		inst, t, ok, wait := u.take()
		if ok {
			u.visit(ctx, inst, t)
			continue
		}
		if u.engine.opts.WithdrawAfter > 0 {
			wait = max(0, min(wait, sweepAt.Sub(u.engine.opts.Now())))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-u.wake:
		}
		timer.Stop()
	}
}

// seed schedules the tables that an earlier process left work for.
func (u *upkeeper) seed(ctx context.Context) {
	at := u.engine.opts.Now()
	err := u.engine.index.Upkeep(ctx, func(inst schema.Instance, note []byte) (bool, error) {
		u.schedule(inst, string(note), at)
		return true, ctx.Err()
	})
	if err != nil && ctx.Err() == nil {
		u.engine.logger.Error("find tables that need upkeep", "error", err)
	}
}

// visit does what is due for a table, and schedules or forgets it.
func (u *upkeeper) visit(ctx context.Context, inst schema.Instance, t tableUpkeep) {
	next, snapshot, err := u.work(ctx, inst, &t)
	if ctx.Err() != nil || errors.Is(err, schema.ErrClosed) {
		return // the index's mark brings it back
	}
	if err != nil {
		u.engine.metrics.upkeep.failures.Inc()
		u.engine.logger.Warn("upkeep of a table", "collection", t.name, "retry_in", upkeepRetry, "error", err)
		next = u.engine.opts.Now().Add(upkeepRetry)
	}
	u.mu.Lock()
	if known := u.tables[inst]; known != nil {
		known.cleanAt, known.orphansAt = t.cleanAt, t.orphansAt
	}
	u.mu.Unlock()
	if !next.IsZero() {
		u.schedule(inst, t.name, next)
		return
	}
	if err := u.engine.index.UpkeepDone(ctx, inst, snapshot); err != nil {
		u.schedule(inst, t.name, u.engine.opts.Now().Add(upkeepRetry))
		return
	}
	u.forget(inst)
}

// forget strikes a table off, unless something came up meanwhile.
func (u *upkeeper) forget(inst schema.Instance) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t := u.tables[inst]; t != nil && t.at.IsZero() {
		delete(u.tables, inst)
		u.engine.metrics.upkeep.waiting.Dec()
	}
}

// work does one piece of everything that is due, and tells when there is more;
// zero: never, as of that snapshot.
func (u *upkeeper) work(ctx context.Context, inst schema.Instance, t *tableUpkeep) (next time.Time, snapshot int64, err error) {
	if err := u.turn.Acquire(ctx, 1); err != nil {
		return next, 0, err
	}
	defer u.turn.Release(1)
	e := u.engine
	c, err := e.catalog.ByInstance(ctx, inst)
	if errors.Is(err, schema.ErrNotFound) {
		return next, 0, u.dropTable(ctx, inst, t.name)
	}
	if err != nil || c.Options.Lake == schema.LakeOff {
		return next, 0, err
	}
	done, compactErr := e.compactOnce(ctx, inst, e.newPacer().pace)
	conflict := errors.Is(compactErr, schema.ErrConflict)
	if conflict {
		compactErr = nil
	}
	snap, next, err := u.remove(ctx, c, t)
	if err = errors.Join(compactErr, err); err != nil {
		return next, 0, err
	}
	if snap == nil {
		next, err = u.removeWithdrawn(ctx, c)
		return next, 0, err
	}
	switch {
	case done != nil: // perhaps there is more to merge; others come first
		next = e.opts.Now()
	case conflict: // a definition or another process came between
		next = earlier(next, e.opts.Now().Add(e.opts.UpkeepEvery))
	}
	return next, snap.ID(), nil
}
