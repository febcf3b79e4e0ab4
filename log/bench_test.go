package log_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// BenchmarkAppend appends records of 1 KiB durably, from a number of senders
// that each wait for the answer. In the same run the same bytes are written
// twice more, in as many parts as the log made chunks of them: appended to one
// file with a write and an fsync each, and as a file each, by write, fsync, link
// and fsync of the folder. The metrics x-append and x-files are how many times as
// long the log took.
func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 16, 256, 2048} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) { benchAppend(b, log.Options{}, senders, 1) })
	}
	b.Run("senders=4,batch=1000", func(b *testing.B) { benchAppend(b, log.Options{}, 4, 1000) })
}

// BenchmarkAck is what one sender waits for an answer when nothing else goes on,
// in the middle, beside an fsync of as many bytes appended to a file, and beside
// a file of its own.
func BenchmarkAck(b *testing.B) {
	root := b.TempDir()
	dir, err := blob.OpenDir(filepath.Join(root, "log"), blob.DirOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	c := open(b, log.Options{Store: dir})
	done := follow(b, c)
	row, bare := make([]byte, 1<<20), newBare(b, root)
	var acks, appended, files []time.Duration
	for range b.N {
		start := time.Now()
		appendAll(b, c, row, 1, 1, 1)
		acks = append(acks, time.Since(start))
		appended = append(appended, bare.time(1, 1024, bare.append))
		files = append(files, bare.time(1, 1024, bare.file))
	}
	done()
	middle := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2].Microseconds())
	}
	b.ReportMetric(middle(acks), "ack-p50-µs")
	b.ReportMetric(middle(appended), "append-p50-µs")
	b.ReportMetric(middle(files), "file-p50-µs")
}

// BenchmarkAppendInFlight is BenchmarkAppend by what may be in flight.
func BenchmarkAppendInFlight(b *testing.B) {
	for _, w := range []int{1, 2, 4, 8} {
		for _, load := range [][2]int{{1, 1}, {256, 1}, {2048, 1}, {8, 500}} {
			b.Run(fmt.Sprintf("w=%d,senders=%d,batch=%d", w, load[0], load[1]), func(b *testing.B) {
				benchAppend(b, log.Options{InFlight: w}, load[0], load[1])
			})
		}
	}
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

func benchAppend(b *testing.B, o log.Options, senders, perBatch int) {
	root := b.TempDir()
	dir, err := blob.OpenDir(filepath.Join(root, "log"), blob.DirOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	o.Store = dir
	c := open(b, o)
	done := follow(b, c)
	rows := make([]byte, 1<<20) // half of it random, so that it shrinks by about half
	for i := 0; i < len(rows); i += 64 {
		rand.Read(rows[i : i+32])
	}
	bare := newBare(b, root)
	b.SetBytes(int64(1024 * perBatch))
	// They take turns, since the disk may be busy with other things.
	var took, appended, files time.Duration
	round := max(senders*4, b.N/16)
	for left := b.N; left > 0; left -= round {
		n, before := min(round, left), c.Durable()
		start := time.Now()
		b.StartTimer()
		appendAll(b, c, rows, senders, n, perBatch)
		b.StopTimer()
		took += time.Since(start)
		chunks := int(c.Durable().Chunk - before.Chunk)
		appended += bare.time(chunks, n*perBatch*1024, bare.append)
		files += bare.time(chunks, n*perBatch*1024, bare.file)
	}
	chunks, bytes := done()
	b.ReportMetric(took.Seconds()/appended.Seconds(), "x-append")
	b.ReportMetric(took.Seconds()/files.Seconds(), "x-files")
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

// bare writes to the disk without a log.
type bare struct {
	b        *testing.B
	folder   *os.File
	appended *os.File
	files    int
}

func newBare(b *testing.B, root string) *bare {
	name := filepath.Join(root, "bare")
	if err := os.Mkdir(name, 0o755); err != nil {
		b.Fatal(err)
	}
	folder, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	file, err := os.Create(filepath.Join(root, "appended"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { folder.Close(); file.Close() })
	return &bare{b: b, folder: folder, appended: file}
}

// time writes so many bytes in so many parts.
func (x *bare) time(parts, bytes int, write func(part []byte) error) time.Duration {
	part := make([]byte, bytes/parts+1)
	rand.Read(part)
	start := time.Now()
	for range parts {
		if err := write(part); err != nil {
			x.b.Fatal(err)
		}
	}
	return time.Since(start)
}

func (x *bare) append(part []byte) error {
	_, err := x.appended.Write(part)
	return errors.Join(err, x.appended.Sync())
}

func (x *bare) file(part []byte) error {
	x.files++
	name := filepath.Join(x.folder.Name(), fmt.Sprint(x.files))
	f, err := os.Create(name + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(part)
	return errors.Join(err, f.Sync(), os.Link(f.Name(), name), x.folder.Sync(), os.Remove(f.Name()))
}
