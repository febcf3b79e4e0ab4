package kvindex_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// Every benchmark runs its floor, the same work on Badger alone, in
// alternation with the index in the same run, and reports the ratio.

const (
	benchRows  = 400_000
	benchChunk = 1000
	benchInst  = schema.FirstUserInstance
)

func benchKey(i int) []byte {
	// Spread as hashed keys are, so that neighbours are random rows.
	return binary.BigEndian.AppendUint64(nil, uint64(i)*0x9E3779B97F4A7C15)
}

func benchRow(i int) []byte {
	row := make([]byte, 100)
	r := rand.New(rand.NewPCG(uint64(i), 7))
	for j := range row {
		row[j] = byte(r.Uint32())
	}
	return row
}

func benchChunks(from, rows, perChunk int, next *schema.Seq, pos *schema.Position) []*schema.Chunk {
	var chunks []*schema.Chunk
	for i := from; i < from+rows; i += perChunk {
		*pos = pos.Next()
		g := schema.Group{Instance: benchInst, FirstSeq: *next}
		for j := i; j < i+perChunk; j++ {
			g.Records = append(g.Records, schema.Record{Op: schema.OpUpsert, Key: benchKey(j % benchRows), Row: benchRow(j)})
		}
		*next += schema.Seq(perChunk)
		chunks = append(chunks, &schema.Chunk{Position: *pos, TimeMicros: time.Now().UnixMicro(), Groups: []schema.Group{g}})
	}
	return chunks
}

func benchOptions(dir string) kvindex.Options {
	return kvindex.Options{Dir: dir, MinFreeBytes: -1, BootID: "bench"}
}

// filled is an index with benchRows rows, reopened, and a Badger with the same
// keys and values of the same size.
func filled(b *testing.B) (*kvindex.Index, *badger.DB) {
	b.Helper()
	dir, rawDir := fillDirs(b)
	x, err := kvindex.Open(benchOptions(dir))
	must(b, err)
	b.Cleanup(func() { closeIndex(b, x) })
	raw := rawBadger(b, rawDir)
	b.Cleanup(func() { _ = raw.Close() })
	return x, raw
}

// fillDirs are the folders of an index and a Badger, with the same rows in tables.
func fillDirs(b *testing.B) (dir, rawDir string) {
	b.Helper()
	dir, rawDir = b.TempDir(), b.TempDir()
	x, err := kvindex.Open(benchOptions(dir))
	must(b, err)
	var next schema.Seq
	var pos schema.Position
	for _, c := range benchChunks(0, benchRows, benchChunk, &next, &pos) {
		must(b, x.Apply(context.Background(), c))
	}
	closeIndex(b, x)
	raw := rawBadger(b, rawDir)
	for i := 0; i < benchRows; i += benchChunk {
		must(b, rawCommit(raw, i, uint64(i/benchChunk)+1))
	}
	must(b, raw.Close())
	return dir, rawDir
}

func rawBadger(b *testing.B, dir string) *badger.DB {
	b.Helper()
	db, err := badger.OpenManaged(badger.DefaultOptions(dir).WithCompression(options.None).WithBlockCacheSize(0).
		WithIndexCacheSize(0).WithMemTableSize(32 << 20).WithNumMemtables(3).WithNumCompactors(2).
		WithDetectConflicts(false).WithMetricsEnabled(false).WithValueLogFileSize(1 << 20).
		WithValueThreshold(1 << 20).WithLogger(nil))
	must(b, err)
	db.SetDiscardTs(db.MaxVersion())
	return db
}

func rawKey(key []byte) []byte { return append(make([]byte, 9, 9+len(key)), key...) }

func rawCommit(db *badger.DB, from int, ts uint64) error {
	txn := db.NewTransactionAt(ts-1, true)
	for i := from; i < from+benchChunk; i++ {
		if err := txn.Set(rawKey(benchKey(i%benchRows)), append(make([]byte, 12), benchRow(i)...)); err != nil {
			return err
		}
	}
	return txn.CommitAt(ts, nil)
}

// alternate runs ours and floor in turns and reports both times and the ratio.
func alternate(b *testing.B, each int, ours, floor func(i int)) {
	var a, f time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		for i := range each {
			ours(n*each + i)
		}
		mid := time.Now()
		for i := range each {
			floor(n*each + i)
		}
		a, f = a+mid.Sub(start), f+time.Since(mid)
		n++
	}
	total := float64(n * each)
	b.ReportMetric(float64(a.Nanoseconds())/total, "ours-ns")
	b.ReportMetric(float64(f.Nanoseconds())/total, "badger-ns")
	b.ReportMetric(float64(a)/float64(f), "ratio")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkGet(b *testing.B) {
	x, raw := filled(b)
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(1, 1))
	perm := rnd.Perm(benchRows)[:20_000]
	for _, hit := range []bool{true, false} {
		b.Run(fmt.Sprintf("hit=%t", hit), func(b *testing.B) {
			key := func(i int) []byte {
				k := benchKey(perm[i%len(perm)])
				if !hit {
					k[7]++
				}
				return k
			}
			alternate(b, 1000, func(i int) {
				if _, ok, err := x.Get(ctx, benchInst, key(i)); ok != hit || err != nil {
					b.Fatal(ok, err)
				}
			}, func(i int) {
				txn := raw.NewTransactionAt(1<<62, false)
				item, err := txn.Get(rawKey(key(i)))
				if (err == nil) != hit {
					b.Fatal(err)
				}
				if hit {
					if _, err := item.ValueCopy(nil); err != nil {
						b.Fatal(err)
					}
				}
				txn.Discard()
			})
		})
	}
}

func BenchmarkRangeTen(b *testing.B) {
	x, raw := filled(b)
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(1, 1))
	perm := rnd.Perm(benchRows)[:20_000]
	// Some of the rows are in the overlay, too.
	next, pos := schema.Seq(benchRows), x.Applied()
	fill := func(b *testing.B, rows int) {
		for _, c := range benchChunks(int(next), rows, benchChunk, &next, &pos) {
			x.Stage(c.Position, c.Groups)
			x.Publish(c)
		}
	}
	for _, overlay := range []int{0, 20_000} {
		b.Run(fmt.Sprintf("overlay=%d", overlay), func(b *testing.B) {
			fill(b, overlay)
			prefix := make([]byte, 9)
			alternate(b, 200, func(i int) {
				n := 0
				err := x.Range(ctx, benchInst, kvindex.KeyRange{From: benchKey(perm[i%len(perm)])}, func(_, _ []byte) (bool, error) {
					n++
					return n < 10, nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}, func(i int) {
				txn := raw.NewTransactionAt(1<<62, false)
				it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
				n := 0
				for it.Seek(rawKey(benchKey(perm[i%len(perm)]))); it.Valid() && n < 10; it.Next() {
					if err := it.Item().Value(func([]byte) error { return nil }); err != nil {
						b.Fatal(err)
					}
					n++
				}
				it.Close()
				txn.Discard()
			})
		})
	}
}

// BenchmarkStage is what the index costs the log's writer for a record.
func BenchmarkStage(b *testing.B) {
	for _, perChunk := range []int{1, 1000} {
		b.Run(fmt.Sprintf("chunk=%d", perChunk), func(b *testing.B) {
			x, err := kvindex.Open(benchOptions(b.TempDir()))
			must(b, err)
			defer closeIndex(b, x)
			var next schema.Seq
			var pos schema.Position
			chunks := benchChunks(0, 20_000, perChunk, &next, &pos)
			n := 0
			for b.Loop() {
				for _, c := range chunks {
					x.Stage(c.Position, c.Groups)
					x.Publish(c)
				}
				n += 20_000
				b.StopTimer()
				must(b, x.Close(context.Background()))
				x, err = kvindex.Open(benchOptions(b.TempDir()))
				must(b, err)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkApplyCollections applies chunks that hold one record of each of many
// collections.
func BenchmarkApplyCollections(b *testing.B) {
	const collections = 1000
	x, err := kvindex.Open(benchOptions(b.TempDir()))
	must(b, err)
	defer closeIndex(b, x)
	var pos schema.Position
	n := 0
	for b.Loop() {
		pos = pos.Next()
		c := &schema.Chunk{Position: pos, TimeMicros: int64(pos.Chunk)}
		for i := range collections {
			c.Groups = append(c.Groups, schema.Group{
				Instance: benchInst + schema.Instance(i), FirstSeq: schema.Seq(pos.Chunk - 1),
				Records: []schema.Record{{Op: schema.OpUpsert, Key: benchKey(int(pos.Chunk)), Row: benchKey(i)}},
			})
		}
		x.Stage(c.Position, c.Groups)
		x.Publish(c)
		must(b, x.Apply(context.Background(), c))
		n += collections
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/collection")
	b.ReportMetric(0, "ns/op")
}
