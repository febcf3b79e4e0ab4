package kvindex_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// benchIndexes are three of the indexes of towns.
var benchIndexes = []definedIndex{
	{ID: 1, Fields: []int{2}}, {ID: 2, Fields: []int{3, 2}}, {ID: 3, Fields: []int{4, 3}},
}

// benchTown is the i-th version of a row: each changes all that is indexed.
func benchTown(i, rows int) town {
	id := uint64(i%rows) * 0x9E3779B97F4A7C15
	city, zip, n := fmt.Sprintf("city %016x", uint64(i)*0xBF58476D1CE4E5B9), fmt.Sprintf("%x", i), int64(i)
	return town{id: fmt.Sprintf("%016x", id), city: &city, zip: &zip, n: &n}
}

// BenchmarkApplySecondaries applies rows to collections with 0, 1 and 3 indexes,
// and writes the same entries to Badger alone, in one transaction a chunk.
func BenchmarkApplySecondaries(b *testing.B) {
	ctx := context.Background()
	const rows = 100_000
	for _, fresh := range []bool{true, false} {
		for _, indexes := range []int{0, 1, 3} {
			b.Run(fmt.Sprintf("fresh=%t/indexes=%d", fresh, indexes), func(b *testing.B) {
				o := benchOptions(b.TempDir())
				o.Catalog = catalog{}
				x, err := kvindex.Open(o)
				must(b, err)
				defer closeIndex(b, x)
				raw := rawBadger(b, b.TempDir())
				defer func() { must(b, raw.Close()) }()
				m := newMaker()
				must(b, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(benchInst, benchIndexes[:indexes]...))))
				among, n, ts := 1<<40, 0, uint64(0)
				if !fresh {
					among = rows
				}
				chunk := func() (ours, floor time.Duration) {
					var towns []town
					for range benchChunk {
						towns = append(towns, benchTown(n, among))
						n++
					}
					var rs []schema.Record
					for _, t := range towns {
						rs = append(rs, t.record(2))
					}
					c := m.chunk(benchInst, rs...)
					t0 := time.Now()
					x.Stage(c.Position, c.Groups)
					x.Publish(c)
					must(b, x.Apply(ctx, c))
					ours = time.Since(t0)
					puts, gone := rawEntries(towns, rs, n, among, indexes)
					t0 = time.Now()
					must(b, rawApply(raw, ts, puts, gone))
					ts++
					return ours, time.Since(t0)
				}
				for !fresh && n < rows {
					chunk()
				}
				var a, f time.Duration
				chunks := 0
				for b.Loop() {
					ours, floor := chunk()
					a, f, chunks = a+ours, f+floor, chunks+1
				}
				per := float64(chunks * benchChunk)
				b.ReportMetric(float64(a.Nanoseconds())/per, "ours-ns")
				b.ReportMetric(float64(f.Nanoseconds())/per, "badger-ns")
				b.ReportMetric(float64(a)/float64(f), "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

type rawPair struct{ key, val []byte }

// rawEntries are the keys that a chunk of towns writes and deletes.
func rawEntries(towns []town, rs []schema.Record, n, among, indexes int) (puts []rawPair, gone [][]byte) {
	entry := func(t town, x definedIndex) []byte {
		e, _ := t.entry(x)
		return append(binary.BigEndian.AppendUint32(append(make([]byte, 0, 80), 0x20, 0, 0, 0, 0, 0, 0, 0, 16), uint32(x.ID)), e...)
	}
	for i, t := range towns {
		puts = append(puts, rawPair{rawKey(rs[i].Key), append(make([]byte, 12), rs[i].Row...)})
		for _, x := range benchIndexes[:indexes] {
			puts = append(puts, rawPair{entry(t, x), []byte{30}})
			if at := n - len(towns) + i; at >= among {
				gone = append(gone, entry(benchTown(at-among, among), x))
			}
		}
	}
	return puts, gone
}

func rawApply(db *badger.DB, ts uint64, puts []rawPair, gone [][]byte) error {
	txn := db.NewTransactionAt(ts, true)
	for _, p := range puts {
		if err := txn.Set(p.key, p.val); err != nil {
			return err
		}
	}
	for _, key := range gone {
		if err := txn.Delete(key); err != nil {
			return err
		}
	}
	return txn.CommitAt(ts+1, nil)
}

// BenchmarkCollisions is what a unique index costs the log's writer for a record
// of a batch of 1,000 new rows.
func BenchmarkCollisions(b *testing.B) {
	ctx := context.Background()
	const rows = 100_000
	for _, unique := range []bool{false, true} {
		b.Run(fmt.Sprintf("unique=%t", unique), func(b *testing.B) {
			o := benchOptions(b.TempDir())
			o.Catalog = catalog{}
			x, err := kvindex.Open(o)
			must(b, err)
			defer closeIndex(b, x)
			m := newMaker()
			index := benchIndexes[0]
			index.Unique = unique
			must(b, x.Apply(ctx, m.chunk(schema.InstanceCollections, definition(benchInst, index))))
			n := 0
			next := func() (rs []schema.Record) {
				for range benchChunk {
					rs = append(rs, benchTown(n, 1<<40).record(2))
					n++
				}
				return rs
			}
			for n < rows {
				must(b, x.Apply(ctx, m.chunk(benchInst, next()...)))
			}
			batch := next()
			b.ResetTimer()
			for b.Loop() {
				found, err := x.Collisions(benchInst, batch)
				must(b, err)
				if len(found) > 0 {
					b.Fatal(found)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchChunk), "ns/record")
			b.ReportMetric(0, "ns/op")
		})
	}
}
