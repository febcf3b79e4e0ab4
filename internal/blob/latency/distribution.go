package latency

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/trinedb/trine/schema"
)

// Quantile is a point of a measured distribution: P of all took at most D.
type Quantile struct {
	P float64
	D time.Duration
}

// Distribution is known by some quantiles in rising order, the first for P 0 and
// the last for P 1. Between them it is taken to be straight on a logarithmic
// scale, as latencies roughly are.
type Distribution []Quantile

// At is the time that p of all calls take at most.
func (d Distribution) At(p float64) time.Duration {
	for i := 1; i < len(d); i++ {
		a, b := d[i-1], d[i]
		if p > b.P {
			continue
		}
		if a.D == b.D {
			return a.D
		}
		x := (p - a.P) / (b.P - a.P)
		return time.Duration(math.Exp(math.Log(float64(a.D))*(1-x) + math.Log(float64(b.D))*x))
	}
	return d[len(d)-1].D
}

// Draw is the time of one call.
func (d Distribution) Draw(r *rand.Rand) time.Duration { return d.At(r.Float64()) }

// check reports what makes d no distribution.
func (d Distribution) check(name string) error {
	if len(d) < 2 || d[0].P != 0 || d[len(d)-1].P != 1 {
		return fmt.Errorf("latency of %s: want quantiles from 0 to 1: %w", name, schema.ErrInvalid)
	}
	for i, q := range d {
		if q.D < 0 || i > 0 && (q.P <= d[i-1].P || q.D < d[i-1].D || d[i-1].D == 0 && q.D > 0) {
			return fmt.Errorf("latency of %s: quantile %g takes %v: want rising ones above 0: %w", name, q.P, q.D, schema.ErrInvalid)
		}
	}
	return nil
}
