package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// Waits after a store failed.
const (
	firstArchiveRetry = time.Second
	lastArchiveRetry  = time.Minute
)

// archivist makes segments of durable chunks, merges them, and has what they
// replace deleted. It is one goroutine off the path of writes, which it never
// delays: what left memory before it came to it, it reads from the store. While
// nothing is written it has nothing to do, and no timer, once all that was
// written is in segments and their chunks are gone.
//
// Timers only wake it. What is due is decided by Options.Now, by which commit times
// are made, and looked at anew each time.
type archivist struct {
	c       *Channel
	o       SegmentOptions
	metrics *segmentMetrics
	collect *collector // nil: nothing is deleted
	retain  *retainer  // nil: all is kept

	builder *segment.Builder // nil until a chunk comes
	next    uint64           // number of the chunk that it takes next
	oldest  int64            // commit time of its first change, microseconds; 0: it has none

	done chan struct{}
}

// errFull ends a walk over chunks because the segment is full.
var errFull = errors.New("segment is full")

// startArchivist starts to make segments, if the channel has a store for them.
func (c *Channel) startArchivist(ctx context.Context) {
	if c.archive == nil {
		return
	}
	a := &archivist{
		c: c, o: c.o.Segments, metrics: newSegmentMetrics(c.o), next: c.archive.Set().To() + 1, done: make(chan struct{}),
	}
	if a.o.Indexed != nil {
		a.collect = newCollector(a)
	}
	if a.o.Retainer != nil {
		a.retain = &retainer{a: a, looks: map[segment.Ref]time.Time{}}
	}
	c.archivist = a
	go a.run(ctx)
}

// join waits until the archivist has ended.
func (a *archivist) join() {
	if a != nil {
		<-a.done
	}
}

func (a *archivist) run(ctx context.Context) {
	defer close(a.done)
	for retry := firstArchiveRetry; ctx.Err() == nil; {
		durable, moved := a.c.durableAndMoved()
		due, err := a.step(ctx, durable)
		switch {
		case err == nil:
			retry = firstArchiveRetry
		case ctx.Err() != nil:
			return
		case errors.Is(err, schema.ErrFenced):
			a.c.o.Logger.Info("segments are another writer's now", "channel", a.c.o.Channel, "error", err)
			return
		default:
			a.metrics.failures.Inc()
			a.c.o.Logger.Warn("segments wait", "channel", a.c.o.Channel, "retry_in", retry, "error", err)
			due, moved = a.now().Add(retry), nil // chunks are not lost meanwhile
			retry = min(2*retry, lastArchiveRetry)
		}
		a.wait(ctx, moved, due)
	}
}

func (a *archivist) now() time.Time { return a.c.o.Now() }

// wait waits for one of three: ctx, moved, and a time if it is not zero.
func (a *archivist) wait(ctx context.Context, moved <-chan struct{}, due time.Time) {
	var timer <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(due.Sub(a.now()))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-moved:
	case <-timer:
	}
}

// step makes a segment at most and deletes what can go: who writes faster than
// segments are made must not keep chunks from being deleted. It tells when there
// will be more to do if no chunk comes before; zero: then there will not.
func (a *archivist) step(ctx context.Context, durable uint64) (due time.Time, err error) {
	if err := a.feed(ctx, durable); err != nil {
		return due, err
	}
	if due = a.ripe(); !due.IsZero() && !a.now().Before(due) {
		if err := a.finish(ctx); err != nil {
			return due, err
		}
		if err := a.merge(ctx); err != nil {
			return due, err
		}
		due = a.now()
	}
	a.metrics.lag.Set(float64(durable - min(durable, a.c.archive.Set().To())))
	if a.retain != nil {
		later, err := a.retain.step(ctx)
		if err != nil {
			return due, err
		}
		due = earlier(due, later)
	}
	if a.collect == nil {
		return due, nil
	}
	later, err := a.collect.step(ctx)
	return earlier(due, later), err
}

// earlier is the earlier of two times that are not zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// feed gives the builder the durable chunks, as long as it takes any.
func (a *archivist) feed(ctx context.Context, durable uint64) error {
	for a.next <= durable && !a.full() {
		ck, last := a.c.tailOrBefore(a.next, durable)
		if ck != nil {
			if err := a.add(ck); err != nil {
				return err
			}
			continue
		}
		err := a.c.scan(ctx, a.next, last, func(ck *schema.Chunk) error {
			if err := a.add(ck); err != nil || !a.full() {
				return err
			}
			return errFull
		})
		if err != nil && !errors.Is(err, errFull) {
			return fmt.Errorf("read chunks for a segment: %w", err)
		}
	}
	return nil
}

func (a *archivist) add(ck *schema.Chunk) error {
	if a.builder == nil {
		b, err := segment.NewBuilder(segment.BuilderOptions{Channel: a.c.o.Channel, TargetBytes: a.o.TargetBytes})
		if err != nil {
			return err
		}
		a.builder, a.oldest = b, 0
	}
	if err := a.builder.Add(ck); err != nil {
		return err
	}
	if a.oldest == 0 && len(ck.Groups)+len(ck.Answers) > 0 {
		a.oldest = min(ck.TimeMicros, a.now().UnixMicro()) // another's clock may be ahead
	}
	a.next++
	return nil
}

func (a *archivist) full() bool { return a.builder != nil && a.builder.Full() }

// ripe is when the segment is to be finished; zero: not before more chunks come,
// for fences are no reason to make one.
func (a *archivist) ripe() time.Time {
	switch {
	case a.full():
		return time.UnixMicro(1)
	case a.oldest == 0:
		return time.Time{}
	default:
		return time.UnixMicro(a.oldest).Add(a.o.MaxAge)
	}
}

// finish makes what the builder holds durable. When it fails the builder keeps
// all, and it is done again.
func (a *archivist) finish(ctx context.Context) error {
	ref, info, err := a.builder.Finish(ctx, a.o.Store)
	if err != nil {
		return err
	}
	if err := a.c.archive.Added(ref); err != nil {
		return err
	}
	a.builder, a.oldest = nil, 0
	a.collect.note()
	a.metrics.made("built", info)
	a.c.o.Logger.Debug("segment made", "segment", ref.Name(), "changes", info.Changes, "collections", info.Instances, "bytes", info.Bytes)
	return nil
}

// merge merges segments until none are left to be merged.
func (a *archivist) merge(ctx context.Context) error {
	for {
		job, ok := segment.PlanMerge(a.c.archive.Set())
		if !ok {
			return nil
		}
		if a.o.Retainer != nil {
			from, err := a.o.Retainer.Kept(ctx, a.c.archive, job.Output.To)
			if err != nil {
				return fmt.Errorf("what a merge keeps: %w", err)
			}
			job.From = from
		}
		info, err := segment.Merge(ctx, a.o.Store, a.c.archive.Decoder(), job)
		if err != nil {
			return err
		}
		if err := a.c.archive.Added(job.Output); err != nil {
			return err
		}
		a.metrics.made("merged", info)
		a.c.o.Logger.Debug("segments merged", "segment", job.Output.Name(), "changes", info.Changes, "bytes", info.Bytes)
	}
}

// durableAndMoved is the last durable number, and a channel that is closed when
// there is another.
func (c *Channel) durableAndMoved() (uint64, <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.durable, c.moved
}

// tailOrBefore is chunk n if it is in memory; else the last number that is not,
// of those from n to end.
func (c *Channel) tailOrBefore(n, end uint64) (ck *schema.Chunk, last uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if ck := c.tail.getLocked(n); ck != nil {
		return ck, 0
	}
	if len(c.tail.chunks) > 0 && c.tail.first > n {
		end = min(end, c.tail.first-1)
	}
	return nil, end
}
