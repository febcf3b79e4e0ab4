package log_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/schema"
)

// steps is a store each of whose calls waits until a scheduler says what becomes
// of it. Calls take effect in the scheduler's goroutine, one at a time.
type steps struct {
	backing blobtest.Store

	mu      sync.Mutex
	pending []*step
	late    []*step // given up by their senders: they may land at any time
	count   int
}

// step is one call that waits.
type step struct {
	actor  *actor
	call   blobtest.Call
	name   string
	nth    int // of all; only to tell equal ones apart
	effect func() answer
	answer chan answer
}

type answer struct {
	data []byte
	v    blob.Version
	err  error
}

// actor is a process that calls the store.
type actor struct {
	id      int
	dead    bool // guarded by steps.mu: what it sends from now on never arrives
	resumes int  // the step of the world before which it stands still
}

var errGone = errors.New("the process is gone")

func (x *step) writes() bool {
	return x.call == blobtest.PutIfAbsent || x.call == blobtest.Swap || x.call == blobtest.Delete
}

func (x *step) String() string { return fmt.Sprintf("%d %s %s", x.actor.id, x.call, x.name) }

// wait makes a call a step and waits for its answer.
func (s *steps) wait(ctx context.Context, a *actor, call blobtest.Call, name string, effect func() answer) answer {
	s.mu.Lock()
	if a.dead {
		s.mu.Unlock()
		return answer{err: errGone}
	}
	s.count++
	x := &step{actor: a, call: call, name: name, nth: s.count, effect: effect, answer: make(chan answer, 1)}
	s.pending = append(s.pending, x)
	s.mu.Unlock()
	select {
	case got := <-x.answer:
		return got
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.pending, x); i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
		if x.writes() {
			s.late = append(s.late, x)
		}
	}
	return answer{err: ctx.Err()}
}

// eligible are the steps that may go on now, in an order that depends on nothing
// but what they are.
func (s *steps) eligible(now int) []*step {
	s.mu.Lock()
	defer s.mu.Unlock()
	var free []*step
	for _, x := range s.pending {
		if x.actor.resumes <= now {
			free = append(free, x)
		}
	}
	slices.SortFunc(free, func(x, y *step) int {
		return cmp.Or(cmp.Compare(x.actor.id, y.actor.id), cmp.Compare(x.call, y.call), cmp.Compare(x.name, y.name), cmp.Compare(x.nth, y.nth))
	})
	return free
}

// take takes a step out of those that wait.
func (s *steps) take(x *step) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.pending, x)
	if i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
	}
	return i >= 0
}

func (s *steps) grant(x *step) {
	if s.take(x) {
		x.answer <- x.effect()
	}
}

// fate is what the network and the store do to a write.
type fate string

const (
	well       fate = ""
	answerLost fate = "answer lost"
	lost       fate = "request lost"
	comesLate  fate = "timed out, lands late"
	twice      fate = "lands twice"
	busy       fate = "409"
	full       fate = "no space"
)

// fates draws from the things that go wrong with a write; harm is how many of
// 100 do.
func fates(r *rand.Rand, harm int) fate {
	if r.IntN(100) >= harm {
		return well
	}
	return []fate{answerLost, lost, comesLate, twice, busy, full}[r.IntN(6)]
}

// meet gives a step its fate.
func (s *steps) meet(x *step, f fate) {
	if !s.take(x) {
		return
	}
	if !x.writes() && f != well {
		x.answer <- answer{err: fmt.Errorf("read: %w", schema.ErrUnavailable)}
		return
	}
	switch f {
	case answerLost:
		x.effect()
		x.answer <- answer{err: errors.New(string(f))}
	case lost:
		x.answer <- answer{err: errors.New(string(f))}
	case comesLate:
		s.delay(x)
		x.answer <- answer{err: errors.New(string(f))}
	case twice:
		got := x.effect()
		s.delay(x)
		x.answer <- got
	case busy:
		x.answer <- answer{err: fmt.Errorf("409: %w", schema.ErrUnavailable)}
	case full:
		x.answer <- answer{err: schema.ErrNoSpace}
	default:
		x.answer <- x.effect()
	}
}

func (s *steps) delay(x *step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = append(s.late, x)
}

// land lets one late write take effect.
func (s *steps) land(r *rand.Rand) *step {
	s.mu.Lock()
	if len(s.late) == 0 {
		s.mu.Unlock()
		return nil
	}
	i := r.IntN(len(s.late))
	x := s.late[i]
	s.late = slices.Delete(s.late, i, i+1)
	s.mu.Unlock()
	x.effect()
	return x
}

// kill ends an actor: of what it has under way, writes may land.
func (s *steps) kill(a *actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.dead = true
	s.pending = slices.DeleteFunc(s.pending, func(x *step) bool {
		if x.actor != a {
			return false
		}
		if x.writes() {
			s.late = append(s.late, x)
		}
		x.answer <- answer{err: errGone}
		return true
	})
}

// stepStore is a log.ChunkStore, with what a collector needs, for one actor.
type stepStore struct {
	s *steps
	a *actor
}

func (s stepStore) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	data = bytes.Clone(data) // the caller uses it again
	return s.s.wait(ctx, s.a, blobtest.PutIfAbsent, name, func() answer {
		return answer{err: s.s.backing.PutIfAbsent(context.Background(), name, data)}
	}).err
}

func (s stepStore) Get(ctx context.Context, name string) ([]byte, error) {
	got := s.s.wait(ctx, s.a, blobtest.Get, name, func() (a answer) {
		a.data, a.err = s.s.backing.Get(context.Background(), name)
		return a
	})
	return got.data, got.err
}

func (s stepStore) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	got := s.s.wait(ctx, s.a, blobtest.GetRange, name, func() (a answer) {
		a.data, a.err = s.s.backing.GetRange(context.Background(), name, off, n)
		return a
	})
	return got.data, got.err
}

func (s stepStore) Read(ctx context.Context, name string) ([]byte, blob.Version, error) {
	got := s.s.wait(ctx, s.a, blobtest.Read, name, func() (a answer) {
		a.data, a.v, a.err = s.s.backing.Read(context.Background(), name)
		return a
	})
	return got.data, got.v, got.err
}

func (s stepStore) Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error) {
	data = bytes.Clone(data)
	got := s.s.wait(ctx, s.a, blobtest.Swap, name, func() (a answer) {
		a.v, a.err = s.s.backing.Swap(context.Background(), name, old, data)
		return a
	})
	return got.v, got.err
}

func (s stepStore) Delete(ctx context.Context, name string) error {
	return s.s.wait(ctx, s.a, blobtest.Delete, name, func() answer {
		return answer{err: s.s.backing.Delete(context.Background(), name)}
	}).err
}
