package log_test

import (
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
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// calls counts the calls of a store, and fails some.
func calls(fail func(blobtest.Call, string) (error, error)) (hook func(blobtest.Call, string) (error, error), n map[blobtest.Call]int) {
	n = map[blobtest.Call]int{}
	var mu sync.Mutex
	return func(call blobtest.Call, name string) (error, error) {
		mu.Lock()
		n[call]++
		mu.Unlock()
		return fail(call, name)
	}, n
}

// TestSentAgain loses the request, or its answer, of one chunk of several: it is
// put again under its own id, nothing else is asked, and nobody learns of it.
func TestSentAgain(t *testing.T) {
	lost := errors.New("connection reset")
	for _, c := range []struct {
		what          string
		before, after error
		want          string
	}{
		{"the request", lost, nil, "map[put:5]"},
		{"the answer", nil, lost, "map[put:5 range:1]"},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, x := newFaults(blob.NewMem()), newFakeIndex(t)
				o := wide(x, s)
				ch := open(t, o)
				hook, n := calls(failOnce(blobtest.PutIfAbsent, c.before, c.after))
				s.set(hook)
				for i, done := range sendRows(t, ch, "a", "b", "c", "d") {
					if r := <-done; r.err != nil || r.ack.Position.Chunk != uint64(5+i) {
						t.Errorf("batch %d: %+v", i, r)
					}
				}
				if got := fmt.Sprint(n); got != c.want {
					t.Errorf("requests %s, want %s", got, c.want)
				}
				if got, want := fmt.Sprint(rows(t, ch)), "map[16:[a b c d]]"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
	}
}

// TestSentAgainInVain lets the later tries of a chunk whose first may have landed
// be refused without effect: that says nothing about the first.
func TestSentAgainInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := newFaults(blob.NewMem()), newFakeIndex(t)
		c := open(t, x.options(s))
		first := failOnce(blobtest.PutIfAbsent, nil, errors.New("connection reset"))
		var tries atomic.Int64
		s.set(func(call blobtest.Call, name string) (error, error) {
			if tries.Add(1) > 1 {
				return fmt.Errorf("409: %w", schema.ErrUnavailable), nil
			}
			return first(call, name)
		})
		begin := time.Now()
		_, err := c.Append(t.Context(), batch(group(16, "a")))
		wantErr(t, err, schema.ErrUnknownOutcome)
		if errors.Is(err, schema.ErrUnavailable) {
			t.Errorf("the outcome is unknown, and told as none: %v", err)
		}
		if took := time.Since(begin); took < 3*time.Second || took > 6*time.Second {
			t.Errorf("told after %v", took)
		}
		s.set(nil)
		time.Sleep(time.Minute)
		if got, want := fmt.Sprint(rows(t, c)), "map[16:[a]]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// TestSentAgainToAnother takes the channel over while a chunk is sent again: its
// writer meets the fence.
func TestSentAgainToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := blob.NewMem()
		s := newFaults(mem)
		old := open(t, newFakeIndex(t).options(s))
		s.set(failPuts(errors.New("connection reset"), nil))
		sent := start(t.Context(), old, batch(group(16, "zombie")))
		time.Sleep(100 * time.Millisecond)
		young := open(t, newFakeIndex(t).options(mem))
		s.set(nil)
		r := <-sent
		wantErr(t, r.err, schema.ErrFenced)
		mustAppend(t, young, batch(group(16, "a")))
		if got, want := fmt.Sprint(rows(t, young)), "map[16:[a]]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// TestTakeOverSwapsAgain loses the swap of the head, or its answer.
func TestTakeOverSwapsAgain(t *testing.T) {
	lost := errors.New("connection reset")
	for _, f := range []struct {
		before, after error
		epoch         int
	}{{lost, nil, 1}, {nil, lost, 2}} {
		synctest.Test(t, func(t *testing.T) {
			mem, x := blob.NewMem(), newFakeIndex(t)
			s := newFaults(mem)
			s.set(failOnce(blobtest.Swap, f.before, f.after))
			c := open(t, x.options(s))
			mustAppend(t, c, batch(group(16, "a")))
			head, err := mem.Get(t.Context(), chunk.HeadName(0))
			if err != nil || !strings.Contains(string(head), fmt.Sprintf(`"epoch":%d`, f.epoch)) {
				t.Errorf("head %s, %v, want epoch %d", head, err, f.epoch)
			}
		})
	}
}
