package s3test_test

import (
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

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
