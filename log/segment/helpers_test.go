package segment_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/record"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	channel    = 7
	generation = 3
)

func ref(level int, from, to uint64) segment.Ref {
	return segment.Ref{Channel: channel, Generation: generation, Level: level, From: from, To: to}
}

// counting is a store that counts its ranged reads.
type counting struct {
	*blob.Mem
	gets atomic.Int64
}

func newStore() *counting { return &counting{Mem: blob.NewMem()} }

func (c *counting) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	c.gets.Add(1)
	return c.Mem.GetRange(ctx, name, off, n)
}

func (c *counting) take() int64 { return c.gets.Swap(0) }

func decoder(t testing.TB) *segment.Decoder {
	d, err := segment.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// history is what a log would hold: chunks, and each collection's changes.
type history struct {
	chunks []*schema.Chunk
	next   map[schema.Instance]schema.Seq
}

// add appends a chunk with records of the given collections.
func (h *history) add(records map[schema.Instance][]schema.Record) *schema.Chunk {
	if h.next == nil {
		h.next = map[schema.Instance]schema.Seq{}
	}
	n := uint64(len(h.chunks) + 1)
	c := &schema.Chunk{
		Position: schema.Position{Generation: generation, Chunk: n}, Epoch: schema.Epoch(1 + n/10),
		TimeMicros: 1_700_000_000_000_000 + int64(n)*1000,
	}
	for id, recs := range records {
		c.Groups = append(c.Groups, schema.Group{Instance: id, FirstSeq: h.next[id], Records: recs})
		h.next[id] += schema.Seq(len(recs))
	}
	slices.SortFunc(c.Groups, func(a, b schema.Group) int { return int(a.Instance) - int(b.Instance) })
	h.chunks = append(h.chunks, c)
	return c
}

// random appends n chunks with changes of some of so many collections. Now and
// then a chunk is empty, or a group is long.
func (h *history) random(r *rand.Rand, n, collections int) {
	for range n {
		records := map[schema.Instance][]schema.Record{}
		if r.IntN(8) > 0 {
			for range 1 + r.IntN(collections) {
				id := schema.Instance(1 + r.IntN(collections)*r.IntN(3)*3 + r.IntN(collections))
				records[id] = randomRecords(r)
			}
		}
		h.add(records)
	}
}

func randomRecords(r *rand.Rand) []schema.Record {
	n := 1 + r.IntN(4)
	if r.IntN(100) == 0 {
		n = 1 + r.IntN(3000)
	}
	recs := make([]schema.Record, n)
	for i := range recs {
		size := r.IntN(60)
		if r.IntN(2000) == 0 {
			size = r.IntN(200 << 10)
		}
		recs[i] = schema.Record{Op: schema.Op(1 + r.IntN(4)), Key: fmt.Append(nil, "key", r.IntN(100)), Row: row(r, size)}
		if recs[i].Op.Ends() && r.IntN(2) == 0 {
			recs[i].Before = row(r, 1+r.IntN(60))
		}
	}
	return recs
}

// row is half noise and half not.
func row(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz      "[r.Uint32()>>27]
	}
	return b
}

// part is the history of some chunks.
func (h *history) part(from, to uint64) *history {
	return &history{chunks: h.chunks[from-1 : to], next: h.next}
}

// changes are all changes of a collection from a Seq on, one a line.
func (h *history) changes(id schema.Instance, from schema.Seq) []string {
	var all []string
	for _, c := range h.chunks {
		if g, ok := c.Group(id); ok {
			all = append(all, lines(segment.Group{Group: g, Position: c.Position, TimeMicros: c.TimeMicros}, from)...)
		}
	}
	return all
}

func lines(g segment.Group, from schema.Seq) []string {
	var all []string
	for i, rec := range g.Records {
		if seq := g.FirstSeq + schema.Seq(i); seq >= from {
			all = append(all, fmt.Sprintf("%d/%d at %v, %d: %v %q %q, was %q", g.Instance, seq, g.Position, g.TimeMicros, rec.Op, rec.Key, rec.Row, rec.Before))
		}
	}
	return all
}

// images reports whether a change has an image of the row before it.
func (h *history) images() bool {
	for _, c := range h.chunks {
		for i := range c.Groups {
			if record.HaveImages(c.Groups[i].Records) {
				return true
			}
		}
	}
	return false
}

// empty are the numbers of chunks without anything.
func (h *history) empty() []uint64 {
	var numbers []uint64
	for _, c := range h.chunks {
		if len(c.Groups) == 0 {
			numbers = append(numbers, c.Position.Chunk)
		}
	}
	return numbers
}

func (h *history) ids() []schema.Instance {
	var ids []schema.Instance
	for id := range h.next {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// build makes a segment of level 1 of the chunks from one to another.
func (h *history) build(t testing.TB, to segment.Target, first, last uint64) segment.Ref {
	t.Helper()
	b, err := segment.NewBuilder(segment.BuilderOptions{Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range h.chunks[first-1 : last] {
		if err := b.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	r, _, err := b.Finish(context.Background(), to)
	if err != nil {
		t.Fatal(err)
	}
	if want := ref(1, first, last); r != want {
		t.Fatalf("built %v, want %v", r, want)
	}
	return r
}

// seq is what Reader.Read and Archive.Read give.
type seq = func(func(segment.Group, error) bool)

func collect(t testing.TB, read seq, from schema.Seq) []string {
	t.Helper()
	var all []string
	for g, err := range read {
		if err != nil {
			t.Fatal(err)
		}
		if g.FirstSeq < from {
			t.Fatalf("group begins at %d, want none below %d", g.FirstSeq, from)
		}
		all = append(all, lines(g, 0)...)
	}
	return all
}

func open(t testing.TB, src segment.Source, r segment.Ref) *segment.Reader {
	t.Helper()
	got, err := segment.Open(context.Background(), src, decoder(t), r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func undump(t testing.TB, path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for line := range strings.Lines(string(text)) {
		if len(line) < 60 {
			continue // the last: the length
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line[10:58], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, b...)
	}
	return data
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%s: %d changes, want %d; they differ at %d:\n%.200s\n%.200s", what, len(got), len(want), i,
				append(got, make([]string, i+1)...)[i], append(want, make([]string, i+1)...)[i])
		}
	}
}
