package bench

import (
	"math/rand/v2"
	"time"
)

// Quartiles, and the price of writing, for tests of the arithmetic.
var Quartiles = quartiles

// DollarsPerGB is the price of a GB in full chunks of a size, by store.
func DollarsPerGB(chunkBytes float64) (map[string]float64, error) {
	t, err := prices()
	out := map[string]float64{}
	for _, p := range t.Stores {
		out[p.Name] = p.dollars(charge{puts: gb / chunkBytes, sent: gb})
	}
	return out, err
}

// ChunksPerSecond is how many chunks the log would make on S3 Standard.
func ChunksPerSecond(raw, batches float64) float64 {
	p := storePrice{ChunkBytes: 4 << 20, Linger: 250 * time.Millisecond}
	return p.chunks(raw, batches)
}

// Zipf draws, and the number of different things that are expected.
func Zipf(n int, s float64, draws int, seed uint64) (counts []int, distinct float64) {
	z, r := newZipf(n, s), rand.New(rand.NewPCG(seed, 0))
	counts = make([]int, n)
	for range draws {
		counts[z.draw(r)]++
	}
	return counts, z.distinct(float64(draws))
}
