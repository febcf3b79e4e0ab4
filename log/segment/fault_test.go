package segment_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

var errDown = errors.New("connection lost")

// TestUnknownOutcome loses the answer to the commit of a segment, or the commit:
// who tries again makes the one segment that there is to be.
func TestUnknownOutcome(t *testing.T) {
	for _, landed := range []bool{false, true} {
		mem, failures := newStore(), 0
		store := &blobtest.Faulty{Store: mem, Hook: func(call blobtest.Call, _ string) (before, after error) {
			if failures++; call != blobtest.Commit || failures%2 == 0 {
				return nil, nil
			}
			if landed {
				return nil, errDown
			}
			return errDown, nil
		}}
		var h history
		h.random(rand.New(rand.NewPCG(7, 8)), 8, 5)
		b, err := segment.NewBuilder(segment.BuilderOptions{Channel: channel})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range h.chunks {
			if err := b.Add(c); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := b.Finish(t.Context(), store); !errors.Is(err, errDown) {
			t.Fatalf("build: %v", err)
		}
		if _, err := segment.Open(t.Context(), mem, decoder(t), b.Ref()); errors.Is(err, blob.ErrNotFound) == landed {
			t.Fatalf("landed %t, but open says %v", landed, err)
		}
		failures = 1
		r, info, err := b.Finish(t.Context(), store)
		if err != nil {
			t.Fatalf("build again: %v", err)
		}
		if got := open(t, mem, r).Info(); got.Changes != info.Changes || got.Bytes != info.Bytes {
			t.Errorf("told %+v, made %+v", info, got)
		}
		compare(t, open(t, mem, r), &h, rand.New(rand.NewPCG(1, 1)))
	}
}

// TestNameTaken finds another content under the name of a segment.
func TestNameTaken(t *testing.T) {
	var h, other history
	h.random(rand.New(rand.NewPCG(7, 8)), 8, 5)
	other.random(rand.New(rand.NewPCG(9, 9)), 8, 5)
	store := newStore()
	other.build(t, store, 1, 8)
	b, err := segment.NewBuilder(segment.BuilderOptions{Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range h.chunks {
		if err := b.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.Finish(t.Context(), store); !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// TestLongTail opens a segment whose tail does not come with the first read.
func TestLongTail(t *testing.T) {
	const fences = 3 << 20
	b, err := segment.NewBuilder(segment.BuilderOptions{Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	want := schema.Record{Op: schema.OpInsert, Row: []byte("row")}
	for n := uint64(1); n <= fences+1; n++ {
		c := &schema.Chunk{Position: schema.Position{Generation: generation, Chunk: n}}
		if n > fences {
			c.Groups = []schema.Group{{Instance: 16, Records: []schema.Record{want}}}
		}
		if err := b.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	store := newStore()
	r, _, err := b.Finish(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	store.take()
	s := open(t, store, r)
	if got := store.take(); got != 2 || s.Gets() != 2 {
		t.Errorf("%d reads, %d counted, want 2", got, s.Gets())
	}
	for g, err := range s.Read(t.Context(), 16, 0) {
		if err != nil || string(g.Records[0].Row) != "row" {
			t.Errorf("%v, %v", g, err)
		}
	}
	if err := s.Check(t.Context()); err != nil || len(s.Info().Empty) != fences {
		t.Errorf("%d empty, %v", len(s.Info().Empty), err)
	}
}

// TestReadFromLate reads the last changes of a collection that is in all
// segments: the newest is read, and no other.
func TestReadFromLate(t *testing.T) {
	store := newStore()
	var h history
	for n := uint64(1); n <= 7; n++ {
		for range 3 {
			h.add(map[schema.Instance][]schema.Record{16: {{Op: schema.OpInsert, Row: []byte("row")}, {Op: schema.OpInsert}}})
		}
		h.build(t, store, 3*n-2, 3*n)
	}
	a := archive(t, store)
	if spans, err := a.Holders(t.Context(), 16); err != nil || len(spans) != 7 {
		t.Fatalf("held by %v, %v", spans, err)
	}
	for _, c := range []struct {
		from schema.Seq
		gets int64
	}{{0, 7}, {1, 7}, {6, 6}, {7, 6}, {36, 1}, {37, 1}, {41, 1}, {42, 1}, {99, 1}} {
		store.take()
		equal(t, "late", collect(t, a.Read(t.Context(), 16, c.from), c.from), h.changes(16, c.from))
		if got := store.take(); got != c.gets {
			t.Errorf("from %d: %d reads, want %d", c.from, got, c.gets)
		}
	}
}
