package s3_test

import (
	"fmt"
	"testing"

	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

// BenchmarkPut is what a chunk costs on this side of the wire: the fake keeps it
// in memory, and computes MD5, SHA-256 and CRC over it, as much again.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20, 4 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := openBench(b)
			data := pattern(size)
			b.SetBytes(int64(size))
			before := s.Usage()[s3.VerbPut].Requests
			n := 0
			for b.Loop() {
				name := fmt.Sprintf("ch/0/0/%020d", n)
				if err := s.PutIfAbsent(b.Context(), name, data); err != nil {
					b.Fatal(err)
				}
				n++
				b.StopTimer()
				if err := s.Delete(b.Context(), name); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(s.Usage()[s3.VerbPut].Requests-before)/float64(n), "requests/op")
		})
	}
}

// BenchmarkHeader is what a take-over reads of each chunk.
func BenchmarkHeader(b *testing.B) {
	s := openBench(b)
	if err := s.PutIfAbsent(b.Context(), "chunk", pattern(1<<20)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.GetRange(b.Context(), "chunk", 0, 112); err != nil {
			b.Fatal(err)
		}
	}
}

func openBench(b *testing.B) *s3.Store {
	server := s3test.Start(b, s3test.Options{})
	return open(b, configOf(server, ""), s3.Options{Credentials: server})
}
