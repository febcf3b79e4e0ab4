package latency_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/latency"
	"github.com/trinedb/trine/schema"
)

const ms = time.Millisecond

func around(t testing.TB, p latency.Profile, seed uint64) (*latency.Store, *blob.Mem) {
	t.Helper()
	mem := blob.NewMem()
	s, err := latency.Around(mem, p, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s, mem
}

func TestAcceptance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Store {
		s, _ := around(t, latency.Fixed(50*time.Microsecond), 1)
		return s
	})
}

// TestDraw: what is drawn has the quantiles that were given.
func TestDraw(t *testing.T) {
	for _, p := range []latency.Profile{latency.Standard(), latency.Express()} {
		for verb, d := range map[string]latency.Distribution{"put": p.Put, "get": p.Get} {
			r := rand.New(rand.NewPCG(1, 2))
			drawn := make([]time.Duration, 50_000)
			for i := range drawn {
				drawn[i] = d.Draw(r)
			}
			slices.Sort(drawn)
			for _, q := range d[1 : len(d)-1] {
				if got := drawn[int(q.P*float64(len(drawn)))]; got < q.D*8/10 || got > q.D*12/10 {
					t.Errorf("%s %s: quantile %g is %v, want about %v", p.Name, verb, q.P, got, q.D)
				}
				if got := d.At(q.P); got < q.D*999/1000 || got > q.D*1001/1000 {
					t.Errorf("%s %s: At(%g) is %v, want %v", p.Name, verb, q.P, got, q.D)
				}
			}
			if drawn[0] < d[0].D*999/1000 || drawn[len(drawn)-1] > d[len(d)-1].D*1001/1000 {
				t.Errorf("%s %s: drew %v to %v", p.Name, verb, drawn[0], drawn[len(drawn)-1])
			}
		}
	}
}

// TestVerbs: each call takes the time of its kind, and its bytes'.
func TestVerbs(t *testing.T) {
	p := latency.Profile{
		Name: "test", BytesPerSecond: 1e6,
		Put: latency.Distribution{{P: 0, D: 20 * ms}, {P: 1, D: 20 * ms}},
		Get: latency.Distribution{{P: 0, D: 8 * ms}, {P: 1, D: 8 * ms}},
	}
	data := make([]byte, 5000) // 5 ms
	for _, c := range []struct {
		name string
		want time.Duration
		call func(context.Context, *latency.Store) error
	}{
		{"put", 25 * ms, func(ctx context.Context, s *latency.Store) error { return s.PutIfAbsent(ctx, "new", data) }},
		{"put taken", 25 * ms, func(ctx context.Context, s *latency.Store) error {
			if err := s.PutIfAbsent(ctx, "o", data); !errors.Is(err, blob.ErrExists) {
				return fmt.Errorf("got %v", err)
			}
			return nil
		}},
		{"get", 13 * ms, func(ctx context.Context, s *latency.Store) error { _, err := s.Get(ctx, "o"); return err }},
		{"range", 9 * ms, func(ctx context.Context, s *latency.Store) error {
			_, err := s.GetRange(ctx, "o", -1000, 1000)
			return err
		}},
		{"read and swap", 38 * ms, func(ctx context.Context, s *latency.Store) error {
			_, v, err := s.Read(ctx, "o")
			if err == nil {
				_, err = s.Swap(ctx, "o", v, data)
			}
			return err
		}},
		{"create", 25 * ms, func(ctx context.Context, s *latency.Store) error {
			w, err := s.Create(ctx, "made")
			if err == nil {
				_, err = w.Write(data)
			}
			return errors.Join(err, w.Commit())
		}},
		{"open and read at", 17 * ms, func(ctx context.Context, s *latency.Store) error {
			r, err := s.Open(ctx, "o")
			if err == nil {
				_, err = r.ReadAt(make([]byte, 1000), 0)
			}
			return err
		}},
		{"delete", 20 * ms, func(ctx context.Context, s *latency.Store) error { return s.Delete(ctx, "o") }},
		{"list", 8 * ms, func(ctx context.Context, s *latency.Store) error {
			for name, err := range s.List(ctx, "", "") {
				if name != "o" || err != nil {
					return fmt.Errorf("%q %v", name, err)
				}
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, mem := around(t, p, 1)
				if err := mem.PutIfAbsent(t.Context(), "o", data); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if err := c.call(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took != c.want {
					t.Errorf("took %v, want %v", took, c.want)
				}
			})
		})
	}
}

// TestGivenUp: a write whose context ends under way has an open outcome, whether
// it came to the store or not; one that never set out has none.
func TestGivenUp(t *testing.T) {
	for _, c := range []struct {
		after  time.Duration
		landed bool
	}{{5 * ms, false}, {15 * ms, true}} {
		synctest.Test(t, func(t *testing.T) {
			s, mem := around(t, latency.Fixed(20*ms), 1)
			ctx, cancel := context.WithTimeout(t.Context(), c.after)
			defer cancel()
			start := time.Now()
			err := s.PutIfAbsent(ctx, "o", []byte("x"))
			if err == nil || blob.NoEffect(err) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %v: %v", c.after, err)
			}
			if took := time.Since(start); took != c.after {
				t.Errorf("took %v, want %v", took, c.after)
			}
			if _, err := mem.Get(t.Context(), "o"); (err == nil) != c.landed {
				t.Errorf("after %v: read %v, landed should be %t", c.after, err, c.landed)
			}
			if err := s.PutIfAbsent(ctx, "other", nil); !blob.NoEffect(err) {
				t.Errorf("with a context that is over: %v", err)
			}
		})
	}
}

// TestSeed: one seed gives the same times again.
func TestSeed(t *testing.T) {
	times := func(seed uint64) (list []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := around(t, latency.Standard(), seed)
			for i := range 20 {
				start := time.Now()
				if err := s.PutIfAbsent(t.Context(), fmt.Sprint(i), nil); err != nil {
					t.Fatal(err)
				}
				list = append(list, time.Since(start))
			}
		})
		return list
	}
	if a, b := times(3), times(3); !slices.Equal(a, b) {
		t.Errorf("%v, then %v", a, b)
	}
	if a, b := times(3), times(4); slices.Equal(a, b) {
		t.Errorf("seeds 3 and 4 both gave %v", a)
	}
}

func TestParse(t *testing.T) {
	for name, p50 := range map[string]time.Duration{"standard": 26 * ms, "express": 10 * ms, "20ms": 20 * ms, "0s": 0} {
		p, err := latency.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Put.At(0.5); p.Name != name || got < p50-time.Microsecond || got > p50+time.Microsecond {
			t.Errorf("%s: %s has a p50 of %v, want %v", name, p.Name, got, p50)
		}
	}
	for _, name := range []string{"", "fast", "-1ms", "1h"} {
		if _, err := latency.Parse(name); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAroundRefuses(t *testing.T) {
	whole := latency.Distribution{{P: 0, D: ms}, {P: 1, D: ms}}
	for _, d := range []latency.Distribution{
		nil, {{P: 0, D: ms}}, {{P: 0, D: ms}, {P: 0.9, D: ms}}, {{P: 0.1, D: ms}, {P: 1, D: ms}},
		{{P: 0, D: 2 * ms}, {P: 1, D: ms}}, {{P: 0, D: 0}, {P: 1, D: ms}}, {{P: 0, D: ms}, {P: 0, D: ms}, {P: 1, D: ms}},
	} {
		for _, p := range []latency.Profile{{Put: d, Get: whole}, {Put: whole, Get: d}} {
			if _, err := latency.Around(blob.NewMem(), p, 1); !errors.Is(err, schema.ErrInvalid) {
				t.Errorf("%v: %v", p, err)
			}
		}
	}
}
