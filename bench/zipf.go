package bench

import (
	"math"
	"math/rand/v2"
	"sort"
)

// zipf draws one of n things, the k-th being 1/k^s as likely as the first; s 0
// makes all alike. Unlike rand.Zipf it takes s up to 1, as collections have it.
// It costs 8 bytes a thing, and is safe for concurrent use.
type zipf struct{ cumulated []float64 }

func newZipf(n int, s float64) zipf {
	c := make([]float64, n)
	total := 0.0
	for i := range c {
		total += math.Pow(float64(i+1), -s)
		c[i] = total
	}
	for i := range c {
		c[i] /= total
	}
	return zipf{c}
}

func (z zipf) draw(r *rand.Rand) int {
	x := r.Float64()
	return min(sort.SearchFloat64s(z.cumulated, x), len(z.cumulated)-1)
}

// distinct is how many different things draws of that number are expected to
// meet.
func (z zipf) distinct(draws float64) float64 {
	total, below := 0.0, 0.0
	for _, c := range z.cumulated {
		total += -math.Expm1(draws * math.Log1p(-min(c-below, 1-1e-16)))
		below = c
	}
	return total
}
