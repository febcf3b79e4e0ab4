package log_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// trimmed stands for a row that the log does not have any more.
const trimmed = "?"

// trimPoints say where the logs of collections begin, as records of the log would: a
// point was committed at a time, and counts once that chunk is given up to segments.
// nil: nothing is trimmed.
type trimPoints struct {
	mu     sync.Mutex
	points map[schema.Instance][]trimPoint // rising
	met    atomic.Int64                    // rows that were missed
}

type trimPoint struct {
	seq    schema.Seq
	micros int64
}

func newTrimPoints() *trimPoints { return &trimPoints{points: map[schema.Instance][]trimPoint{}} }

func (p *trimPoints) add(id schema.Instance, seq schema.Seq, micros int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.points[id]; len(have) == 0 || have[len(have)-1].seq < seq && have[len(have)-1].micros <= micros {
		p.points[id] = append(have, trimPoint{seq, micros})
	}
}

// before is the last point that was committed before a time.
func (p *trimPoints) before(id schema.Instance, micros int64) (seq schema.Seq) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, point := range p.points[id] {
		if point.micros < micros {
			seq = point.seq
		}
	}
	return seq
}

// missing reports whether a change may be missing where the log goes on at first.
func (p *trimPoints) missing(id schema.Instance, seq, first schema.Seq) bool {
	if p == nil || seq >= first || first >= p.before(id, 1<<62) {
		return false
	}
	p.met.Add(1)
	return true
}

// restore puts rows back that were trimmed.
func (p *trimPoints) restore(rows, from []string) {
	for i := range rows {
		if p != nil && rows[i] == trimmed && i < len(from) {
			rows[i] = from[i]
		}
	}
}

// agree reports whether two logs are the same but for what was trimmed.
func agree(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && a[i] != trimmed && b[i] != trimmed {
			return false
		}
	}
	return true
}

// simRetainer trims at random what its owner's index has applied.
type simRetainer struct {
	trims *trimPoints
	x     *fakeIndex
	c     atomic.Pointer[log.Channel] // nil: it is being opened

	mu sync.Mutex
	r  *rand.Rand
}

// retained makes o one that trims, if s says so, once the channel is told.
func (s *saved) retained(o *log.Options, x *fakeIndex, r *rand.Rand) *simRetainer {
	retainer := &simRetainer{trims: s.trims, x: x, r: rand.New(rand.NewPCG(r.Uint64(), 5))}
	if s.trims != nil {
		o.Segments.Retainer = retainer
	}
	return retainer
}

func (s *simRetainer) intN(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.IntN(n)
}

func (s *simRetainer) Retain(ctx context.Context, a *segment.Archive, span segment.Span) (log.Retained, error) {
	again := log.Retained{Again: time.Now().Add(time.Duration(1+s.intN(500)) * time.Millisecond)}
	c := s.c.Load()
	if c == nil {
		return again, nil
	}
	if s.intN(5) == 0 {
		return again, fmt.Errorf("retainer: %w", schema.ErrUnavailable)
	}
	ck, err := c.Chunk(ctx, c.Durable())
	if err != nil {
		return again, err
	}
	for id := schema.Instance(16); id < 21; id++ {
		if next, _ := s.x.NextSeq(ctx, id); next > 0 && s.intN(2) == 0 {
			s.trims.add(id, 1+schema.Seq(s.intN(int(next))), ck.TimeMicros)
		}
	}
	if s.intN(4) > 0 {
		again.From, err = s.Kept(ctx, a, span.To)
	}
	return again, err
}

func (s *simRetainer) Kept(ctx context.Context, _ *segment.Archive, _ uint64) (func(schema.Instance) schema.Seq, error) {
	c := s.c.Load()
	if c == nil {
		return nil, nil
	}
	given, err := c.GivenUpMicros(ctx)
	if err != nil {
		return nil, err
	}
	return func(id schema.Instance) schema.Seq { return s.trims.before(id, given) }, nil
}

// TestSegmentsRetained is TestSegments with trim points, and indexes that are built
// anew from what is left: rows are missing before trim points only, every next seq is
// right, and what is read is what was written.
func TestSegmentsRetained(t *testing.T) {
	var missing int64
	simulate(t, func(t *testing.T, r *rand.Rand) {
		trims := newTrimPoints()
		mem, h := blob.NewMem(), &history{}
		view := &reading{seen: map[schema.Instance][]string{}, trims: trims}
		s := &saved{x: newFakeIndex(t), trims: trims}
		s.x.trims = trims
		store := badStore(mem, r).(*lateStore)
		var writers sync.WaitGroup
		for i := range 5 {
			seed, delay := r.Uint64(), time.Duration(r.IntN(20))*time.Second
			writers.Go(func() {
				r := rand.New(rand.NewPCG(seed, 3))
				time.Sleep(delay)
				x := s.get()
				o := archived(simOptions(x, store, r), store, s, r)
				o.WriterID = fmt.Sprint(i)
				retainer := s.retained(&o, x, r)
				c, err := log.Open(t.Context(), o)
				if err != nil {
					return
				}
				retainer.c.Store(c)
				own(t, h, view, s, c, x, r, 5*time.Second)
			})
		}
		writers.Wait()
		time.Sleep(time.Hour) // what is late has landed
		settle(t, h, view, s, mem, r)
		missing += trims.met.Load()
	})
	t.Logf("%d rows missed in %d seeds", missing, *simRuns)
	if missing < int64(*simRuns) {
		t.Error("too little was trimmed")
	}
}
