package log_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/latency"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// slowStore is a store in memory as slow as one across a network. It times its
// PUTs, and of chunks with records in them it keeps nothing.
type slowStore struct {
	*latency.Store
	mu   sync.Mutex
	puts []time.Duration
}

// forgetful drops large objects, so that a benchmark may run for long.
type forgetful struct{ *blob.Mem }

func (f forgetful) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	if len(data) > 1<<10 {
		return nil
	}
	return f.Mem.PutIfAbsent(ctx, name, data)
}

func newSlowStore(b *testing.B, p latency.Profile) *slowStore {
	s, err := latency.Around(forgetful{blob.NewMem()}, p, 1)
	if err != nil {
		b.Fatal(err)
	}
	return &slowStore{Store: s}
}

func (s *slowStore) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	start := time.Now()
	err := s.Store.PutIfAbsent(ctx, name, data)
	s.mu.Lock()
	s.puts = append(s.puts, time.Since(start))
	s.mu.Unlock()
	return err
}

// BenchmarkAckSlow sends batches of one record at a steady rate, at random
// moments, whoever was answered, to a store whose PUTs take long. The metric
// over-ms is by how much the 99th of 100 acks is later than linger and the 99th
// of 100 PUTs.
func BenchmarkAckSlow(b *testing.B) {
	for _, p := range []latency.Profile{latency.Fixed(20 * time.Millisecond), latency.Express(), latency.Standard()} {
		for _, rate := range []int{50, 1000, 5000, 20000} {
			b.Run(fmt.Sprintf("put=%s,rate=%d", p.Name, rate), func(b *testing.B) {
				o := log.Options{Linger: time.Millisecond}
				switch p.Name {
				case "express":
					o.Linger, o.InFlight = 20*time.Millisecond, 8
				case "standard":
					o.Linger, o.MaxChunkBytes = 250*time.Millisecond, 4<<20
				}
				benchAckSlow(b, o, p, rate)
			})
		}
	}
}

func benchAckSlow(b *testing.B, o log.Options, p latency.Profile, rate int) {
	s := newSlowStore(b, p)
	o.Store = s
	c := open(b, o)
	done := follow(b, c)
	row := make([]byte, 1<<10)
	rand.Read(row)
	acks := make([]time.Duration, b.N)
	r := mathrand.New(mathrand.NewPCG(1, 2))
	var wg sync.WaitGroup
	s.puts = nil
	b.ResetTimer()
	next := time.Now()
	for i := range b.N {
		next = next.Add(time.Duration(r.ExpFloat64() * float64(time.Second) / float64(rate)))
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
		}
		wg.Go(func() {
			start := time.Now()
			g := log.AppendGroup{Instance: schema.Instance(16 + i%64), Records: []schema.Record{{Op: schema.OpUpsert, Key: row[:16], Row: row[16:]}}}
			if _, err := c.Append(b.Context(), batch(g)); err != nil {
				b.Error(err)
			}
			acks[i] = time.Since(start)
		})
	}
	wg.Wait()
	b.StopTimer()
	chunks, _ := done()
	ack, put := quantile(acks, 0.99), quantile(s.puts, 0.99)
	b.ReportMetric(millis(quantile(acks, 0.5)), "ack-p50-ms")
	b.ReportMetric(millis(ack), "ack-p99-ms")
	b.ReportMetric(millis(put), "put-p99-ms")
	b.ReportMetric(millis(ack-put-o.Linger), "over-ms")
	b.ReportMetric(float64(b.N)/float64(chunks), "records/chunk")
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// BenchmarkInFlightSlow is what W is worth where a PUT takes 20 ms, with more
// senders than it takes to keep the store busy.
func BenchmarkInFlightSlow(b *testing.B) {
	for _, load := range [][2]int{{2048, 1}, {64, 100}} {
		for _, w := range []int{1, 2, 4, 8} {
			b.Run(fmt.Sprintf("senders=%d,batch=%d,w=%d", load[0], load[1], w), func(b *testing.B) {
				c := open(b, log.Options{Store: newSlowStore(b, latency.Fixed(20*time.Millisecond)), InFlight: w})
				done := follow(b, c)
				rows := make([]byte, 1<<20)
				for i := 0; i < len(rows); i += 64 {
					rand.Read(rows[i : i+32])
				}
				b.SetBytes(int64(1024 * load[1]))
				b.ResetTimer()
				start := time.Now()
				appendAll(b, c, rows, load[0], b.N, load[1])
				took := time.Since(start)
				b.StopTimer()
				chunks, _ := done()
				b.ReportMetric(float64(b.N*load[1])/took.Seconds(), "records/s")
				b.ReportMetric(float64(b.N*load[1])/float64(chunks), "records/chunk")
			})
		}
	}
}
