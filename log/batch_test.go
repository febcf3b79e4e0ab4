package log_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

func keyed(key, digest byte, groups ...log.AppendGroup) log.Append {
	return log.Append{Groups: groups, Dedup: schema.DedupKey{key}, Digest: [16]byte{digest}}
}

// TestSameKey sends a batch of several collections again: while it is in
// memory, once it is applied, and after restarts.
func TestSameKey(t *testing.T) {
	mem, x := blob.NewMem(), newFakeIndex(t)
	c := open(t, x.options(mem))
	a := keyed(1, 1, group(18, "x", "y"), group(16, "z"), group(17, "w"))
	mustAppend(t, c, batch(group(16, "before")))
	first := mustAppend(t, c, a)
	empty := mustAppend(t, c, keyed(2, 2))
	again := func(what string) {
		t.Helper()
		got := mustAppend(t, c, a)
		if !got.Replayed || !reflect.DeepEqual(got.Groups, first.Groups) || got.Position != first.Position {
			t.Errorf("%s: got %+v, at first %+v", what, got, first)
		}
		if got := mustAppend(t, c, keyed(2, 2)); !got.Replayed || len(got.Groups) > 0 || got.Position != empty.Position {
			t.Errorf("%s: empty batch: got %+v, at first %+v", what, got, empty)
		}
		_, err := c.Append(t.Context(), keyed(1, 9, group(18, "other")))
		wantErr(t, err, schema.ErrConflict)
	}
	again("in memory")
	c.Applied(x.apply(100))
	again("applied")
	if collections, keys, _ := c.Held(); collections+keys > 0 {
		t.Errorf("idle channel holds %d collections, %d keys", collections, keys)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	x = x.restart()
	c = open(t, x.options(mem))
	again("applied, restarted")
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	x = newFakeIndex(t)
	c = open(t, x.options(mem))
	again("restarted, index lost")
	if got, want := fmt.Sprint(rows(t, c)), "map[16:[before z] 17:[w] 18:[x y]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNextSequenced numbers a record by the seq that it gets, while chunks
// before it are not durable.
func TestNextSequenced(t *testing.T) {
	const n = 5
	store, let := slow(t)
	for range 3 { // what follows the fence
		let()
	}
	c := open(t, log.Options{Store: store})
	acks := make(chan log.Ack, n)
	for range n {
		var seq schema.Seq
		a := log.Append{Groups: []log.AppendGroup{{Instance: 16}}, Decide: func([]log.AppendGroup) ([]log.AppendGroup, error) {
			var err error
			seq, err = c.NextSequenced(16)
			if _, other := c.NextSequenced(17); !errors.Is(other, schema.ErrInvalid) {
				t.Errorf("of a collection that is not the batch's: %v", other)
			}
			return []log.AppendGroup{group(16, fmt.Sprint("row ", seq))}, err
		}}
		go func() {
			ack, err := c.Append(t.Context(), a)
			if err != nil || ack.Groups[0].FirstSeq != seq {
				t.Errorf("decided on %d, got %+v, %v", seq, ack, err)
			}
			acks <- ack
		}()
	}
	for range n {
		let()
	}
	seen := map[schema.Seq]bool{}
	for range n {
		seen[(<-acks).Groups[0].FirstSeq] = true
	}
	if len(seen) != n {
		t.Errorf("%d seqs for %d batches", len(seen), n)
	}
}

// slow is a store whose puts wait for a token.
func slow(t *testing.T) (s *faults, let func()) {
	s = newFaults(blob.NewMem())
	tokens := make(chan struct{}, 100)
	s.set(func(call blobtest.Call, name string) (error, error) {
		if call == blobtest.PutIfAbsent {
			<-tokens
		}
		return nil, nil
	})
	let = func() { tokens <- struct{}{} }
	let() // the fence
	return s, let
}

type result struct {
	ack log.Ack
	err error
}

func start(ctx context.Context, c *log.Channel, a log.Append) chan result {
	done := make(chan result, 1)
	go func() {
		ack, err := c.Append(ctx, a)
		done <- result{ack, err}
	}()
	return done
}

func TestSameKeyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, let := slow(t)
		c := open(t, newFakeIndex(t).options(s))
		first := start(t.Context(), c, keyed(1, 1, group(16, "a")))
		synctest.Wait()
		second := start(t.Context(), c, keyed(1, 1, group(16, "a")))
		synctest.Wait()
		_, err := c.Append(t.Context(), keyed(1, 2, group(16, "b")))
		wantErr(t, err, schema.ErrConflict)
		select {
		case r := <-second:
			t.Fatalf("answered before the first: %+v", r)
		default:
		}
		let()
		a, b := <-first, <-second
		if a.err != nil || b.err != nil || a.ack.Replayed || !b.ack.Replayed || !reflect.DeepEqual(a.ack.Groups, b.ack.Groups) {
			t.Errorf("got %+v, %+v", a, b)
		}
	})
}

// TestSameKeyFirstGivesUp cancels the first while it is queued: the second
// takes its place.
func TestSameKeyFirstGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, let := slow(t)
		o := newFakeIndex(t).options(s)
		o.MaxChunkBytes = 1
		c := open(t, o)
		for range 4 { // at the store, encoded, open, held
			start(t.Context(), c, batch(group(20, "x")))
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, c, keyed(1, 1, group(16, "a")))
		synctest.Wait()
		second := start(t.Context(), c, keyed(1, 1, group(16, "a")))
		synctest.Wait()
		cancel()
		r := <-first
		wantErr(t, r.err, schema.ErrOverloaded, context.Canceled)
		for range 5 {
			let()
		}
		if r := <-second; r.err != nil || r.ack.Replayed || r.ack.Groups[0].FirstSeq != 0 {
			t.Errorf("got %+v", r)
		}
		let()
	})
}

func TestCancelAfterSequencing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, let := slow(t)
		c := open(t, newFakeIndex(t).options(s))
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, c, batch(group(16, "a")))
		synctest.Wait()
		cancel()
		r := <-first
		wantErr(t, r.err, schema.ErrUnknownOutcome, context.Canceled)
		let()
		let()
		if ack := mustAppend(t, c, batch(group(16, "b"))); ack.Groups[0].FirstSeq != 1 {
			t.Errorf("got %+v", ack)
		}
	})
}

// TestPendingBytes fills the room for what is under way.
func TestPendingBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, let := slow(t)
		o := newFakeIndex(t).options(s)
		o.MaxPendingBytes = 300
		c := open(t, o)
		row := string(make([]byte, 80))
		first := start(t.Context(), c, batch(group(16, row)))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Append(ctx, batch(group(16, row)))
		wantErr(t, err, schema.ErrOverloaded, context.DeadlineExceeded)
		second := start(t.Context(), c, batch(group(16, row)))
		let()
		let()
		if a, b := <-first, <-second; a.err != nil || b.err != nil {
			t.Errorf("got %v, %v", a.err, b.err)
		}
	})
}

func TestUnappliedBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newFakeIndex(t)
		o := x.options(blob.NewMem())
		o.MaxUnappliedBytes, o.TailBytes = 1000, 1
		c := open(t, o)
		c.Applied(x.apply(1))
		mustAppend(t, c, batch(group(16, string(make([]byte, 2000)))))
		next := start(t.Context(), c, batch(group(16, "next")))
		synctest.Wait()
		select {
		case r := <-next:
			t.Fatalf("appended while the index lags: %+v", r)
		default:
		}
		c.Applied(x.apply(1))
		if r := <-next; r.err != nil {
			t.Error(r.err)
		}
		c.Applied(x.apply(1))
		if collections, _, chunks := c.Held(); collections+chunks > 0 {
			t.Errorf("holds %d collections, %d chunks", collections, chunks)
		}
	})
}

func TestIfSeq(t *testing.T) {
	c := open(t, newFakeIndex(t).options(blob.NewMem()))
	a := batch(group(16, "a", "b"))
	a.IfSeq = &log.IfSeq{Instance: 16, Seq: 0}
	mustAppend(t, c, a)
	_, err := c.Append(t.Context(), a)
	wantErr(t, err, schema.ErrPrecondition)
	var seq *log.SeqError
	if !errors.As(err, &seq) || seq.Actual != 2 || seq.Want != 0 {
		t.Errorf("got %+v", seq)
	}
	a.IfSeq.Seq = 2
	mustAppend(t, c, a)
}

// TestDecide rewrites, refuses and empties batches, and sees that an answer
// waits for what the decision rests on.
func TestDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, let := slow(t)
		c := open(t, newFakeIndex(t).options(s))
		decide := func(groups []log.AppendGroup, err error) log.Append {
			a := batch(group(16, "as sent"))
			a.Decide = func([]log.AppendGroup) ([]log.AppendGroup, error) { return groups, err }
			return a
		}
		refusal := fmt.Errorf("exists: %w", schema.ErrConflict)
		first := start(t.Context(), c, decide([]log.AppendGroup{group(17, "x"), group(16), group(16, "rewritten")}, nil))
		synctest.Wait()
		second := start(t.Context(), c, decide(nil, refusal))
		synctest.Wait()
		third := start(t.Context(), c, decide(nil, nil))
		synctest.Wait()
		if len(second)+len(third) > 0 {
			t.Fatal("a decision was answered before what it rests on")
		}
		let()
		if r := <-first; r.err != nil || fmt.Sprint(r.ack.Groups) != "[{17 0 1} {16 0 1}]" {
			t.Errorf("got %+v", r)
		}
		r := <-second
		wantErr(t, r.err, refusal)
		if r := <-third; r.err != nil || r.ack.Position.Chunk != 2 || len(r.ack.Groups) > 0 {
			t.Errorf("got %+v", r)
		}
		_, err := c.Append(t.Context(), decide(nil, refusal)) // nothing to wait for
		wantErr(t, err, refusal)
		if got, want := fmt.Sprint(rows(t, c)), "map[16:[rewritten] 17:[x]]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// TestDecisionFailsWithItsGround refuses a batch because of one that then is
// not stored: the refusal would be wrong.
func TestDecisionFailsWithItsGround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, gate := newFaults(blob.NewMem()), make(chan struct{})
		c := open(t, newFakeIndex(t).options(s))
		s.set(func(call blobtest.Call, _ string) (error, error) {
			<-gate
			return schema.ErrNoSpace, nil
		})
		first := start(t.Context(), c, batch(group(16, "a")))
		synctest.Wait()
		a := batch(group(16, "a"))
		a.Decide = func([]log.AppendGroup) ([]log.AppendGroup, error) { return nil, schema.ErrConflict }
		second := start(t.Context(), c, a)
		synctest.Wait()
		close(gate)
		wantErr(t, (<-first).err, schema.ErrNoSpace)
		wantErr(t, (<-second).err, schema.ErrNoSpace)
		s.set(nil)
	})
}

func TestInvalid(t *testing.T) {
	c := open(t, newFakeIndex(t).options(blob.NewMem()))
	for _, a := range []log.Append{
		batch(group(0, "a")),
		batch(log.AppendGroup{Instance: 16, Records: make([]schema.Record, 1)}),
		batch(log.AppendGroup{Instance: 16, Records: []schema.Record{{Op: 5}}}),
		batch(log.AppendGroup{Instance: 16, Records: []schema.Record{{Op: schema.OpUpsert, Key: []byte("a"), Before: []byte("b")}}}),
	} {
		_, err := c.Append(t.Context(), a)
		wantErr(t, err, schema.ErrInvalid)
	}
	huge := batch(group(16, ""))
	huge.Groups[0].Records[0].Row = make([]byte, 230<<20)
	_, err := c.Append(t.Context(), huge)
	wantErr(t, err, schema.ErrTooLarge)
	huge = batch(group(16, "a")) // by the image of the row that it changes
	huge.Decide = func([]log.AppendGroup) ([]log.AppendGroup, error) {
		rec := schema.Record{Op: schema.OpDelete, Key: []byte("a"), Before: make([]byte, 230<<20)}
		return []log.AppendGroup{{Instance: 16, Records: []schema.Record{rec}}}, nil
	}
	_, err = c.Append(t.Context(), huge)
	wantErr(t, err, schema.ErrTooLarge)
	_, err = log.Open(t.Context(), log.Options{})
	wantErr(t, err, schema.ErrInvalid)
	_, err = log.Open(t.Context(), log.Options{Store: blob.NewMem(), WriterID: "naïve"})
	wantErr(t, err, schema.ErrInvalid)
}
