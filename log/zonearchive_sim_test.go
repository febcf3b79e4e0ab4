package log_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// TestZoneSegments is TestZoneWriters with segments, in a store of their own that
// fails as well, and garbage collection, while readers read. A writer begins with
// what was saved, or with nothing and segments.
func TestZoneSegments(t *testing.T) {
	runs := *zoneRuns / 40
	if testing.Short() {
		runs = min(runs, 50)
	}
	first := max(*simSeed, 1)
	var seen archiveCoverage
	for seed := first; seed < first+runs; seed++ {
		synctest.Test(t, func(t *testing.T) {
			defer tellSeed(t, seed, 40)
			zoneSegments(t, rand.New(&lockedSource{src: rand.NewPCG(seed, 9)}), &seen)
		})
	}
	t.Logf("%d seeds: %d chunks deleted, %d numbers without one, %d with copies, %d loads", runs, seen.deleted, seen.empty, seen.adopted, seen.loads)
	if least := int(runs / 20); runs >= 50 && min(seen.deleted, seen.empty, seen.loads) < least || runs >= 500 && seen.adopted == 0 {
		t.Errorf("less than %d of something, or no copy", least)
	}
}

// archiveCoverage is what happened in schedules.
type archiveCoverage struct {
	mu      sync.Mutex
	deleted int // chunks that are in no zone any more
	adopted int // of these such as a take-over had copied
	empty   int // numbers below the floor at which nothing counts
	loads   int // of indexes from segments
}

const zoneAnswersKept = 20 * time.Second

func zoneSegments(t *testing.T, r *rand.Rand, seen *archiveCoverage) {
	s, h, save := newShaky(r), &history{window: zoneAnswersKept / 2}, &saved{x: newFakeIndex(t)}
	segs := newShakyStore("segments", r.IntN, 1+r.IntN(30))
	view := &reading{seen: map[schema.Instance][]string{}}
	ctx, stop := context.WithCancel(t.Context())
	var outages, writers sync.WaitGroup
	outages.Go(func() { s.outages(ctx) })
	for i := range 4 {
		seed, delay := r.Uint64(), time.Duration(r.IntN(40000))*time.Millisecond
		writers.Go(func() {
			r := rand.New(rand.NewPCG(seed, 3))
			time.Sleep(delay)
			x := save.get()
			if r.IntN(3) > 0 {
				x = newFakeIndex(t)
			}
			o := simOptions(x, nil, r)
			s.give(&o)
			o = archived(o, segs, save, r)
			o.Segments.Chunks, o.Segments.AnswersKept = nil, zoneAnswersKept
			o.WriterID, o.Load = fmt.Sprint(i), seen.load(x)
			c, err := log.Open(t.Context(), o)
			if err != nil {
				if errors.Is(err, schema.ErrCorrupt) {
					t.Error(err)
				}
				return
			}
			own(t, h, view, save, c, x, r, 12000*time.Millisecond)
		})
	}
	writers.Wait()
	stop()
	outages.Wait()
	time.Sleep(time.Hour) // what is late has landed
	seen.look(t, s)
	for away := range s.zones {
		now := h.copy()
		now.window = h.window
		settleZones(t, now, view, s, save, segs, away, r)
	}
}

// load is Options.Load of an index.
func (v *archiveCoverage) load(x *fakeIndex) func(context.Context, *segment.Archive, schema.Position) error {
	return func(ctx context.Context, a *segment.Archive, through schema.Position) error {
		v.mu.Lock()
		v.loads++
		v.mu.Unlock()
		return x.load(ctx, a, through)
	}
}

// look adds what the zones and the head show at last.
func (v *archiveCoverage) look(t *testing.T, s *shaky) {
	t.Helper()
	data, _, err := s.heads.mem.Read(t.Context(), chunk.HeadName(0))
	if errors.Is(err, blob.ErrNotFound) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	floor, err := log.HeadFloor(data)
	if err != nil {
		t.Fatal(err)
	}
	copies := map[uint64]bool{}
	for _, z := range s.zones {
		maps.Copy(copies, z.copies)
	}
	for n := uint64(1); n <= floor; n++ {
		there, markers := 0, 0
		for _, z := range s.zones {
			pos := schema.Position{Chunk: n}
			data, err := z.mem.Get(t.Context(), chunk.Name(0, pos))
			if errors.Is(err, blob.ErrNotFound) {
				continue
			}
			hdr, derr := chunk.DecodeHeader(chunk.Name(0, pos), 0, pos, data)
			if err := errors.Join(err, derr); err != nil {
				t.Fatal(err)
			}
			if there++; hdr.Kind != chunk.Data {
				markers++
			}
		}
		if there == 0 {
			v.deleted++
		}
		if there == 0 && copies[n] {
			v.adopted++
		}
		if markers > 1 {
			v.empty++
		}
	}
}

// settleZones opens the channel without one of its zones and checks everything:
// with the index that was saved, and with one that is built anew.
func settleZones(t *testing.T, h *history, view *reading, s *shaky, save *saved, segs *shakyStore, away int, r *rand.Rand) {
	t.Helper()
	all := map[schema.Instance][]string{}
	for _, x := range []*fakeIndex{save.get(), newFakeIndex(t)} {
		o := x.options(nil)
		s.without(t, &o, away)
		o = archived(o, segs.copy(t), save, r)
		o.Segments.Chunks, o.Load = nil, x.load
		c, err := log.Open(t.Context(), o)
		if err != nil {
			t.Fatalf("open without %s: %v", s.zones[away].name, err)
		}
		c.Applied(x.apply(1 << 30))
		time.Sleep(time.Minute)
		for id := schema.Instance(16); id < 21; id++ {
			rows, err := readLog(t.Context(), c, id, nil)
			if err != nil {
				t.Errorf("read instance %d: %v", id, err)
			}
			if !slices.Equal(rows, x.rows[id]) {
				t.Errorf("instance %d is %v in the log, %v in the index", id, rows, x.rows[id])
			}
			all[id] = rows
		}
		h.verifyRows(t, all)
		view.compare(t, all)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
