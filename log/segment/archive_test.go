package segment_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

func archive(t testing.TB, store *counting) *segment.Archive {
	t.Helper()
	a, err := segment.OpenArchive(context.Background(), segment.ArchiveOptions{Store: store, Channel: channel, Generation: generation})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// TestArchive reads random histories from segments of all kinds: merged, merged
// and not deleted yet, and overlapping those of an owner that was replaced.
func TestArchive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
		var h history
		h.random(r, 10+r.IntN(40), 1+r.IntN(8))
		store := newStore()
		a := archive(t, store)
		last := uint64(len(h.chunks))
		for a.Set().To() < last {
			from := a.Set().To() + 1
			added := []segment.Ref{h.build(t, store, from, min(last, from+r.Uint64N(6)))}
			if stray := from - r.Uint64N(min(from, 4)); r.IntN(3) == 0 {
				added = append(added, h.build(t, store, stray, min(last, stray+r.Uint64N(9))))
			}
			if err := a.Added(added...); err != nil {
				t.Fatal(err)
			}
			if spans := a.Set().Spans(); len(spans) > 2 && r.IntN(2) == 0 {
				mergeSome(t, a, store, r)
			}
		}
		again := archive(t, store)
		if spansText(again.Set().Spans()) != spansText(a.Set().Spans()) {
			t.Fatalf("listed %s, want %s", spansText(again.Set().Spans()), spansText(a.Set().Spans()))
		}
		for _, id := range append(h.ids(), 99999) {
			for _, from := range []schema.Seq{0, schema.Seq(r.Uint64N(uint64(h.next[id]) + 1)), h.next[id]} {
				equal(t, fmt.Sprint(id, " from ", from), collect(t, a.Read(t.Context(), id, from), from), h.changes(id, from))
			}
		}
		compareOrders(t, a, &h, r)
		from := 1 + r.Uint64N(last)
		want := slices.DeleteFunc(h.empty(), func(n uint64) bool { return n < from })
		if got, err := a.Empty(t.Context(), from); err != nil || !slices.Equal(got, want) {
			t.Fatalf("empty from %d: %v, %v, want %v", from, got, err, want)
		}
	})
}

// compareOrders reads backward, and by time.
func compareOrders(t *testing.T, a *segment.Archive, h *history, r *rand.Rand) {
	t.Helper()
	for _, id := range append(h.ids(), 99999) {
		before := schema.Seq(r.Uint64N(uint64(h.next[id]) + 2))
		var got []string
		for g, err := range a.ReadBackward(t.Context(), id, before) {
			if err != nil {
				t.Fatal(err)
			}
			part := lines(g, 0)
			slices.Reverse(part)
			got = append(got, part...)
		}
		slices.Reverse(got)
		all := h.changes(id, 0)
		equal(t, fmt.Sprint(id, " backward from ", before), got, all[:min(int(before), len(all))])

		micros := h.chunks[r.IntN(len(h.chunks))].TimeMicros - r.Int64N(2)
		want, found := schema.Seq(0), false
		for _, c := range h.chunks {
			if g, ok := c.Group(id); ok && c.TimeMicros >= micros && !found {
				want, found = g.FirstSeq, true
			}
		}
		if seq, ok, err := a.SeqAt(t.Context(), id, micros); err != nil || seq != want || ok != found {
			t.Fatalf("instance %d at %d: seq %d, %t, %v, want %d, %t", id, micros, seq, ok, err, want, found)
		}
	}
}

// mergeSome merges some neighbours, and deletes some of what is obsolete then.
func mergeSome(t *testing.T, a *segment.Archive, store *counting, r *rand.Rand) {
	t.Helper()
	spans := a.Set().Spans()
	at := r.IntN(len(spans) - 1)
	in := spans[at : at+2+r.IntN(len(spans)-at-1)]
	level := slices.MaxFunc(in, func(a, b segment.Span) int { return a.Ref.Level - b.Ref.Level }).Ref.Level
	if level == segment.MaxLevel {
		return
	}
	job := segment.Job{Inputs: in, Output: ref(level+1, in[0].From, in[len(in)-1].To)}
	if _, err := segment.Merge(t.Context(), store, a.Decoder(), job); err != nil {
		t.Fatal(err)
	}
	if err := a.Added(job.Output); err != nil {
		t.Fatal(err)
	}
	for _, gone := range a.Set().Obsolete() {
		if r.IntN(2) == 0 {
			if err := errors.Join(store.Delete(t.Context(), gone.Name()), a.Deleted(gone)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestReadWhileMerged reads by several goroutines that know nothing of the owner
// while it merges and deletes: nobody misses a change or meets one twice.
func TestReadWhileMerged(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var h history
	h.random(r, 120, 6)
	store := newStore()
	for n := uint64(1); n <= 120; n++ {
		h.build(t, store, n, n)
	}
	owner, id := archive(t, store), h.ids()[2]
	want := h.changes(id, 0)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		reader := archive(t, store)
		wg.Go(func() {
			for ctx.Err() == nil {
				var got []string
				for g, err := range reader.Read(t.Context(), id, 0) {
					if err != nil {
						t.Error(err)
						return
					}
					got = append(got, lines(g, 0)...)
				}
				if !slices.Equal(got, want) {
					t.Errorf("read %d changes, want %d", len(got), len(want))
					return
				}
			}
		})
	}
	for {
		job, ok := segment.PlanMerge(owner.Set())
		if !ok {
			break
		}
		if _, err := segment.Merge(t.Context(), store, owner.Decoder(), job); err != nil {
			t.Fatal(err)
		}
		if err := owner.Added(job.Output); err != nil {
			t.Fatal(err)
		}
		for _, gone := range owner.Set().Obsolete() {
			if err := errors.Join(store.Delete(t.Context(), gone.Name()), owner.Deleted(gone)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	wg.Wait()
	if got := spansText(owner.Set().Spans()); len(owner.Set().Spans()) != 1+7 {
		t.Errorf("%s, want one of level 3 and seven of level 2", got)
	}
}

// TestLostSegment reads when an object is gone and no other holds its chunks.
func TestLostSegment(t *testing.T) {
	var h history
	h.random(rand.New(rand.NewPCG(5, 6)), 12, 2)
	store := newStore()
	h.build(t, store, 1, 4)
	lost := h.build(t, store, 5, 8)
	h.build(t, store, 9, 12)
	a := archive(t, store)
	if err := store.Delete(t.Context(), lost.Name()); err != nil {
		t.Fatal(err)
	}
	var err error
	for _, err = range a.Read(t.Context(), h.ids()[0], 0) {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, segment.ErrHole) {
		t.Errorf("got %v", err)
	}
	if _, err := segment.Open(t.Context(), store, a.Decoder(), lost); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestSmallCache opens segments anew for each read when they do not fit.
func TestSmallCache(t *testing.T) {
	var h history
	h.random(rand.New(rand.NewPCG(5, 6)), 12, 2)
	store := newStore()
	for n := uint64(1); n <= 12; n += 4 {
		h.build(t, store, n, n+3)
	}
	a, err := segment.OpenArchive(t.Context(), segment.ArchiveOptions{Store: store, Channel: channel, Generation: generation, CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, id := range h.ids() {
		equal(t, "small cache", collect(t, a.Read(t.Context(), id, 0), 0), h.changes(id, 0))
	}
}
