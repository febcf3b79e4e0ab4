package hedge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/hedge"
	"github.com/trinedb/trine/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newHedge(t testing.TB, s hedge.Store, o hedge.Options) *hedge.Hedge {
	t.Helper()
	h, err := hedge.New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// hedged is a whole store whose PUTs are hedged.
type hedged struct {
	*blob.Mem
	h *hedge.Hedge
}

func (s hedged) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	return s.h.PutIfAbsent(ctx, name, data)
}

func TestAcceptance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Store {
		m := blob.NewMem()
		return hedged{m, newHedge(t, m, hedge.Options{MinSamples: 1, Budget: 1})}
	})
}

// script is a store whose n-th PUT, from 0, takes a time and goes wrong as its
// step says.
type script struct {
	*blob.Mem
	mu    sync.Mutex
	steps []step
	puts  int
}

type step struct {
	before, after time.Duration // around the effect
	err           error         // in place of the effect
	lose          error         // in place of the answer
	foreign       string        // put by another just before
}

func (s *script) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	s.mu.Lock()
	var st step
	if s.puts < len(s.steps) {
		st = s.steps[s.puts]
	}
	s.puts++
	s.mu.Unlock()
	data = bytes.Clone(data)
	if err := wait(ctx, st.before); err != nil {
		return fmt.Errorf("gave up: %v", err) // unknown
	}
	if st.err != nil {
		return st.err
	}
	if st.foreign != "" {
		_ = s.Mem.PutIfAbsent(context.WithoutCancel(ctx), name, []byte(st.foreign))
	}
	if err := s.Mem.PutIfAbsent(ctx, name, data); err != nil {
		return err
	}
	if err := wait(ctx, st.after); err != nil {
		return fmt.Errorf("gave up: %v", err)
	}
	return st.lose
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// warm lets a hedge learn that PUTs take 10 ms.
func warm(t *testing.T, steps ...step) (*script, *hedge.Hedge) {
	t.Helper()
	const samples = 40
	s := &script{Mem: blob.NewMem()}
	for range samples {
		s.steps = append(s.steps, step{before: 10 * time.Millisecond})
	}
	s.steps = append(s.steps, steps...)
	h := newHedge(t, s, hedge.Options{MinSamples: samples})
	for i := range samples {
		if err := h.PutIfAbsent(t.Context(), fmt.Sprint("warm/", i), []byte("warm")); err != nil {
			t.Fatal(err)
		}
	}
	if s.puts != samples {
		t.Fatalf("%d puts to warm up, want %d", s.puts, samples)
	}
	return s, h
}

func TestLegs(t *testing.T) {
	const ms = time.Millisecond
	lost, refused := errors.New("answer lost"), fmt.Errorf("denied: %w", schema.ErrUnavailable)
	const unknown, done = "unknown", "done"
	for _, c := range []struct {
		name  string
		steps []step
		want  any
		took  time.Duration
		puts  int
		holds string
	}{
		{"quick", []step{{before: 9 * ms}}, done, 9 * ms, 1, "mine"},
		{"first is slow", []step{{before: time.Second}, {before: 5 * ms}}, done, 15 * ms, 2, "mine"},
		{"first landed, its answer is slow", []step{{after: time.Second}, {before: 5 * ms}}, done, 15 * ms, 2, "mine"},
		{"second is slower", []step{{before: 12 * ms}, {before: time.Second}}, done, 12 * ms, 2, "mine"},
		{"first lost its answer", []step{{before: ms, lose: lost}, {before: 3 * ms}}, done, 4 * ms, 2, "mine"},
		{"both lost, one landed", []step{{before: ms, lose: lost}, {before: ms, err: lost}}, unknown, 2 * ms, 2, "mine"},
		{"neither landed", []step{{err: lost}, {err: lost}}, unknown, 0, 2, ""},
		{"first refused", []step{{err: refused}}, schema.ErrUnavailable, 0, 1, ""},
		{"slow, second refused", []step{{before: 50 * ms}, {err: refused}}, done, 50 * ms, 2, "mine"},
		{"lost, second refused", []step{{err: lost}, {err: refused}}, unknown, 0, 2, ""},
		{"taken", []step{{before: ms, foreign: "other"}}, blob.ErrExists, ms, 1, "other"},
		{"taken, slow", []step{{before: 50 * ms}, {before: ms, foreign: "other"}}, blob.ErrExists, 11 * ms, 2, "other"},
		{"lost, taken", []step{{err: lost}, {foreign: "other"}}, blob.ErrExists, 0, 2, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, h := warm(t, c.steps...)
				before, start := s.puts, time.Now()
				err := h.PutIfAbsent(t.Context(), "o", []byte("mine"))
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				switch want := c.want.(type) {
				case error:
					if !errors.Is(err, want) || !blob.NoEffect(err) {
						t.Errorf("got %v, want %v", err, want)
					}
				default:
					if (err == nil) != (want == done) || err != nil && blob.NoEffect(err) {
						t.Errorf("got %v, want %v", err, want)
					}
				}
				if n := s.puts - before; n != c.puts {
					t.Errorf("%d puts, want %d", n, c.puts)
				}
				got, _ := s.Get(t.Context(), "o")
				if string(got) != c.holds {
					t.Errorf("the object holds %q, want %q", got, c.holds)
				}
			})
		})
	}
}

// TestSizes: a large PUT is not slow because it takes longer than small ones do.
func TestSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := warm(t, step{before: time.Second})
		before := s.puts
		if err := h.PutIfAbsent(t.Context(), "large", make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if n := s.puts - before; n != 1 {
			t.Errorf("%d puts, want 1", n)
		}
	})
}

// unreadable cannot read what it holds.
type unreadable struct{ *script }

func (unreadable) Get(context.Context, string) ([]byte, error) {
	return nil, fmt.Errorf("read: %w", schema.ErrUnavailable)
}

// TestNotSettled: a refusal that cannot be looked into promises nothing.
func TestNotSettled(t *testing.T) {
	s := &script{Mem: blob.NewMem(), steps: []step{{}, {lose: errors.New("lost")}}}
	h := newHedge(t, unreadable{s}, hedge.Options{MinSamples: 1, Budget: 1})
	if err := h.PutIfAbsent(t.Context(), "warm", nil); err != nil {
		t.Fatal(err)
	}
	if err := h.PutIfAbsent(t.Context(), "o", nil); err == nil || blob.NoEffect(err) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
}

// TestBudget: however slow the store becomes, few PUTs are hedged.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const puts = 2000
		s, h := warm(t)
		s.mu.Lock()
		for range 3 * puts {
			s.steps = append(s.steps, step{before: 50*time.Millisecond + time.Duration(len(s.steps))*time.Microsecond})
		}
		s.mu.Unlock()
		before := s.puts
		for i := range puts { // each is slower than all before
			if err := h.PutIfAbsent(t.Context(), fmt.Sprint("o", i), []byte("slow")); err != nil {
				t.Fatal(err)
			}
		}
		extra := s.puts - before - puts
		if extra < puts/100 || extra > puts/20+10 {
			t.Errorf("%d of %d puts were hedged, want some and at most 5%% and 10", extra, puts)
		}
	})
}

func TestOptionsValidate(t *testing.T) {
	for _, o := range []hedge.Options{{Quantile: 1}, {Quantile: -1}, {Budget: 2}, {MinDelay: -1}, {MinSamples: -1}, {MinSamples: 10_000}} {
		if _, err := hedge.New(blob.NewMem(), o); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
