package segment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// TestRoundTrip compares what segments of random histories give with a map.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		var h history
		h.random(r, 1+r.IntN(30), 1+r.IntN(12))
		last := uint64(len(h.chunks))
		first := 1 + r.Uint64N(last)
		store := newStore()
		s := open(t, store, h.build(t, store, first, last))
		compare(t, s, h.part(first, last), r)
	})
}

// compare holds a segment to a history.
func compare(t *testing.T, s *segment.Reader, h *history, r *rand.Rand) {
	t.Helper()
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, collections := 0, 0
	for _, id := range h.ids() {
		all := h.changes(id, 0)
		equal(t, "all", collect(t, s.Read(t.Context(), id, 0), 0), all)
		if len(all) == 0 {
			continue
		}
		changes += len(all)
		if collections++; !s.MayContain(id) {
			t.Fatalf("the filter denies instance %d", id)
		}
		for range 3 {
			from := schema.Seq(r.Uint64N(uint64(h.next[id]) + 2))
			equal(t, fmt.Sprint("from ", from), collect(t, s.Read(t.Context(), id, from), from), h.changes(id, from))
		}
	}
	i := s.Info()
	if i.Changes != uint64(changes) || i.Instances != uint64(collections) || !slices.Equal(i.Empty, h.empty()) {
		t.Fatalf("info %+v, want %d changes of %d collections, %v empty", i, changes, collections, h.empty())
	}
	if h.images() && !i.Images {
		t.Fatalf("info %+v of records with before images", i)
	}
	if first, last := h.chunks[0], h.chunks[len(h.chunks)-1]; i.FirstMicros > first.TimeMicros || i.LastMicros < last.TimeMicros || i.Epoch < last.Epoch {
		t.Fatalf("info %+v of chunks %+v to %+v", i, first, last)
	}
}

// TestMerge compares a merge of random segments, also of parts of them, with the
// union, and the merge of merges with it.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		var h history
		h.random(r, 2+r.IntN(40), 1+r.IntN(10))
		store := newStore()
		last := uint64(len(h.chunks))
		level2 := []segment.Span{}
		for from := uint64(1); from <= last; {
			to := min(last, from+r.Uint64N(12))
			var job segment.Job
			for at := from; at <= to; {
				end := at + r.Uint64N(to-at+1)
				low, high := max(1, at-r.Uint64N(min(at, 3))), min(last, end+r.Uint64N(3))
				job.Inputs = append(job.Inputs, segment.Span{Ref: h.build(t, store, low, high), From: at, To: end})
				at = end + 1
			}
			job.Output = ref(2, from, to)
			mergeAndCompare(t, store, job, &h, r)
			level2 = append(level2, segment.Span{Ref: job.Output, From: from, To: to})
			from = to + 1
		}
		mergeAndCompare(t, store, segment.Job{Inputs: level2, Output: ref(3, 1, last)}, &h, r)
	})
}

func mergeAndCompare(t *testing.T, store *counting, job segment.Job, h *history, r *rand.Rand) {
	t.Helper()
	for range 2 { // again: it exists, which is no error
		if _, err := segment.Merge(t.Context(), store, decoder(t), job); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, open(t, store, job.Output), h.part(job.Output.From, job.Output.To), r)
}

// TestMergeKeepsBlocks merges large collections: their blocks are taken over, and
// the index does not get longer than by the ends that do not fill a block.
func TestMergeKeepsBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h history
	for range 64 {
		recs := map[schema.Instance][]schema.Record{}
		for id := range schema.Instance(3) {
			for range 500 {
				recs[id+1] = append(recs[id+1], schema.Record{Op: schema.OpInsert, Row: row(r, 100)})
			}
		}
		h.add(recs)
	}
	store := newStore()
	job := segment.Job{Output: ref(2, 1, 64)}
	var raw uint64
	for from := uint64(1); from <= 64; from += 8 {
		in := h.build(t, store, from, from+7)
		raw += open(t, store, in).Info().RawBytes
		job.Inputs = append(job.Inputs, segment.Span{Ref: in, From: from, To: from + 7})
	}
	mergeAndCompare(t, store, job, &h, r)
	if got := open(t, store, job.Output).Info().RawBytes; got > raw+raw/100 {
		t.Errorf("merged blocks have %d bytes, inputs had %d", got, raw)
	}
	in, err := store.GetRange(t.Context(), job.Inputs[3].Ref.Name(), 0, 200<<10)
	if err != nil {
		t.Fatal(err)
	}
	out, err := store.Get(t.Context(), job.Output.Name())
	if err != nil || !bytes.Contains(out, in) {
		t.Errorf("the first blocks of an input are not in the output, %v", err)
	}
}

// TestMergeCutsBlocks merges parts of segments that end amid a block of one
// collection.
func TestMergeCutsBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h history
	for range 60 {
		var recs []schema.Record
		for range 100 {
			recs = append(recs, schema.Record{Op: schema.OpInsert, Row: row(r, 100)})
		}
		h.add(map[schema.Instance][]schema.Record{5: recs})
	}
	store := newStore()
	job := segment.Job{Output: ref(2, 11, 50), Inputs: []segment.Span{
		{Ref: h.build(t, store, 1, 33), From: 11, To: 30}, {Ref: h.build(t, store, 28, 60), From: 31, To: 50},
	}}
	mergeAndCompare(t, store, job, &h, r)
}

// TestSmallGroupsAreWhole reads groups of less than half a block in one piece.
func TestSmallGroupsAreWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	recs := map[schema.Instance][]schema.Record{}
	for id := range schema.Instance(300) {
		for range 1 + r.IntN(200) {
			recs[id+1] = append(recs[id+1], schema.Record{Op: schema.OpInsert, Row: row(r, 100)})
		}
	}
	var h history
	h.add(recs)
	store := newStore()
	s := open(t, store, h.build(t, store, 1, 1))
	for id, want := range recs {
		for g, err := range s.Read(t.Context(), id, 0) {
			if err != nil || len(g.Records) != len(want) {
				t.Fatalf("a group of %d records, %v, want %d", len(g.Records), err, len(want))
			}
		}
	}
}

// TestReadFromAmidLarge reads the end of a large collection, which costs one
// block and not the collection.
func TestReadFromAmidLarge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h history
	for range 10 {
		var recs []schema.Record
		for range 5000 {
			recs = append(recs, schema.Record{Op: schema.OpInsert, Row: row(r, 100)})
		}
		h.add(map[schema.Instance][]schema.Record{5: recs})
	}
	store := newStore()
	s := open(t, store, h.build(t, store, 1, 10))
	for _, from := range []schema.Seq{0, 25_000, 49_000, 49_999, 50_000} {
		store.take()
		equal(t, "large", collect(t, s.Read(t.Context(), 5, from), from), h.changes(5, from))
		want := int64(50_000-from)*110>>20 + 2
		if got := store.take(); got > want {
			t.Errorf("from %d: %d reads, want at most %d", from, got, want)
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	var h history
	h.random(rand.New(rand.NewPCG(3, 4)), 5, 3)
	b, err := segment.NewBuilder(segment.BuilderOptions{Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Finish(t.Context(), newStore()); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("no chunks: %v", err)
	}
	if err := b.Add(h.chunks[1]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*schema.Chunk{
		h.chunks[1], h.chunks[3], h.chunks[0],
		{Position: schema.Position{Generation: generation + 1, Chunk: 3}},
		{Position: h.chunks[2].Position, Groups: []schema.Group{{Instance: 4}}},
		{Position: h.chunks[2].Position, Groups: append(h.chunks[1].Groups[:1:1], h.chunks[1].Groups[0])},
	} {
		if err := b.Add(c); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("chunk %v after 2: %v", c.Position, err)
		}
	}
	if _, err := segment.NewBuilder(segment.BuilderOptions{TargetBytes: -1}); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("negative target: %v", err)
	}
}

func TestJobRefuses(t *testing.T) {
	in := func(level int, from, to uint64) segment.Span {
		return segment.Span{Ref: ref(level, from, to), From: from, To: to}
	}
	for _, j := range []segment.Job{
		{Output: ref(2, 1, 2)},
		{Inputs: []segment.Span{in(1, 1, 2), in(1, 4, 5)}, Output: ref(2, 1, 5)},
		{Inputs: []segment.Span{in(1, 1, 2), in(1, 2, 5)}, Output: ref(2, 1, 5)},
		{Inputs: []segment.Span{in(1, 1, 2), in(2, 3, 5)}, Output: ref(2, 1, 5)},
		{Inputs: []segment.Span{in(1, 1, 2)}, Output: ref(2, 1, 5)},
		{Inputs: []segment.Span{{Ref: ref(1, 2, 3), From: 1, To: 3}}, Output: ref(2, 1, 3)},
	} {
		if _, err := segment.Merge(t.Context(), newStore(), decoder(t), j); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%v: %v", j, err)
		}
	}
}

// TestAbort cancels a build and a merge: nothing appears.
func TestAbort(t *testing.T) {
	var h history
	h.random(rand.New(rand.NewPCG(3, 4)), 9, 3)
	store := newStore()
	in := h.build(t, store, 1, 8)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	job := segment.Job{Inputs: []segment.Span{{Ref: in, From: 1, To: 8}}, Output: ref(2, 1, 8)}
	if _, err := segment.Merge(ctx, store, decoder(t), job); !errors.Is(err, context.Canceled) {
		t.Errorf("merge: %v", err)
	}
	b, _ := segment.NewBuilder(segment.BuilderOptions{Channel: channel})
	if err := b.Add(h.chunks[8]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Finish(ctx, store); !errors.Is(err, context.Canceled) {
		t.Errorf("build: %v", err)
	}
	for _, r := range []segment.Ref{job.Output, b.Ref()} {
		if _, err := segment.Open(t.Context(), store, decoder(t), r); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestNames(t *testing.T) {
	r := segment.Ref{Channel: 7, Generation: 3, Level: 2, From: 1, To: 4711}
	const name = "seg/7/3/2/00000000000000000001-00000000000000004711"
	if got, ok := segment.ParseName(name); r.Name() != name || !ok || got != r {
		t.Errorf("%v is %s; parsed: %v, %t", r, r.Name(), got, ok)
	}
	for _, bad := range []string{
		"", "seg/7/3/2", "seg/7/3/2/1-4711", "seg/07/3/2/00000000000000000001-00000000000000004711",
		"seg/7/3/0/00000000000000000001-00000000000000004711", "seg/7/3/10/00000000000000000001-00000000000000004711",
		"seg/7/3/2/00000000000000000002-00000000000000000001", "seg/7/3/2/00000000000000000000-00000000000000000001",
		"seg/7/3/2/00000000000000000001", name + "/x", "ch/7/3/2/00000000000000000001-00000000000000004711",
	} {
		if got, ok := segment.ParseName(bad); ok {
			t.Errorf("%q is %v", bad, got)
		}
	}
}
