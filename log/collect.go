package log

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// collector deletes chunks that segments hold, and segments that were merged, as
// segment.Plan says. It is used by the archivist alone.
type collector struct {
	a      *archivist
	oldest *segment.Set // that a reader may work with: the one of a grace ago
	young  []datedSet   // those after it, the newest last
	swept  uint64
	told   uint64 // up to where Archived was told; 0: it was not

	due      time.Time     // when there may be something to do; zero: when the Set changes
	pending  bool          // there is something to do
	indexed  uint64        // up to where the index was when it was looked at last
	patience time.Duration // how long it is waited for
}

// datedSet is a Set and since when readers work with it.
type datedSet struct {
	set   *segment.Set
	since time.Time
}

// Bounds of deletion.
const (
	deleteAtOnce = 8  // requests at a time
	deleteBurst  = 64 // chunks between looks at the clock
	// Between looks at what the index holds, and at answers that grow old: at
	// first a grace, within these bounds; then twice as long each time that the
	// index has not moved.
	minPatience   = time.Second
	firstPatience = 10 * time.Minute
	maxPatience   = time.Hour
)

func newCollector(a *archivist) *collector {
	g := &collector{a: a, oldest: new(segment.Set), swept: segment.SweptAtStart(a.c.floor())}
	if a.c.recovered {
		g.swept = 0 // the floor that was found is not the one that was lost
	}
	return g
}

// step deletes what can be deleted now, and tells when there may be more.
func (g *collector) step(ctx context.Context) (time.Time, error) {
	now := g.a.now()
	g.note()
	if !g.pending && (g.due.IsZero() || now.Before(g.due)) {
		return g.due, nil
	}
	g.pending = true // until all is done
	if err := g.age(ctx, now); err != nil {
		return now, err
	}
	for {
		s, young, err := g.state(ctx)
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
			g.note()
			g.due, g.pending = g.later(s, young, now), false
			return g.due, nil
		}
	}
}

// note notes the Set that readers work with from now on.
func (g *collector) note() {
	if g == nil {
		return
	}
	set, last := g.a.c.archive.Set(), g.oldest
	if n := len(g.young); n > 0 {
		last = g.young[n-1].set
	}
	if set != last {
		g.young, g.pending = append(g.young, datedSet{set, g.a.now()}), true
	}
}

// age takes the Sets that are older than a grace for those that all readers work
// with, one after the other: a new segment is looked through before what it was
// merged into takes its place.
func (g *collector) age(ctx context.Context, now time.Time) error {
	for len(g.young) > 0 && !now.Before(g.young[0].since.Add(g.a.o.Grace)) {
		set := g.young[0].set
		if err := g.tell(ctx, set); err != nil {
			return fmt.Errorf("let pointers to chunks go: %w", err)
		}
		g.oldest, g.young = set, g.young[1:]
	}
	return nil
}

// tell says up to where readers find everything in segments, and whose changes
// are in those that it was not said of. It is not known at first; and not when an
// owner after us deleted segments.
func (g *collector) tell(ctx context.Context, set *segment.Set) error {
	to := set.To()
	if g.a.o.Archived == nil || to <= g.told {
		return nil
	}
	through := g.a.c.at(to)
	var err error
	if g.told > 0 {
		err = g.a.o.Archived(ctx, through, g.a.c.archive.Instances(ctx, set, g.told+1, to))
	}
	if g.told == 0 || errors.Is(err, blob.ErrNotFound) {
		err = g.a.o.Archived(ctx, through, nil)
	}
	if err == nil {
		g.told = to
	}
	return err
}

// state is what is known now, and when the first answers expire that the index
// does not keep; zero if none are waited for.
func (g *collector) state(ctx context.Context) (s segment.State, young time.Time, err error) {
	c := g.a.c
	s = segment.State{Set: c.archive.Set(), Oldest: g.oldest, Floor: c.floor(), Swept: g.swept, Reading: math.MaxUint64}
	if s.Empty, err = c.archive.Empty(ctx, g.swept+1); err != nil {
		return s, young, err
	}
	s.Indexed, young, err = g.needed(ctx, min(s.Set.To(), g.oldest.To()))
	return s, young, err
}

// needed is up to where the index will not need chunks, as far as end.
func (g *collector) needed(ctx context.Context, end uint64) (n uint64, young time.Time, err error) {
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
	if held <= copied || o.AnswersKept < 0 {
		return max(held, copied), young, nil
	}
	old, micros, err := c.committedBefore(ctx, g.a.now().Add(-o.AnswersKept), held)
	if err != nil {
		return 0, young, err
	}
	if old < held && old >= copied {
		young = time.UnixMicro(micros).Add(o.AnswersKept + time.Microsecond)
	}
	return max(old, copied), young, nil
}

// committedBefore is the last chunk above the floor, up to end, that was
// committed before a time; the floor if there is none. It reads headers, and tells
// when the one after it was committed if it is not above end.
func (c *Channel) committedBefore(ctx context.Context, t time.Time, end uint64) (n uint64, next int64, err error) {
	floor := c.floor()
	if end <= floor {
		return floor, 0, nil
	}
	late := func(n uint64) bool {
		if err != nil {
			return true
		}
		var hdr chunk.Header
		if hdr, err = c.header(ctx, n); err != nil || hdr.TimeMicros < t.UnixMicro() {
			return err != nil
		}
		next = hdr.TimeMicros // of the lowest that is late, at last
		return true
	}
	if late(floor + 1) { // the common case, by one look
		return floor, next, err
	}
	i := sort.Search(int(end-floor), func(i int) bool { return late(floor + 1 + uint64(i)) })
	return floor + uint64(i), next, err
}

// later is when there may be more to delete than now; zero if only a new segment
// can bring that about.
func (g *collector) later(s segment.State, young, now time.Time) time.Time {
	moved := s.Indexed != g.indexed
	g.indexed = s.Indexed
	s.Oldest, s.Indexed = s.Set, math.MaxUint64
	first := min(max(g.a.o.Grace, minPatience), firstPatience)
	switch {
	case len(segment.Plan(s)) == 0 && (g.a.o.Archived == nil || g.told >= s.Set.To()):
		return time.Time{}
	case len(g.young) > 0:
		return g.young[0].since.Add(g.a.o.Grace)
	case young.After(now.Add(first)):
		return young
	case !young.IsZero() || moved || g.patience == 0: // not for each chunk whose answers expire
		g.patience = first
	default: // the index waits for more to be written
		g.patience = min(2*g.patience, max(first, maxPatience))
	}
	return now.Add(g.patience)
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
