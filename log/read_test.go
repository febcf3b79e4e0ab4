package log_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// TestColdReads reads chunks that have left memory, whole and by collection.
func TestColdReads(t *testing.T) {
	for _, size := range []int{10, 100_000} { // with and without the block in the first ranged read
		s, x := newFaults(blob.NewMem()), newFakeIndex(t)
		o := x.options(s)
		o.TailBytes, o.CacheBytes = 1, 1
		c := open(t, o)
		row := strings.Repeat("0123456789", size/10)
		ack := mustAppend(t, c, batch(group(16, row, "b"), group(20, row), group(18, row)))
		mustAppend(t, c, batch(group(16, "c")))
		c.Applied(x.apply(10))
		calls := map[blobtest.Call]int{}
		s.set(func(call blobtest.Call, _ string) (error, error) { calls[call]++; return nil, nil })
		g, micros, err := c.Group(t.Context(), ack.Position, 16)
		if err != nil || micros != ack.TimeMicros || len(g.Records) != 2 || string(g.Records[0].Row) != row || g.FirstSeq != 0 {
			t.Errorf("size %d: got %d records, %d, %v", size, len(g.Records), micros, err)
		}
		if calls[blobtest.Get] > 0 || calls[blobtest.GetRange] > 2 {
			t.Errorf("size %d: calls %v", size, calls)
		}
		_, _, err = c.Group(t.Context(), ack.Position, 17)
		wantErr(t, err, schema.ErrNotFound)
		_, _, err = c.Group(t.Context(), c.Durable().Next(), 16)
		wantErr(t, err, schema.ErrNotFound)
		ck, err := c.Chunk(t.Context(), ack.Position)
		if err != nil || len(ck.Groups) != 3 || ck.Groups[1].Instance != 18 || ck.Bytes == 0 {
			t.Errorf("size %d: got %+v, %v", size, ck, err)
		}
		fence, err := c.Chunk(t.Context(), schema.Position{Chunk: 1})
		if err != nil || len(fence.Groups) > 0 {
			t.Errorf("fence: %+v, %v", fence, err)
		}
		for _, pos := range []schema.Position{{}, {Chunk: 99}, {Generation: 1, Chunk: 1}} {
			_, err := c.Chunk(t.Context(), pos)
			wantErr(t, err, schema.ErrNotFound)
		}
	}
}

func TestCache(t *testing.T) {
	s, x := newFaults(blob.NewMem()), newFakeIndex(t)
	o := x.options(s)
	o.TailBytes, o.CacheBytes = 1, 2000
	c := open(t, o)
	for range 10 {
		mustAppend(t, c, batch(group(16, "a")))
	}
	c.Applied(x.apply(20))
	reads := 0
	s.set(func(call blobtest.Call, _ string) (error, error) { reads++; return nil, nil })
	for _, n := range []uint64{2, 2, 3, 2, 4, 2, 5, 6, 7, 8, 9, 10, 2} {
		if _, err := c.Chunk(t.Context(), schema.Position{Chunk: n}); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 10 { // 2 to 10, and 2 once more after it had to go
		t.Errorf("%d reads", reads)
	}
}

// TestFollow has followers begin anywhere, in memory and in the store.
func TestFollow(t *testing.T) {
	x := newFakeIndex(t)
	o := x.options(blob.NewMem())
	o.TailBytes, o.CacheBytes = 1, 1
	c := open(t, o)
	for i := range 20 {
		mustAppend(t, c, batch(group(16, fmt.Sprint(i))))
	}
	c.Applied(x.apply(10))
	for _, after := range []schema.Position{{}, {Chunk: 1}, {Chunk: 9}, {Chunk: 20}} {
		f := c.Follow(after)
		for n := after.Chunk + 1; n <= 21; n++ {
			ck, err := f.Next(t.Context())
			if err != nil || ck.Position.Chunk != n || ck.Position.Chunk > 1 && string(ck.Groups[0].Records[0].Row) != fmt.Sprint(n-2) {
				t.Fatalf("after %v: got %+v, %v, want chunk %d", after, ck, err, n)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := f.Next(ctx)
		cancel()
		wantErr(t, err, context.DeadlineExceeded)
	}
	few := c.Follow(schema.Position{Chunk: 1})
	for _, want := range []struct{ n, maxBytes, first, count int }{{4, 1 << 20, 2, 4}, {4, 1, 6, 1}, {100, 1 << 20, 7, 15}} {
		got, err := few.NextFew(t.Context(), want.n, want.maxBytes)
		if err != nil || len(got) != want.count || got[0].Position.Chunk != uint64(want.first) {
			t.Errorf("few of %+v: got %d, %v", want, len(got), err)
		}
	}
	f := c.Follow(c.Durable())
	next := make(chan *schema.Chunk, 1)
	go func() {
		ck, err := f.Next(context.Background())
		if err != nil {
			t.Error(err)
		}
		next <- ck
	}()
	ack := mustAppend(t, c, batch(group(16, "live")))
	if ck := <-next; ck.Position != ack.Position {
		t.Errorf("got %v, want %v", ck.Position, ack.Position)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := f.Next(t.Context())
	wantErr(t, err, schema.ErrClosed)
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newFakeIndex(t).options(timed(time.Second)))
		if err := c.Wait(t.Context(), c.Durable()); err != nil {
			t.Error(err)
		}
		done := make(chan error)
		go func() { done <- c.Wait(t.Context(), schema.Position{Chunk: 3}) }()
		for range 2 {
			mustAppend(t, c, batch(group(16, "a")))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantErr(t, c.Wait(ctx, schema.Position{Chunk: 4}), context.DeadlineExceeded)
	})
}

// TestCheckReadsTheStore damages a chunk that is still in memory.
func TestCheckReadsTheStore(t *testing.T) {
	mem, x := blob.NewMem(), newFakeIndex(t)
	c := open(t, x.options(mem))
	for range 10 {
		mustAppend(t, c, batch(group(16, "a")))
	}
	n := 0
	err := c.Check(t.Context(), schema.Position{Chunk: 5}, func(ck *schema.Chunk) error { n++; return nil })
	if err != nil || n != 7 {
		t.Errorf("%d chunks, %v", n, err)
	}
	stop := errors.New("enough")
	err = c.Check(t.Context(), schema.Position{}, func(*schema.Chunk) error { return stop })
	wantErr(t, err, stop)
	if err := replace("ch/0/0/00000000000000000007", func(b []byte) []byte { b[120] ^= 1; return b })(t.Context(), mem); err != nil {
		t.Fatal(err)
	}
	err = c.Check(t.Context(), schema.Position{}, func(*schema.Chunk) error { return nil })
	wantErr(t, err, schema.ErrCorrupt)
}

// TestCatchUp opens a long log with a new index: nothing is staged or kept.
func TestCatchUp(t *testing.T) {
	mem := blob.NewMem()
	c := open(t, newFakeIndex(t).options(mem))
	for i := range 50 {
		mustAppend(t, c, keyed(byte(i+1), 1, group(schema.Instance(16+i%7), "a")))
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := newFakeIndex(t)
	o := x.options(mem)
	o.CatchUp, o.TailBytes = x.catchUp, 1
	c = open(t, o)
	if x.applied != c.Durable() {
		t.Errorf("index at %v, log at %v", x.applied, c.Durable())
	}
	if collections, keys, chunks := c.Held(); collections+keys+chunks > 0 {
		t.Errorf("holds %d collections, %d keys, %d chunks", collections, keys, chunks)
	}
	if ack := mustAppend(t, c, keyed(3, 1, group(18, "a"))); !ack.Replayed {
		t.Errorf("got %+v", ack)
	}
	if ack := mustAppend(t, c, batch(group(18, "b"))); ack.Groups[0].FirstSeq != 7 {
		t.Errorf("got %+v", ack)
	}
	failing := errors.New("index failed")
	o = newFakeIndex(t).options(mem)
	o.CatchUp = func(context.Context, *schema.Chunk) error { return failing }
	_, err := log.Open(t.Context(), o)
	wantErr(t, err, failing)
}

// TestHintKeepsOpenShort counts what a second Open reads.
func TestHintKeepsOpenShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := newFaults(blob.NewMem()), newFakeIndex(t)
		o := x.options(s)
		o.HintEvery = 8
		c := open(t, o)
		for range 100 {
			mustAppend(t, c, batch(group(16, "a")))
		}
		synctest.Wait() // the head is told beside the chunks
		// Not closed: the hint is that of chunk 96.
		x.apply(1000)
		x = x.restart()
		var reads atomic.Int64
		s.set(func(call blobtest.Call, _ string) (error, error) {
			if call == blobtest.GetRange || call == blobtest.Get {
				reads.Add(1)
			}
			return nil, nil
		})
		open(t, x.options(s))
		if reads := reads.Load(); reads > 20+log.MaxInFlight { // six headers and as many ahead, and who counts before them
			t.Errorf("%d reads to open", reads)
		}
	})
}
