package log

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// collector deletes chunks that segments hold, and segments that were merged, as
// segment.Plan says. It is used by the archivist alone.
type collector struct {
	a     *archivist
	sets  []datedSet // that a reader may work with, oldest first, the newest last
	swept uint64
	told  uint64    // up to where Archived was told
	due   time.Time // when there may be something to do; zero: when the Set changes
}

// datedSet is a Set and since when readers work with it.
type datedSet struct {
	set   *segment.Set
	since time.Time
}

// Bounds of deletion.
const (
	deleteAtOnce = 8   // requests at a time
	deleteBurst  = 64  // chunks between looks at the clock
	maxPoll      = 600 // seconds between looks at what the index holds
)

func newCollector(a *archivist) *collector {
	g := &collector{a: a, swept: segment.SweptAtStart(a.c.floor())}
	if a.c.recovered {
		g.swept = 0 // the floor that was found is not the one that was lost
	}
	return g
}

// step deletes what can be deleted now, and tells when there may be more.
func (g *collector) step(ctx context.Context) (time.Time, error) {
	now := time.Now()
	changed := g.note(now)
	if !changed && (g.due.IsZero() || now.Before(g.due)) {
		return g.due, nil
	}
	oldest, err := g.oldest(now)
	if err != nil {
		return now, err
	}
	if err := g.tell(ctx, oldest); err != nil {
		return now, err
	}
	for {
		s, err := g.state(ctx, oldest)
		if err != nil {
			return now, err
		}
		steps := segment.Plan(s)
		for _, step := range steps {
			if err := g.do(ctx, step); err != nil {
				return now, fmt.Errorf("%v: %w", step, err)
			}
		}
		if len(steps) == 0 {
			g.note(now)
			g.due = g.later(s, now)
			return g.due, nil
		}
	}
}

// note notes the Set that readers work with from now on.
func (g *collector) note(now time.Time) (changed bool) {
	set := g.a.c.archive.Set()
	if n := len(g.sets); n > 0 && g.sets[n-1].set == set {
		return false
	}
	g.sets = append(g.sets, datedSet{set, now})
	return true
}

// oldest is the oldest Set that a reader may work with: the one that was current
// a grace ago.
func (g *collector) oldest(now time.Time) (*segment.Set, error) {
	for len(g.sets) > 1 && !now.Before(g.sets[1].since.Add(g.a.o.Grace)) {
		g.sets = g.sets[1:]
	}
	if now.Before(g.sets[0].since.Add(g.a.o.Grace)) {
		return segment.NewSet()
	}
	return g.sets[0].set, nil
}

// tell says up to where readers find everything in segments.
func (g *collector) tell(ctx context.Context, oldest *segment.Set) error {
	if g.a.o.Archived == nil || oldest.To() <= g.told {
		return nil
	}
	if err := g.a.o.Archived(ctx, g.a.c.at(oldest.To())); err != nil {
		return fmt.Errorf("let pointers to chunks go: %w", err)
	}
	g.told = oldest.To()
	return nil
}

func (g *collector) state(ctx context.Context, oldest *segment.Set) (segment.State, error) {
	c := g.a.c
	s := segment.State{Set: c.archive.Set(), Oldest: oldest, Floor: c.floor(), Swept: g.swept, Reading: math.MaxUint64}
	var err error
	if s.Empty, err = c.archive.Empty(ctx, g.swept+1); err != nil {
		return s, err
	}
	s.Indexed, err = g.indexed(ctx, min(s.Set.To(), oldest.To()))
	return s, err
}

// indexed is up to where the index will not need chunks, as far as end.
func (g *collector) indexed(ctx context.Context, end uint64) (uint64, error) {
	o, c := g.a.o, g.a.c
	number := func(fn func() schema.Position) uint64 {
		if fn == nil {
			return 0
		}
		pos := fn()
		if pos.Generation != c.generation {
			return 0
		}
		return min(pos.Chunk, end)
	}
	held, copied := number(o.Indexed), number(o.Copied)
	if held <= copied {
		return copied, nil
	}
	if o.AnswersKept > 0 {
		var err error
		if held, err = c.committedBefore(ctx, c.o.Now().Add(-o.AnswersKept), held); err != nil {
			return 0, err
		}
	}
	return max(held, copied), nil
}

// committedBefore is the last chunk above the floor, up to end, that was
// committed before a time; the floor if there is none. It reads headers.
func (c *Channel) committedBefore(ctx context.Context, t time.Time, end uint64) (uint64, error) {
	floor := c.floor()
	if end <= floor {
		return floor, nil
	}
	var failed error
	late := func(n uint64) bool {
		if failed != nil {
			return true
		}
		hdr, err := c.header(ctx, n)
		failed = err
		return err != nil || hdr.TimeMicros >= t.UnixMicro()
	}
	if late(floor + 1) { // the common case, by one look
		return floor, failed
	}
	n := sort.Search(int(end-floor), func(i int) bool { return late(floor + 1 + uint64(i)) })
	return floor + uint64(n), failed
}

// later is when there may be more to delete than now; zero if only a new segment
// can bring that about.
func (g *collector) later(s segment.State, now time.Time) time.Time {
	newest := g.sets[len(g.sets)-1]
	graced := newest.since.Add(g.a.o.Grace)
	s.Oldest, s.Indexed = s.Set, math.MaxUint64
	switch {
	case len(segment.Plan(s)) == 0 && (g.a.o.Archived == nil || g.told >= s.Set.To()):
		return time.Time{}
	case now.Before(graced):
		return graced
	default: // the index lacks something, or its answers are young
		return now.Add(min(max(g.a.o.Grace, time.Second), maxPoll*time.Second))
	}
}

func (g *collector) do(ctx context.Context, step segment.Action) error {
	c := g.a.c
	switch step.Kind {
	case segment.RaiseFloor:
		// The chunk after the floor counts, so none before it has a higher epoch;
		// and the fence of its own epoch is among those.
		hdr, err := c.header(ctx, step.To+1)
		if err != nil {
			return err
		}
		if err := c.raiseFloor(ctx, step.To, hdr.Epoch); err != nil {
			return err
		}
		g.a.metrics.floor.Set(float64(step.To))
		return nil
	case segment.DeleteChunks:
		if err := g.sweep(ctx, step); err != nil {
			return err
		}
		g.swept = step.To
		return nil
	case segment.DeleteSegment:
		if err := g.a.o.Store.Delete(ctx, step.Segment.Name()); err != nil {
			return err
		}
		g.a.metrics.segmentsDeleted.Inc()
		return c.archive.Deleted(step.Segment)
	default:
		return fmt.Errorf("unknown step: %w", schema.ErrUnsupported)
	}
}

// sweep deletes chunks, at a bounded pace.
func (g *collector) sweep(ctx context.Context, step segment.Action) error {
	c := g.a.c
	for from := step.From; from <= step.To; from += deleteBurst {
		began := time.Now()
		to := min(from+deleteBurst-1, step.To)
		var group errgroup.Group
		group.SetLimit(deleteAtOnce)
		deleted := 0
		for n := from; n <= to; n++ {
			if _, keep := slices.BinarySearch(step.Keep, n); keep {
				continue
			}
			deleted++
			group.Go(func() error { return c.layout.remove(ctx, n) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		g.a.metrics.chunksDeleted.Add(float64(deleted))
		pace := time.Duration(deleted) * time.Second / time.Duration(g.a.o.DeletesPerSecond)
		if err := sleep(ctx, pace-time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}
