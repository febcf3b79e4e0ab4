package segment_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// work is 64 chunks of about 1 MiB: records of 256 bytes of words and numbers.
// Half of them, or none, are of ten large collections; the others of 20,000.
func work(large bool) *history {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 300)
	for i := range words {
		words[i] = string(row(r, 3+r.IntN(8)))
	}
	rec := func() schema.Record {
		b := make([]byte, 0, 260)
		for len(b) < 236 {
			b = append(append(b, words[r.IntN(len(words))]...), ' ')
			b = binary.LittleEndian.AppendUint16(b, uint16(r.Uint32()))
		}
		return schema.Record{Op: schema.OpUpsert, Key: b[4:20], Row: b}
	}
	var h history
	for range 64 {
		recs := map[schema.Instance][]schema.Record{}
		for i := range 4096 {
			id := schema.Instance(100 + r.IntN(20_000))
			if large && i%2 == 0 {
				id = schema.Instance(200_000 + r.IntN(10))
			}
			recs[id] = append(recs[id], rec())
		}
		h.add(recs)
	}
	return &h
}

func dir(b *testing.B) *blob.Dir {
	d, err := blob.OpenDir(b.TempDir(), blob.DirOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	return d
}

var works = []struct {
	name  string
	large bool
}{{"small", false}, {"half-large", true}}

// BenchmarkBuild makes a segment of 64 MiB of records, chunks already in memory.
func BenchmarkBuild(b *testing.B) {
	for _, c := range works {
		b.Run(c.name, func(b *testing.B) {
			h, d := work(c.large), dir(b)
			var info segment.Info
			b.ReportAllocs()
			for b.Loop() {
				r := h.build(b, d, 1, 64)
				b.StopTimer()
				info = open(b, d, r).Info()
				remove(b, d, r)
				b.StartTimer()
			}
			b.SetBytes(int64(info.RawBytes))
			b.ReportMetric(float64(info.Bytes)/float64(info.RawBytes), "stored/raw")
		})
	}
}

// BenchmarkZstd is the floor of Build and of a Merge of small collections: it
// compresses as many bytes of the same kind, block by block, and nothing else.
func BenchmarkZstd(b *testing.B) {
	var raw []byte
	for _, c := range work(false).chunks {
		for _, g := range c.Groups {
			for _, rec := range g.Records {
				raw = append(append(raw, rec.Key...), rec.Row...)
			}
		}
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	var out []byte
	for b.Loop() {
		for block := range slices.Chunk(raw, segment.BlockBytes) {
			out = z.EncodeAll(block, out[:0])
		}
	}
}

func remove(b *testing.B, d *blob.Dir, r segment.Ref) {
	b.Helper()
	if err := d.Delete(b.Context(), r.Name()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMerge merges eight segments of 8 MiB of records; copy reads and writes
// the same objects and does nothing else. Both count bytes as they are stored.
func BenchmarkMerge(b *testing.B) {
	for _, c := range works {
		h, d := work(c.large), dir(b)
		job, stored, raw := segment.Job{Output: ref(2, 1, 64)}, int64(0), uint64(0)
		for from := uint64(1); from <= 64; from += 8 {
			r := h.build(b, d, from, from+7)
			info := open(b, d, r).Info()
			stored += info.Bytes
			raw += info.RawBytes
			job.Inputs = append(job.Inputs, segment.Span{Ref: r, From: from, To: from + 7})
		}
		dec := decoder(b)
		run := func(name string, fn func() error) {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.SetBytes(stored)
				b.ReportAllocs()
				for b.Loop() {
					if err := fn(); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					remove(b, d, job.Output)
					b.StartTimer()
				}
				b.ReportMetric(float64(raw)*float64(b.N)/b.Elapsed().Seconds()/1e6, "rawMB/s")
			})
		}
		run("merge", func() error {
			_, err := segment.Merge(b.Context(), d, dec, job)
			return err
		})
		run("copy", func() error { return bareCopy(b.Context(), d, job) })
	}
}

func bareCopy(ctx context.Context, d *blob.Dir, job segment.Job) error {
	w, err := d.Create(ctx, job.Output.Name())
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, in := range job.Inputs {
		for off := int64(0); ; off += 2 << 20 {
			data, err := d.GetRange(ctx, in.Ref.Name(), off, 2<<20)
			if err != nil {
				return err
			}
			if _, err := w.Write(data); err != nil {
				return err
			}
			if len(data) < 2<<20 {
				break
			}
		}
	}
	return w.Commit()
}

// BenchmarkCold reads one collection of ten records among 100,000 from a local
// disk: from a segment that is open, and with opening it.
func BenchmarkCold(b *testing.B) {
	c, d := cold{collections: 100_000, perChunk: 1000}, dir(b)
	span := c.build(b, d, rounds)[0]
	r := rand.New(rand.NewPCG(1, 2))
	read := func(seg *segment.Reader) {
		n := 0
		for g, err := range seg.Read(b.Context(), c.id(r.IntN(c.collections)), 0) {
			if err != nil {
				b.Fatal(err)
			}
			n += len(g.Records)
		}
		if n != rounds {
			b.Fatalf("%d records", n)
		}
	}
	b.Run("open", func(b *testing.B) {
		seg := open(b, d, span.Ref)
		b.ReportAllocs()
		for b.Loop() {
			read(seg)
		}
	})
	b.Run("opening", func(b *testing.B) {
		dec := decoder(b)
		b.ReportAllocs()
		for b.Loop() {
			seg, err := segment.Open(b.Context(), d, dec, span.Ref)
			if err != nil {
				b.Fatal(err)
			}
			read(seg)
		}
	})
	b.Run("absent", func(b *testing.B) {
		seg := open(b, d, span.Ref)
		b.ReportAllocs()
		for b.Loop() {
			seg.MayContain(c.id(r.IntN(c.collections)) + 1)
		}
	})
}

// BenchmarkReadAll reads a large collection from the start.
func BenchmarkReadAll(b *testing.B) {
	h, d := work(true), dir(b)
	seg := open(b, d, h.build(b, d, 1, 64))
	b.ReportAllocs()
	for b.Loop() {
		bytes := 0
		for g, err := range seg.Read(b.Context(), 200_003, 0) {
			if err != nil {
				b.Fatal(err)
			}
			for _, rec := range g.Records {
				bytes += len(rec.Key) + len(rec.Row)
			}
		}
		b.SetBytes(int64(bytes))
	}
}
