package kvindex_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

const (
	prefixes   = 1_000_000
	prefixRows = 10
)

// prefixed is an index of prefixes × rows rows, and a Badger with the same.
func prefixed(b *testing.B, prefixes, rows int) (*kvindex.Index, *badger.DB) {
	x, err := kvindex.Open(benchOptions(b.TempDir()))
	must(b, err)
	b.Cleanup(func() { closeIndex(b, x) })
	raw := rawBadger(b, b.TempDir())
	b.Cleanup(func() { must(b, raw.Close()) })
	const perChunk = 10_000
	value := benchRow(1)
	var pos schema.Position
	for from := 0; from < prefixes*rows; from += perChunk {
		pos = pos.Next()
		g := schema.Group{Instance: benchInst, FirstSeq: schema.Seq(from)}
		txn := raw.NewTransactionAt(pos.Chunk-1, true)
		for i := from; i < from+perChunk; i++ {
			key := prefixKey(i/rows, i%rows)
			g.Records = append(g.Records, schema.Record{Op: schema.OpUpsert, Key: key, Row: value})
			must(b, txn.Set(rawKey(key), append(make([]byte, 12), value...)))
		}
		must(b, txn.CommitAt(pos.Chunk, nil))
		must(b, x.Apply(context.Background(), &schema.Chunk{Position: pos, TimeMicros: 1, Groups: []schema.Group{g}}))
	}
	return x, raw
}

func prefixKey(prefix, i int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(prefix)), uint32(i))
}

// BenchmarkPrefix reads the ten rows of one of a million prefixes, beside one
// iterator of Badger that is opened once and sought, and one opened each time.
func BenchmarkPrefix(b *testing.B) {
	x, raw := prefixed(b, prefixes, prefixRows)
	ctx, rnd := context.Background(), rand.New(rand.NewPCG(1, 1))
	which := make([]int, 20_000)
	for i := range which {
		which[i] = rnd.IntN(prefixes)
	}
	ours := func(i int) {
		p, n := which[i%len(which)], 0
		r := kvindex.KeyRange{From: prefixKey(p, 0), To: prefixKey(p+1, 0)}
		must(b, x.Range(ctx, benchInst, r, func(_, _ []byte) (bool, error) { n++; return true, nil }))
		if n != prefixRows {
			b.Fatal(n)
		}
	}
	walk := func(it *badger.Iterator, i int) {
		p, n := which[i%len(which)], 0
		prefix := rawKey(prefixKey(p, 0)[:8])
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			must(b, it.Item().Value(func([]byte) error { return nil }))
			n++
		}
		if n != prefixRows {
			b.Fatal(n)
		}
	}
	txn := raw.NewTransactionAt(1<<62, false)
	defer txn.Discard()
	b.Run("reused", func(b *testing.B) {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		alternate(b, 200, ours, func(i int) { walk(it, i) })
	})
	b.Run("opened", func(b *testing.B) {
		alternate(b, 200, ours, func(i int) {
			it := txn.NewIterator(badger.IteratorOptions{Prefix: make([]byte, 9)})
			walk(it, i)
			it.Close()
		})
	})
	// All rows, 10,000 at a time.
	b.Run("long", func(b *testing.B) {
		const long = 10_000
		alternate(b, 1, func(i int) {
			p, n := which[i%len(which)]*9/10, 0
			must(b, x.Range(ctx, benchInst, kvindex.KeyRange{From: prefixKey(p, 0)}, func(_, _ []byte) (bool, error) { n++; return n < long, nil }))
		}, func(i int) {
			p, n := which[i%len(which)]*9/10, 0
			it := txn.NewIterator(badger.IteratorOptions{Prefix: make([]byte, 9)})
			defer it.Close()
			for it.Seek(rawKey(prefixKey(p, 0))); it.Valid() && n < long; it.Next() {
				must(b, it.Item().Value(func([]byte) error { return nil }))
				n++
			}
		})
	})
}
