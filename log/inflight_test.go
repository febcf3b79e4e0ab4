package log_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// wide are options with four chunks in flight, each of one batch.
func wide(x *fakeIndex, s log.ChunkStore) log.Options {
	o := x.options(s)
	o.InFlight, o.MaxChunkBytes = 4, 1
	return o
}

// sendRows appends one batch for each row, in order, and does not wait.
func sendRows(t *testing.T, c *log.Channel, rows ...string) []chan result {
	var sent []chan result
	for i, row := range rows {
		sent = append(sent, start(t.Context(), c, keyed(byte(i+1), 1, group(16, row))))
		synctest.Wait()
	}
	return sent
}

func name(n uint64) string { return chunk.Name(0, schema.Position{Chunk: n}) }

// TestInFlightAckInOrder lets later chunks land first: nothing is acknowledged
// before what precedes it, and no more than InFlight are at the store.
func TestInFlightAckInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := newFaults(blob.NewMem()), newFakeIndex(t)
		c := open(t, wide(x, s)) // a fence and three fillers
		gates := map[string]chan struct{}{}
		for n := uint64(5); n < 12; n++ {
			gates[name(n)] = make(chan struct{})
		}
		at := make(chan string, 10)
		s.set(func(call blobtest.Call, name string) (error, error) {
			if call == blobtest.PutIfAbsent {
				at <- name
				<-gates[name]
			}
			return nil, nil
		})
		sent := sendRows(t, c, "a", "b", "c", "d", "e", "f")
		if len(at) != 4 {
			t.Fatalf("%d chunks at the store", len(at))
		}
		for _, n := range []uint64{6, 8, 7} {
			close(gates[name(n)])
			synctest.Wait()
		}
		if n := len(sent[1]) + len(sent[2]) + len(sent[3]); n > 0 || c.Durable().Chunk != 4 || len(at) != 4 {
			t.Fatalf("%d acknowledged before the first, durable %v, %d put", n, c.Durable(), len(at))
		}
		close(gates[name(5)])
		synctest.Wait()
		if c.Durable().Chunk != 8 || len(at) != 6 {
			t.Errorf("durable %v, %d put", c.Durable(), len(at))
		}
		close(gates[name(9)])
		close(gates[name(10)])
		for i, done := range sent {
			if r := <-done; r.err != nil || r.ack.Position.Chunk != uint64(5+i) {
				t.Errorf("batch %d: %+v", i, r)
			}
		}
	})
}

// TestInFlightFailure fails the second of four chunks in several ways while the
// others land: senders are told the truth, and void chunks are seen by nobody.
func TestInFlightFailure(t *testing.T) {
	lost := errors.New("connection reset")
	for _, f := range []struct {
		what          string
		before, after error
		rows          string
	}{
		{"no effect", schema.ErrNoSpace, nil, "[a retry]"},
		{"unknown, lost", lost, nil, "[a retry]"},
		{"unknown, landed", nil, lost, "[a b c d retry]"},
	} {
		t.Run(f.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, x := newFaults(blob.NewMem()), newFakeIndex(t)
				o := wide(x, s)
				o.TailBytes, o.CacheBytes = 1, 1
				c := open(t, o)
				gate := make(chan struct{})
				s.set(func(call blobtest.Call, n string) (error, error) {
					if call != blobtest.PutIfAbsent {
						return nil, nil
					}
					<-gate // all four are at the store by then
					if n == name(6) {
						return f.before, f.after
					}
					return nil, nil
				})
				sent := sendRows(t, c, "a", "b", "c", "d")
				s.set(untilTakeOver(name(6)))
				close(gate)
				landed := 0
				for i, done := range sent {
					r := <-done
					switch {
					case r.err == nil:
						landed++
					case i == 0 || !errors.Is(r.err, schema.ErrUnavailable) && !errors.Is(r.err, schema.ErrNoSpace):
						t.Errorf("batch %d: %v", i, r.err)
					}
				}
				ack := mustAppend(t, c, keyed(2, 1, group(16, "retry")))
				if f.after != nil {
					if landed != 4 || !ack.Replayed {
						t.Errorf("%d landed, retry %+v", landed, ack)
					}
					mustAppend(t, c, batch(group(16, "retry")))
				} else if ack.Groups[0].FirstSeq != 1 || landed != 1 {
					t.Errorf("%d landed, retry %+v", landed, ack)
				}
				if got := fmt.Sprint(rows(t, c)[16]); got != f.rows {
					t.Errorf("got %s, want %s", got, f.rows)
				}
				c.Applied(x.apply(100))
				coldRows(t, c, f.rows)
				coldRows(t, open(t, x.restart().options(s)), f.rows) // another W, and it never read them
			})
		})
	}
}

// coldRows reads each chunk alone, whole and by collection.
func coldRows(t *testing.T, c *log.Channel, want string) {
	t.Helper()
	var whole, groups []string
	for n := c.Durable().Chunk; n > 0; n-- { // backwards: nothing is learned from those before
		pos := schema.Position{Chunk: n}
		ck, err := c.Chunk(t.Context(), pos)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range ck.Groups {
			whole = append([]string{string(g.Records[0].Row)}, whole...)
		}
		g, _, err := c.Group(t.Context(), pos, 16)
		if err == nil {
			groups = append([]string{string(g.Records[0].Row)}, groups...)
		} else if !errors.Is(err, schema.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(whole) != want || fmt.Sprint(groups) != want {
		t.Errorf("chunks %v, groups %v, want %s", whole, groups, want)
	}
}

// TestInFlightFenced takes the channel over while four chunks are under way, the
// first of which never arrives: none of them counts, and their sender knows.
func TestInFlightFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := blob.NewMem()
		s := newFaults(mem)
		old := open(t, wide(newFakeIndex(t), s))
		gate := make(chan struct{})
		s.set(func(call blobtest.Call, n string) (error, error) {
			if call == blobtest.PutIfAbsent && n != name(7) {
				<-gate
			}
			return nil, nil
		})
		sent := sendRows(t, old, "a", "b", "c", "d")
		young := open(t, newFakeIndex(t).options(mem)) // it would have one in flight itself
		if n := young.Durable().Chunk; n != 8 {
			t.Errorf("after the take-over the last chunk is %d", n)
		}
		close(gate)
		for _, done := range sent {
			wantErr(t, (<-done).err, schema.ErrFenced)
		}
		mustAppend(t, young, batch(group(16, "e")))
		coldRows(t, young, "[e]")
		coldRows(t, open(t, wide(newFakeIndex(t), mem)), "[e]")
		wantErr(t, old.Close(t.Context()), schema.ErrFenced)
	})
}

// TestHeadTellsInFlight follows W through take-overs, one of which is cut short,
// and reads a head of format 1.
func TestHeadTellsInFlight(t *testing.T) {
	mem := blob.NewMem()
	s := newFaults(mem)
	inFlight := func(want string) {
		t.Helper()
		head, err := mem.Get(t.Context(), chunk.HeadName(0))
		if err != nil || !strings.Contains(string(head), want) {
			t.Errorf("head %s, %v, want %s", head, err, want)
		}
	}
	take := func(w int, last uint64) {
		t.Helper()
		o := newFakeIndex(t).options(s)
		o.InFlight = w
		if c := open(t, o); c.Durable().Chunk != last {
			t.Errorf("last chunk %v, want %d", c.Durable(), last)
		}
	}
	take(3, 3)
	inFlight(`"in_flight":3`)
	take(1, 6)
	inFlight(`"in_flight":1`)
	s.set(failPuts(schema.ErrUnavailable, nil))
	o := newFakeIndex(t).options(s)
	o.InFlight = 5
	_, err := log.Open(t.Context(), o)
	wantErr(t, err, schema.ErrUnavailable)
	s.set(nil)
	inFlight(`"in_flight":5`)
	take(1, 11)
	inFlight(`"in_flight":1`)
	const old = `{"format":1,"channel":0,"generation":0,"epoch":9,"owner":"x","claim":"y","floor":0,"hint":11}` + "\n2602e5ab\n"
	if err := replace(chunk.HeadName(0), func([]byte) []byte { return []byte(old) })(t.Context(), mem); err != nil {
		t.Fatal(err)
	}
	take(2, 13)
	inFlight(`"epoch":10`)
	inFlight(`"format":2`)
	o.InFlight = log.MaxInFlight + 1
	_, err = log.Open(t.Context(), o)
	wantErr(t, err, schema.ErrInvalid)
}

// TestLingerWhileOthersAreInFlight closes a small chunk after Linger when one
// more may be at the store.
func TestLingerWhileOthersAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newFakeIndex(t).options(timed(time.Second))
		o.InFlight, o.Linger = 2, 10*time.Millisecond
		c := open(t, o)
		begin := time.Now()
		first := start(t.Context(), c, batch(group(16, "a")))
		time.Sleep(100 * time.Millisecond)
		mustAppend(t, c, batch(group(16, "b")))
		if took := time.Since(begin); took != 1110*time.Millisecond || (<-first).err != nil {
			t.Errorf("took %v", took)
		}
	})
}
