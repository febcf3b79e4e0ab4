package log_test

import (
	"runtime"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// BenchmarkMemoryAfterBurst is what a channel holds after a burst of changes to
// very many collections was applied, beside what it holds while it is not.
func BenchmarkMemoryAfterBurst(b *testing.B) {
	const collections, perBatch = 200_000, 1000
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	for b.Loop() {
		c := open(b, log.Options{Store: blob.NewMem(), TailBytes: 1, MaxUnappliedBytes: 1 << 40})
		before := heap()
		for first := 0; first < collections; first += perBatch {
			var groups []log.AppendGroup
			for i := range perBatch {
				groups = append(groups, group(schema.Instance(16+first+i), "x"))
			}
			mustAppend(b, c, batch(groups...))
		}
		burst := heap()
		c.Applied(c.Durable())
		mustAppend(b, c, batch(group(16, "after")))
		b.ReportMetric(burst-before, "burst-MiB")
		b.ReportMetric(heap()-before, "applied-MiB")
	}
}
