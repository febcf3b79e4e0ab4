package log_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/crashfs"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// load is Options.Load.
func (x *fakeIndex) load(ctx context.Context, a *segment.Archive, through schema.Position) error {
	x.mu.Lock()
	from := x.applied.Chunk + 1
	x.mu.Unlock()
	var groups []segment.Group
	for g, err := range a.Sorted(ctx, from, through.Chunk) { // not under the mutex, which is no wait for synctest
		if err != nil {
			return err
		}
		groups = append(groups, g)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, g := range groups {
		for x.trims.missing(g.Instance, x.next[g.Instance], g.FirstSeq) {
			x.rows[g.Instance] = append(x.rows[g.Instance], trimmed)
			x.next[g.Instance]++
		}
		if g.FirstSeq != x.next[g.Instance] {
			return fmt.Errorf("load seq %d of instance %d, want %d", g.FirstSeq, g.Instance, x.next[g.Instance])
		}
		x.next[g.Instance], x.live[g.Instance] = g.NextSeq(), g.NextSeq()
		for _, r := range g.Records {
			x.rows[g.Instance] = append(x.rows[g.Instance], string(r.Row))
		}
	}
	x.applied, x.last = through, through
	return nil
}

// archived makes o one that makes segments, tiny ones and soon; what s has saved
// is what an index would be restored from.
func archived(o log.Options, store blobtest.Store, s *saved, r *rand.Rand) log.Options {
	o.Segments = log.SegmentOptions{
		Store: store, Chunks: store, TargetBytes: 1 << (7 + r.IntN(5)), MaxAge: time.Duration(1+r.IntN(500)) * time.Millisecond,
		Grace: time.Duration(1+r.IntN(500)) * time.Millisecond, CacheBytes: 1 + int64(r.IntN(2))<<16, AnswersKept: -1,
		Archived: o.State.(*fakeIndex).archived, RetainAfter: time.Duration(1+r.IntN(100)) * time.Millisecond,
		Indexed: func() schema.Position {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.x.applied
		},
	}
	return o
}

// readLog reads a collection as the joint of the stores does: what segments hold,
// then chunks. What it met may be deleted meanwhile.
func readLog(ctx context.Context, c *log.Channel, id schema.Instance, trims *trimPoints) (rows []string, err error) {
	take := func(g schema.Group) error {
		for trims.missing(id, schema.Seq(len(rows)), g.FirstSeq) {
			rows = append(rows, trimmed)
		}
		if int(g.FirstSeq) > len(rows) {
			return fmt.Errorf("seq %d of instance %d follows %d", g.FirstSeq, id, len(rows))
		}
		for i := len(rows) - int(g.FirstSeq); i < len(g.Records); i++ {
			rows = append(rows, string(g.Records[i].Row))
		}
		return nil
	}
	for {
		durable, from := c.Durable(), c.Archived()
		for g, err := range c.Archive().Read(ctx, id, schema.Seq(len(rows))) {
			if err == nil {
				err = take(g.Group)
			}
			if err != nil {
				return rows, err
			}
		}
		for pos := from; pos.Compare(durable) < 0 && err == nil; {
			pos = pos.Next()
			var g schema.Group
			switch g, _, err = c.Group(ctx, pos, id); {
			case errors.Is(err, schema.ErrNotFound):
				err = nil
			case err == nil:
				err = take(g)
			}
		}
		if !errors.Is(err, schema.ErrTrimmed) {
			return rows, err
		}
		err = nil // a segment has it by now
	}
}

// reading reads all the time, and keeps what it read for a comparison.
type reading struct {
	mu   sync.Mutex
	seen map[schema.Instance][]string // the longest

	trims *trimPoints // nil: all is kept
}

func (v *reading) run(ctx context.Context, t *testing.T, c *log.Channel, r *rand.Rand, faults bool) {
	for ctx.Err() == nil {
		id := schema.Instance(16 + r.IntN(5))
		rows, err := readLog(ctx, c, id, v.trims)
		if err != nil && ctx.Err() == nil && (!faults || errors.Is(err, schema.ErrCorrupt) || errors.Is(err, schema.ErrTrimmed)) {
			t.Errorf("read instance %d: %v", id, err)
			return
		}
		v.mu.Lock()
		if old := v.seen[id]; len(rows) > len(old) {
			v.seen[id] = rows
		} else if !agree(rows, old[:len(rows)]) {
			t.Errorf("instance %d is read as %v, was %v", id, rows, old)
		}
		v.mu.Unlock()
		time.Sleep(time.Duration(r.IntN(50)) * time.Millisecond)
	}
}

func (v *reading) compare(t *testing.T, all map[schema.Instance][]string) {
	for id, rows := range v.seen {
		if n := len(rows); n > len(all[id]) || !agree(rows, all[id][:n]) {
			t.Errorf("instance %d was read as %v, is %v", id, rows, all[id])
		}
	}
}

// TestSegments is TestWriters with segments and garbage collection: writers take
// the channel over from each other on a store that is slow, loses requests and
// answers and lets chunks land late, while readers read.
func TestSegments(t *testing.T) {
	simulate(t, func(t *testing.T, r *rand.Rand) {
		mem, h, view := blob.NewMem(), &history{}, &reading{seen: map[schema.Instance][]string{}}
		s := &saved{x: newFakeIndex(t)}
		store := badStore(mem, r).(*lateStore)
		var writers sync.WaitGroup
		for i := range 5 {
			seed, delay := r.Uint64(), time.Duration(r.IntN(6000))*time.Millisecond
			writers.Go(func() {
				r := rand.New(rand.NewPCG(seed, 3))
				time.Sleep(delay)
				x := s.get()
				o := archived(simOptions(x, store, r), store, s, r)
				o.WriterID = fmt.Sprint(i) // without Load: an index that was overtaken begins again
				c, err := log.Open(t.Context(), o)
				if err != nil {
					if errors.Is(err, schema.ErrCorrupt) {
						t.Error(err)
					}
					return
				}
				own(t, h, view, s, c, x, r, 1500*time.Millisecond)
			})
		}
		writers.Wait()
		time.Sleep(time.Hour) // what is late has landed
		settle(t, h, view, s, mem, r)
	})
}

// own is an owner's life: it works, while others read from it, and ends.
func own(t *testing.T, h *history, view *reading, s *saved, c *log.Channel, x *fakeIndex, r *rand.Rand, pause time.Duration) {
	ctx, stop := context.WithCancel(t.Context())
	var reader sync.WaitGroup
	seed := r.Uint64()
	reader.Go(func() { view.run(ctx, t, c, rand.New(rand.NewPCG(seed, 4)), true) })
	for range 3 {
		work(t, h, c, x, r, 4)
		s.offer(x)
		time.Sleep(time.Duration(r.IntN(int(pause/time.Millisecond))) * time.Millisecond)
	}
	stop()
	reader.Wait()
	finish(c, time.Duration(r.IntN(3000))*time.Millisecond)
}

// TestSegmentsLoad is TestSegments with indexes that are built anew from segments,
// which have no answers: chunks are kept for these, and batches are sent again no
// longer than that.
func TestSegmentsLoad(t *testing.T) {
	const kept = 20 * time.Second
	loads := 0
	simulate(t, func(t *testing.T, r *rand.Rand) {
		mem, h, s := blob.NewMem(), &history{window: kept / 2}, &saved{x: newFakeIndex(t)}
		store := badStore(mem, r).(*lateStore)
		var mu sync.Mutex
		var writers sync.WaitGroup
		for i := range 6 {
			seed, delay := r.Uint64(), time.Duration(r.IntN(120))*time.Second
			writers.Go(func() {
				r := rand.New(rand.NewPCG(seed, 3))
				time.Sleep(delay)
				x := s.get()
				if r.IntN(3) > 0 {
					x = newFakeIndex(t)
				}
				o := archived(simOptions(x, store, r), store, s, r)
				o.Segments.AnswersKept, o.WriterID = kept, fmt.Sprint(i)
				o.Load = func(ctx context.Context, a *segment.Archive, through schema.Position) error {
					mu.Lock()
					loads++
					mu.Unlock()
					return x.load(ctx, a, through)
				}
				c, err := log.Open(t.Context(), o)
				if err != nil {
					return
				}
				for range 3 {
					work(t, h, c, x, r, 4)
					s.offer(x)
					time.Sleep(time.Duration(r.IntN(20000)) * time.Millisecond)
				}
				finish(c, time.Duration(r.IntN(3000))*time.Millisecond)
			})
		}
		writers.Wait()
		time.Sleep(time.Hour) // what is late has landed
		settle(t, h, &reading{}, s, mem, r)
	})
	t.Logf("%d loads in %d seeds", loads, *simRuns)
	if loads < int(*simRuns)/6 {
		t.Error("too few indexes were loaded")
	}
}

// TestSegmentsPowerFailures cuts the power at a random step of the file system.
func TestSegmentsPowerFailures(t *testing.T) {
	simulate(t, func(t *testing.T, r *rand.Rand) {
		fsys, h, view := crashfs.New(), &history{}, &reading{seen: map[schema.Instance][]string{}}
		s := &saved{x: newFakeIndex(t)}
		if r.IntN(2) == 0 { // half of them with trim points
			s.trims = newTrimPoints()
			s.x.trims, view.trims = s.trims, s.trims
		}
		for range 5 {
			var left atomic.Int64
			left.Store(1 + int64(r.IntN(400)))
			fsys.SetHook(func(crashfs.Op, string) (before, after error) {
				if left.Add(-1) == 0 {
					fsys.PowerOffLocked()
				}
				return nil, nil
			})
			dir, err := blob.OpenDir("", blob.DirOptions{FS: fsys})
			if err != nil {
				t.Fatal(err)
			}
			x := s.get()
			o := archived(simOptions(x, dir, r), dir, s, r)
			retainer := s.retained(&o, x, r)
			c, err := log.Open(t.Context(), o)
			if err == nil {
				retainer.c.Store(c)
				for range 3 {
					work(t, h, c, x, r, 8)
					if left.Load() > 0 {
						s.offer(x)
					}
					time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
				}
				fsys.PowerOff()
				finish(c, time.Second)
			} else if left.Load() > 0 {
				t.Fatal(err)
			}
			fsys = fsys.Crash(r)
		}
		dir, err := blob.OpenDir("", blob.DirOptions{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		settle(t, h, view, s, dir, r)
	})
}

// settle opens the channel on a store without faults and checks everything: what
// the index has, what segments and chunks give, what an index built anew has, and
// that nothing is left that nobody needs.
func settle(t *testing.T, h *history, view *reading, s *saved, store blobtest.Store, r *rand.Rand) {
	t.Helper()
	x := s.get()
	o := archived(x.options(store), store, s, r)
	retainer := s.retained(&o, x, r)
	c, err := log.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open at last: %v", err)
	}
	retainer.c.Store(c)
	for _, b := range h.open() {
		if err := h.send(t.Context(), t, c, b); err != nil {
			t.Errorf("send %s at last: %v", b.row, err)
		}
	}
	c.Applied(x.apply(1 << 30))
	if h.window == 0 {
		h.resend(t, c)
	}
	s.offer(x)
	time.Sleep(30 * time.Second)
	retainer.c.Store(nil)
	time.Sleep(30 * time.Second)
	if c.Archived().Chunk > 0 {
		left(t, c, store)
		x.checkPointers(t, c.Archived())
	}
	all := map[schema.Instance][]string{}
	for id := schema.Instance(16); id < 21; id++ {
		if all[id], err = readLog(t.Context(), c, id, s.trims); err != nil {
			t.Errorf("read instance %d: %v", id, err)
		}
		if !agree(all[id], x.rows[id]) {
			t.Errorf("instance %d is %v in the log, %v in the index", id, all[id], x.rows[id])
		}
		s.trims.restore(all[id], x.rows[id])
	}
	h.verifyRows(t, all)
	view.compare(t, all)
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	anew := newFakeIndex(t)
	anew.trims = s.trims
	o = archived(anew.options(store), store, s, r)
	o.Load, o.CatchUp = anew.load, anew.catchUp
	if c, err = log.Open(t.Context(), o); err != nil {
		t.Fatalf("open with an index to be built anew: %v", err)
	}
	for id, rows := range anew.rows {
		s.trims.restore(rows, all[id])
	}
	h.verifyRows(t, anew.rows)
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// left demands that chunks which segments hold are gone, all but the empty ones
// and the last, and that no segment is left that others replace.
func left(t *testing.T, c *log.Channel, store blobtest.Store) {
	t.Helper()
	empty, err := c.Archive().Empty(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n < c.Archived().Chunk; n++ {
		if slices.Contains(empty, n) || slices.Contains(empty, n+1) {
			continue // kept, or the floor stops before it
		}
		name := chunk.Name(0, schema.Position{Chunk: n})
		if _, err := store.Get(t.Context(), name); !errors.Is(err, blob.ErrNotFound) && !after(empty, n, c.Archived().Chunk) {
			t.Errorf("%s is still there (%v), segments hold all up to %v", name, err, c.Archived())
		}
	}
	segments := 0
	for name, err := range store.List(t.Context(), "seg/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(name, "seg/") {
			t.Errorf("listed %s", name)
		}
		segments++
	}
	read := map[segment.Ref]bool{} // one can have a part before and one behind another
	for _, span := range c.Archive().Set().Spans() {
		read[span.Ref] = true
	}
	if segments != len(read) {
		t.Errorf("%d segments are there, %d are read", segments, len(read))
	}
}

// after reports whether only empty chunks lie between n and the last.
func after(empty []uint64, n, last uint64) bool {
	for n++; n < last; n++ {
		if !slices.Contains(empty, n) {
			return false
		}
	}
	return true
}
