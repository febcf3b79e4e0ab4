package s3test_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

// TestMeasured: what is drawn has the quantiles that were given.
func TestMeasured(t *testing.T) {
	points := []s3test.Quantile{
		{P: 0, D: time.Millisecond}, {P: 0.5, D: 10 * time.Millisecond}, {P: 0.9, D: 50 * time.Millisecond}, {P: 1, D: time.Second},
	}
	draw := s3test.Measured(points)
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 20_000
	drawn := make([]time.Duration, n)
	for i := range drawn {
		drawn[i] = draw(rng, nil)
	}
	slices.Sort(drawn)
	for _, p := range points[1:3] {
		if got := drawn[int(p.P*n)]; got < p.D*9/10 || got > p.D*11/10 {
			t.Errorf("quantile %v is %v, want about %v", p.P, got, p.D)
		}
	}
	if drawn[0] < points[0].D || drawn[n-1] > points[3].D {
		t.Errorf("drew %v to %v, want within %v to %v", drawn[0], drawn[n-1], points[0].D, points[3].D)
	}
}

// TestChaosIsReproducible from its seed.
func TestChaosIsReproducible(t *testing.T) {
	rates := s3test.Rates{SlowDown: 0.1, Lose: 0.1, Late: 0.1, LateBy: time.Second, Conflict: 0.1}
	a, b, other := s3test.Chaos(7, rates), s3test.Chaos(7, rates), s3test.Chaos(8, rates)
	faults, differ := 0, false
	for range 1000 {
		r := &s3test.Request{Op: s3test.Put}
		x, y, z := a(r), b(r), other(r)
		if x != y {
			t.Fatalf("one seed gave %+v and %+v", x, y)
		}
		if x != (s3test.Fault{}) {
			faults++
		}
		differ = differ || x != z
	}
	if faults < 300 || faults > 500 || !differ {
		t.Errorf("%d faults of 1000, want about 400; seeds differ: %t", faults, differ)
	}
}
