package bench_test

import (
	"math"
	"testing"

	"github.com/trinedb/trine/bench"
)

// What a GB of full chunks costs, as it was computed by hand from the same
// prices: a change of the table should be meant.
func TestPrices(t *testing.T) {
	for _, test := range []struct {
		chunk float64
		want  map[string]float64
	}{
		{512 << 10, map[string]float64{"S3 Express ×1": .0055, "S3 Express ×3": .0165, "S3 Standard": .0102}},
		{1 << 20, map[string]float64{"S3 Express ×1": .0044, "S3 Express ×3": .0131, "S3 Standard": .0051}},
		{4 << 20, map[string]float64{"S3 Express ×1": .0035, "S3 Express ×3": .0105, "S3 Standard": .0013}},
	} {
		got, err := bench.DollarsPerGB(test.chunk)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(test.want) {
			t.Errorf("stores %v", got)
		}
		for name, want := range test.want {
			if math.Abs(got[name]-want) > 0.0001 {
				t.Errorf("%s, chunks of %g: $%.4f a GB, want $%.4f", name, test.chunk, got[name], want)
			}
		}
	}
}

func TestChunksPerSecond(t *testing.T) {
	for _, test := range []struct{ raw, batches, want float64 }{
		{40 << 20, 1000, 10}, // full chunks
		{1 << 20, 1000, 4},   // one each linger
		{100, 0.5, 0.5},      // one each batch
		{0, 0, 0},
	} {
		if got := bench.ChunksPerSecond(test.raw, test.batches); got != test.want {
			t.Errorf("%g B/s, %g batches/s: %g chunks/s, want %g", test.raw, test.batches, got, test.want)
		}
	}
}

func TestZipf(t *testing.T) {
	const draws = 20_000
	for _, s := range []float64{0, 0.5, 1, 2} {
		counts, distinct := bench.Zipf(1000, s, draws, 1)
		met := 0
		for _, n := range counts {
			if n > 0 {
				met++
			}
		}
		if math.Abs(float64(met)-distinct) > 5*math.Sqrt(distinct)+1 {
			t.Errorf("s %g: %d different things, expected %.1f", s, met, distinct)
		}
		if first, tenth := float64(counts[0]), float64(counts[9]); s > 0 && math.Abs(first/tenth/math.Pow(10, s)-1) > 0.5 {
			t.Errorf("s %g: the first came %g times, the tenth %g", s, first, tenth)
		}
	}
}

func TestQuartiles(t *testing.T) {
	if low, mid, high := bench.Quartiles([]float64{5, 1, 4, 2, 3}); low != 2 || mid != 3 || high != 4 {
		t.Error(low, mid, high)
	}
	if low, mid, high := bench.Quartiles([]float64{1, 2}); low != 1.25 || mid != 1.5 || high != 1.75 {
		t.Error(low, mid, high)
	}
	if low, mid, high := bench.Quartiles(nil); low != 0 || mid != 0 || high != 0 {
		t.Error(low, mid, high)
	}
}
