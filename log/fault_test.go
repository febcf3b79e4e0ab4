package log_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// faults is a store on which a test switches faults on and off.
type faults struct {
	blobtest.Faulty
	mu   sync.Mutex
	hook func(call blobtest.Call, name string) (before, after error)
}

func newFaults(s blobtest.Store) *faults {
	f := &faults{}
	f.Faulty = blobtest.Faulty{Store: s, Hook: func(call blobtest.Call, name string) (before, after error) {
		f.mu.Lock()
		hook := f.hook
		f.mu.Unlock()
		if hook == nil {
			return nil, nil
		}
		return hook(call, name)
	}}
	return f
}

func (f *faults) set(hook func(call blobtest.Call, name string) (before, after error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// failPuts fails every put of a chunk.
func failPuts(before, after error) func(blobtest.Call, string) (error, error) {
	return func(call blobtest.Call, _ string) (error, error) {
		if call == blobtest.PutIfAbsent {
			return before, after
		}
		return nil, nil
	}
}

// failOnce fails the first call of a kind.
func failOnce(call blobtest.Call, before, after error) func(blobtest.Call, string) (error, error) {
	var once sync.Once
	return func(c blobtest.Call, _ string) (b, a error) {
		if c == call {
			once.Do(func() { b, a = before, after })
		}
		return b, a
	}
}

func wantErr(t *testing.T, err error, kinds ...error) {
	t.Helper()
	for _, kind := range kinds {
		if !errors.Is(err, kind) {
			t.Fatalf("got error %v, want %v", err, kind)
		}
	}
}

func TestNoSpace(t *testing.T) {
	s, x := newFaults(blob.NewMem()), newFakeIndex(t)
	c := open(t, x.options(s))
	mustAppend(t, c, batch(group(16, "a")))
	s.set(failPuts(fmt.Errorf("write: %w", schema.ErrNoSpace), nil))
	for range 3 {
		_, err := c.Append(t.Context(), batch(group(16, "lost"), group(17, "lost")))
		wantErr(t, err, schema.ErrNoSpace)
	}
	s.set(nil)
	ack := mustAppend(t, c, batch(group(16, "b"), group(17, "c")))
	if got, want := fmt.Sprint(ack.Groups, ack.Position), "[{16 1 1} {17 0 1}] 0-3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(rows(t, c)), "map[16:[a b] 17:[c]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUnknownOutcomeIsFoundOut loses the request or its answer, and then the
// store for as long as the chunk is sent again: the channel takes itself over and
// tells what is true.
func TestUnknownOutcomeIsFoundOut(t *testing.T) {
	lost := errors.New("connection reset")
	t.Run("landed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, x := newFaults(blob.NewMem()), newFakeIndex(t)
			c := open(t, x.options(s))
			s.set(thenAway(nil, lost))
			if ack := mustAppend(t, c, batch(group(16, "a"))); ack.Position.Chunk != 2 {
				t.Errorf("got %+v", ack)
			}
			if ack := mustAppend(t, c, batch(group(16, "b"))); ack.Position.Chunk != 4 || ack.Groups[0].FirstSeq != 1 {
				t.Errorf("after the fence: got %+v", ack)
			}
		})
	})
	t.Run("did not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, x := newFaults(blob.NewMem()), newFakeIndex(t)
			c := open(t, x.options(s))
			s.set(thenAway(lost, nil))
			_, err := c.Append(t.Context(), batch(group(16, "a")))
			wantErr(t, err, schema.ErrUnavailable, lost)
			if ack := mustAppend(t, c, batch(group(16, "b"))); ack.Position.Chunk != 3 || ack.Groups[0].FirstSeq != 0 {
				t.Errorf("after the fence: got %+v", ack)
			}
			if got, want := fmt.Sprint(rows(t, c)), "map[16:[b]]"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	})
}

// thenAway fails the first put like this, and everything after it, as long as the
// chunk is only sent again.
func thenAway(before, after error) func(blobtest.Call, string) (error, error) {
	first, later := failOnce(blobtest.PutIfAbsent, before, after), untilTakeOver("")
	var put atomic.Bool
	return func(call blobtest.Call, name string) (error, error) {
		if put.CompareAndSwap(false, true) {
			return first(call, name)
		}
		return later(call, name)
	}
}

// untilTakeOver fails the calls about an object, or all, until a take-over reads
// the head.
func untilTakeOver(about string) func(blobtest.Call, string) (error, error) {
	var over atomic.Bool
	return func(call blobtest.Call, name string) (error, error) {
		if call == blobtest.Read {
			over.Store(true)
		}
		if !over.Load() && (about == "" || name == about) {
			return errors.New("store is away"), nil
		}
		return nil, nil
	}
}

// TestDoubtLasts keeps the store away: senders are told that the outcome is
// unknown, others are turned away, and a retry waits for the truth.
func TestDoubtLasts(t *testing.T) {
	for _, landed := range []bool{true, false} {
		t.Run(fmt.Sprint("landed=", landed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				away := errors.New("store is away")
				s, x := newFaults(blob.NewMem()), newFakeIndex(t)
				c := open(t, x.options(s))
				first := true
				s.set(func(call blobtest.Call, _ string) (before, after error) {
					if first && landed {
						first = false
						return nil, away
					}
					return away, nil
				})
				a := log.Append{Groups: []log.AppendGroup{group(16, "a")}, Dedup: schema.DedupKey{1}, Digest: [16]byte{2}}
				_, err := c.Append(t.Context(), a)
				wantErr(t, err, schema.ErrUnknownOutcome)
				_, err = c.Append(t.Context(), batch(group(16, "other")))
				wantErr(t, err, schema.ErrUnavailable)
				if c.Durable().Chunk != 1 {
					t.Errorf("durable %v while in doubt", c.Durable())
				}
				var ack log.Ack
				done := make(chan error)
				go func() {
					var err error
					ack, err = c.Append(t.Context(), a)
					done <- err
				}()
				synctest.Wait()
				s.set(nil)
				if err := <-done; err != nil || ack.Replayed != landed || ack.Groups[0].FirstSeq != 0 {
					t.Errorf("retry: %+v, %v", ack, err)
				}
				if got, want := fmt.Sprint(rows(t, c)), "map[16:[a]]"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
	}
}

func TestCloseInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("store is away")
		mem, x := blob.NewMem(), newFakeIndex(t)
		s := newFaults(mem)
		c, err := log.Open(t.Context(), x.options(s))
		if err != nil {
			t.Fatal(err)
		}
		s.set(func(blobtest.Call, string) (error, error) { return away, nil })
		_, err = c.Append(t.Context(), batch(group(16, "a")))
		wantErr(t, err, schema.ErrUnknownOutcome)
		wantErr(t, c.Close(t.Context()), schema.ErrClosed)
		_, err = c.Append(t.Context(), batch(group(16, "b")))
		wantErr(t, err, schema.ErrClosed)
	})
}

func TestFenced(t *testing.T) {
	mem, x := blob.NewMem(), newFakeIndex(t)
	old := open(t, x.options(mem))
	mustAppend(t, old, batch(group(16, "a")))
	young := open(t, newFakeIndex(t).options(mem))
	if ack := mustAppend(t, young, batch(group(16, "b"))); ack.Groups[0].FirstSeq != 1 {
		t.Errorf("got %+v", ack)
	}
	for range 2 {
		_, err := old.Append(t.Context(), batch(group(16, "zombie")))
		wantErr(t, err, schema.ErrFenced)
	}
	if !old.Fenced() || young.Fenced() {
		t.Errorf("fenced: old %v, young %v", old.Fenced(), young.Fenced())
	}
	if _, err := old.Chunk(t.Context(), old.Durable()); err != nil {
		t.Errorf("a fenced channel reads: %v", err)
	}
	wantErr(t, old.Close(t.Context()), schema.ErrFenced)
	if got, want := fmt.Sprint(rows(t, young)), "map[16:[a b]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestTakenOverWhileOpening lets another take the channel over between the
// fence and the second look at the head.
func TestTakenOverWhileOpening(t *testing.T) {
	mem := blob.NewMem()
	s := newFaults(mem)
	var other *log.Channel
	var once sync.Once
	s.set(func(call blobtest.Call, name string) (error, error) {
		if call == blobtest.Read {
			if _, err := mem.Get(t.Context(), chunk.Name(0, schema.Position{Chunk: 1})); err == nil {
				once.Do(func() { other = open(t, newFakeIndex(t).options(mem)) })
			}
		}
		return nil, nil
	})
	_, err := log.Open(t.Context(), newFakeIndex(t).options(s))
	wantErr(t, err, schema.ErrFenced)
	mustAppend(t, other, batch(group(16, "a")))
}

// TestIdleOwnerNoticesByHead lets the update of the hint find another owner.
func TestIdleOwnerNoticesByHead(t *testing.T) {
	mem := blob.NewMem()
	c, err := log.Open(t.Context(), newFakeIndex(t).options(mem))
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, c, batch(group(16, "a")))
	open(t, newFakeIndex(t).options(mem))
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("nothing was lost, but: %v", err)
	}
	head, err := mem.Get(t.Context(), chunk.HeadName(0))
	if err != nil || !strings.Contains(string(head), `"epoch":2`) {
		t.Errorf("head %s, %v", head, err)
	}
}

func TestLostHead(t *testing.T) {
	mem := blob.NewMem()
	for range 3 {
		c := open(t, newFakeIndex(t).options(mem))
		mustAppend(t, c, batch(group(16, "a")))
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := mem.Delete(t.Context(), chunk.HeadName(0)); err != nil {
		t.Fatal(err)
	}
	c := open(t, newFakeIndex(t).options(mem))
	mustAppend(t, c, batch(group(16, "b")))
	if got, want := fmt.Sprint(rows(t, c)), "map[16:[a a a b]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDamage(t *testing.T) {
	name := func(n uint64) string { return chunk.Name(0, schema.Position{Chunk: n}) }
	for _, c := range []struct {
		what string
		do   func(ctx context.Context, m *blob.Mem) error
		want error
		says string
	}{
		{"last chunk empty", replace(name(4), func([]byte) []byte { return nil }), schema.ErrCorrupt, name(4)},
		{"last chunk cut", replace(name(4), func(b []byte) []byte { return b[:150] }), schema.ErrCorrupt, "cut short"},
		{"last chunk rotten", replace(name(4), func(b []byte) []byte { b[130] ^= 1; return b }), schema.ErrCorrupt, name(4)},
		{"first chunk rotten", replace(name(2), func(b []byte) []byte { b[130] ^= 1; return b }), schema.ErrCorrupt, name(2)},
		{"chunk missing", func(ctx context.Context, m *blob.Mem) error { return m.Delete(ctx, name(2)) }, schema.ErrCorrupt, "missing"},
		{"head rotten", replace(chunk.HeadName(0), func(b []byte) []byte { b[20] ^= 1; return b }), schema.ErrCorrupt, "head"},
		{"head cut", replace(chunk.HeadName(0), func(b []byte) []byte { return b[:20] }), schema.ErrCorrupt, "head"},
	} {
		t.Run(c.what, func(t *testing.T) {
			mem := blob.NewMem()
			ch := open(t, newFakeIndex(t).options(mem))
			for _, r := range []string{"a", "b", "c"} {
				mustAppend(t, ch, batch(group(16, r)))
			}
			if err := errors.Join(ch.Close(t.Context()), c.do(t.Context(), mem)); err != nil {
				t.Fatal(err)
			}
			_, err := log.Open(t.Context(), newFakeIndex(t).options(mem))
			wantErr(t, err, c.want)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

func replace(name string, change func([]byte) []byte) func(context.Context, *blob.Mem) error {
	return func(ctx context.Context, m *blob.Mem) error {
		data, err := m.Get(ctx, name)
		if err != nil {
			return err
		}
		return errors.Join(m.Delete(ctx, name), m.PutIfAbsent(ctx, name, change(data)))
	}
}

func TestIndexAheadOfTheLog(t *testing.T) {
	o := newFakeIndex(t).options(blob.NewMem())
	o.Applied = schema.Position{Chunk: 1}
	_, err := log.Open(t.Context(), o)
	wantErr(t, err, schema.ErrCorrupt)
}

// TestCloseGivesUp closes while the store hangs.
func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := newFaults(blob.NewMem()), newFakeIndex(t)
		c, err := log.Open(t.Context(), x.options(s))
		if err != nil {
			t.Fatal(err)
		}
		hang := make(chan struct{})
		s.set(func(call blobtest.Call, _ string) (error, error) {
			<-hang
			return errors.New("timed out"), nil
		})
		errs := make(chan error, 3)
		for i := range 3 {
			go func() {
				_, err := c.Append(t.Context(), batch(group(16, fmt.Sprint(i))))
				errs <- err
			}()
			synctest.Wait() // the first batch is alone in the chunk at the store
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantErr(t, c.Close(ctx), context.DeadlineExceeded)
		close(hang)
		wantErr(t, c.Close(t.Context()), schema.ErrClosed)
		unknown := 0
		for range 3 {
			if err := <-errs; errors.Is(err, schema.ErrUnknownOutcome) {
				unknown++
			} else if !errors.Is(err, schema.ErrClosed) && !errors.Is(err, schema.ErrUnavailable) {
				t.Error(err)
			}
		}
		if unknown != 1 {
			t.Errorf("%d outcomes are unknown, one chunk was at the store", unknown)
		}
	})
}
