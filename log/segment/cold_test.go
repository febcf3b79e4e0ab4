package segment_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// cold is a history of many small collections: ten rounds in each of which every
// collection gets one record, in another order each time. It is not kept in
// memory: chunks are made as they are asked for.
type cold struct {
	collections int
	perChunk    int // records of a chunk
}

const rounds = 10

func (c cold) chunks() uint64 { return uint64(rounds * c.collections / c.perChunk) }

// chunk makes the n-th chunk. Each covers a range of collections, so that groups
// are in order; the ranges come in another order each round.
func (c cold) chunk(n uint64) *schema.Chunk {
	perRound := uint64(c.collections / c.perChunk)
	round, at := (n-1)/perRound, (n-1)%perRound
	at = (at*7 + round*13) % perRound
	ck := &schema.Chunk{
		Position: schema.Position{Generation: generation, Chunk: n}, Epoch: 1,
		TimeMicros: 1_700_000_000_000_000 + int64(n)*250_000,
	}
	for i := range c.perChunk {
		id := c.id(int(at)*c.perChunk + i)
		ck.Groups = append(ck.Groups, schema.Group{Instance: id, FirstSeq: schema.Seq(round), Records: []schema.Record{c.record(id, schema.Seq(round))}})
	}
	return ck
}

// id leaves gaps: instances are never used again.
func (c cold) id(i int) schema.Instance { return schema.Instance(16 + 3*i) }

func (c cold) record(id schema.Instance, seq schema.Seq) schema.Record {
	var b [40]byte
	copy(b[:], "a small row of a small collection")
	binary.LittleEndian.PutUint64(b[32:], uint64(id)*0x9e3779b97f4a7c15+uint64(seq))
	return schema.Record{Op: schema.OpUpsert, Key: b[36:40], Row: b[:]}
}

// build makes segments of all chunks, each of so many rounds.
func (c cold) build(t testing.TB, store segment.Target, roundsEach int) []segment.Span {
	t.Helper()
	var spans []segment.Span
	each := c.chunks() / rounds * uint64(roundsEach)
	for from := uint64(1); from <= c.chunks(); from += each {
		b, err := segment.NewBuilder(segment.BuilderOptions{Channel: channel, TargetBytes: segment.MaxTargetBytes})
		if err != nil {
			t.Fatal(err)
		}
		for n := from; n < from+each; n++ {
			if err := b.Add(c.chunk(n)); err != nil {
				t.Fatal(err)
			}
		}
		r, _, err := b.Finish(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		spans = append(spans, segment.Span{Ref: r, From: r.From, To: r.To})
	}
	return spans
}

// TestColdCollection reads collections of ten records that nobody asked for in a
// long time: two ranged reads in a segment that was not open, one in an open one,
// and none for a collection that is not there, but for one in a hundred.
func TestColdCollection(t *testing.T) {
	c := cold{collections: 100_000, perChunk: 1000}
	if *full {
		c.collections = 1_000_000
	}
	store := newStore()
	spans := c.build(t, store, 5)
	merged := segment.Span{Ref: ref(2, 1, c.chunks()), From: 1, To: c.chunks()}
	if _, err := segment.Merge(t.Context(), store, decoder(t), segment.Job{Inputs: spans, Output: merged.Ref}); err != nil {
		t.Fatal(err)
	}
	for _, s := range append(spans, merged) {
		c.check(t, store, s)
	}
}

func (c cold) check(t *testing.T, store *counting, s segment.Span) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	want := int((s.To - s.From + 1) * uint64(c.perChunk) / uint64(c.collections))
	denied := 0
	var seg *segment.Reader
	const reads = 2000
	for i := range reads {
		store.take()
		limit := int64(1)
		if i%100 == 0 {
			seg, limit = open(t, store, s.Ref), 2
		}
		id := c.id(r.IntN(c.collections))
		got := 0
		for g, err := range seg.Read(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			for i, rec := range g.Records {
				if w := c.record(id, g.FirstSeq+schema.Seq(i)); string(rec.Row) != string(w.Row) {
					t.Fatalf("seq %d of %d is %q", g.FirstSeq, id, rec.Row)
				}
				got++
			}
		}
		if gets := store.take(); got != want || gets > limit {
			t.Fatalf("%d of %d records of instance %d by %d reads, want at most %d", got, want, id, gets, limit)
		}
		for _, err := range seg.Read(t.Context(), id+1, 0) {
			t.Fatalf("instance %d is there, %v", id+1, err)
		}
		if store.take() == 0 {
			denied++
		}
	}
	if denied < reads*97/100 {
		t.Errorf("read for %d of %d collections that are not there", reads-denied, reads)
	}
	i := seg.Info()
	t.Logf("%s: %d changes, %d bytes, %d raw, reader holds %d", short(s.Ref), i.Changes, i.Bytes, i.RawBytes, seg.Memory())
}
