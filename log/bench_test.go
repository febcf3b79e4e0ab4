package log_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// BenchmarkAppend appends records of 1 KiB durably, from a number of senders
// that each wait for the answer. In the same run the same bytes are appended to
// one file with a write and an fsync for each chunk that the log made; the
// metric x-bare is how many times as long the log took.
func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 16, 256, 2048} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) { benchAppend(b, senders, 1) })
	}
	b.Run("senders=4,batch=1000", func(b *testing.B) { benchAppend(b, 4, 1000) })
}

// BenchmarkAppendMemory is the cost of all but the disk.
func BenchmarkAppendMemory(b *testing.B) {
	for _, senders := range []int{1, 256} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			c := open(b, log.Options{Store: blob.NewMem()})
			done := follow(b, c)
			rows := make([]byte, 1<<20)
			rand.Read(rows)
			b.SetBytes(1024)
			b.ReportAllocs()
			b.ResetTimer()
			appendAll(b, c, rows, senders, b.N, 1)
			b.StopTimer()
			chunks, _ := done()
			b.ReportMetric(float64(b.N)/float64(chunks), "records/chunk")
		})
	}
}

func benchAppend(b *testing.B, senders, perBatch int) {
	root := b.TempDir()
	dir, err := blob.OpenDir(filepath.Join(root, "log"), blob.DirOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	c := open(b, log.Options{Store: dir})
	done := follow(b, c)
	rows := make([]byte, 1<<20) // half of it random, so that it shrinks by about half
	for i := 0; i < len(rows); i += 64 {
		rand.Read(rows[i : i+32])
	}
	file, err := os.Create(filepath.Join(root, "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	b.SetBytes(int64(1024 * perBatch))
	// The two take turns, since the disk may be busy with other things.
	var took, bare time.Duration
	round := max(senders*4, b.N/16)
	for left := b.N; left > 0; left -= round {
		n, before := min(round, left), c.Durable()
		start := time.Now()
		b.StartTimer()
		appendAll(b, c, rows, senders, n, perBatch)
		b.StopTimer()
		took += time.Since(start)
		bare += bareLoop(b, file, int(c.Durable().Chunk-before.Chunk), n*perBatch*1024)
	}
	chunks, bytes := done()
	b.ReportMetric(took.Seconds()/bare.Seconds(), "x-bare")
	b.ReportMetric(float64(b.N*perBatch)/took.Seconds(), "records/s")
	b.ReportMetric(float64(b.N*perBatch)/float64(chunks), "records/chunk")
	b.ReportMetric(float64(bytes)/float64(b.N*perBatch*1024), "stored/raw")
}

func appendAll(b *testing.B, c *log.Channel, rows []byte, senders, n, perBatch int) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range senders {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				g := log.AppendGroup{Instance: schema.Instance(16 + i%64), Records: make([]schema.Record, perBatch)}
				for j := range g.Records {
					n := (i*perBatch + j) % 1023 * 1024
					g.Records[j] = schema.Record{Op: schema.OpUpsert, Key: rows[n : n+16], Row: rows[n+16 : n+1024]}
				}
				if _, err := c.Append(b.Context(), batch(g)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// follow applies what the channel makes durable, and counts it.
func follow(b *testing.B, c *log.Channel) (done func() (chunks, bytes int)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var chunks, bytes int
	wg.Go(func() {
		for f := c.Follow(c.Durable()); ; chunks++ {
			ck, err := f.Next(ctx)
			if err != nil {
				return
			}
			bytes += ck.Bytes
			c.Applied(ck.Position)
		}
	})
	return func() (int, int) {
		cancel()
		wg.Wait()
		return max(chunks, 1), bytes
	}
}

// bareLoop writes as many bytes with as many fsyncs to one file.
func bareLoop(b *testing.B, f *os.File, chunks, bytes int) time.Duration {
	buf := make([]byte, bytes/chunks+1)
	rand.Read(buf)
	start := time.Now()
	for range chunks {
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}
