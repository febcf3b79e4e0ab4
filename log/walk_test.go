package log_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// delays makes every call take a while, and tells how many reads of headers there were, and
// how many at a time.
type delays struct {
	mu                    sync.Mutex
	headers, atOnce, most int
}

func (l *delays) hook(took time.Duration) func(blobtest.Call, string) (error, error) {
	return func(call blobtest.Call, _ string) (error, error) {
		if call == blobtest.GetRange {
			l.mu.Lock()
			l.headers++
			l.atOnce++
			l.most = max(l.most, l.atOnce)
			l.mu.Unlock()
		}
		time.Sleep(took)
		if call == blobtest.GetRange {
			l.mu.Lock()
			l.atOnce--
			l.mu.Unlock()
		}
		return nil, nil
	}
}

// TestTakeOverReadsAhead takes over a log of a thousand chunks whose head tells of
// none, from a store where each call takes 20 ms: one after the other, the headers
// alone would take 20 s.
func TestTakeOverReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := newFaults(blob.NewMem()), newFakeIndex(t)
		o := x.options(s)
		o.HintEvery = 1 << 20
		old := open(t, o)
		for range 999 {
			mustAppend(t, old, batch(group(16, "a")))
		}
		x.apply(1000)
		l := &delays{}
		s.set(l.hook(20 * time.Millisecond))
		begin := time.Now()
		c := open(t, x.restart().options(s))
		took := time.Since(begin)
		s.set(nil)
		t.Logf("took over after %v: %d headers read, %d at a time", took, l.headers, l.most)
		if took > 1500*time.Millisecond || l.most != 32 || l.headers > 1000+1+32+log.MaxInFlight {
			t.Errorf("took over after %v: %d headers read, %d at a time", took, l.headers, l.most)
		}
		if ack := mustAppend(t, c, batch(group(16, "b"))); ack.Position.Chunk != 1002 || ack.Groups[0].FirstSeq != 999 {
			t.Errorf("got %+v", ack)
		}
	})
}

// TestTakeOverReadsAheadInOrder fails what lies behind the end, which does not
// matter, and what lies before it, which does.
func TestTakeOverReadsAheadInOrder(t *testing.T) {
	for _, c := range []struct {
		bad  uint64
		want error
	}{{10, nil}, {9, schema.ErrUnavailable}, {2, schema.ErrUnavailable}} {
		mem, x := blob.NewMem(), newFakeIndex(t)
		old := open(t, x.options(mem))
		for range 8 {
			mustAppend(t, old, batch(group(16, "a")))
		}
		x.apply(100)
		s := newFaults(mem)
		s.set(func(call blobtest.Call, name string) (error, error) {
			if call == blobtest.GetRange && name == chunk.Name(0, schema.Position{Chunk: c.bad + 1}) {
				return schema.ErrUnavailable, nil
			}
			return nil, nil
		})
		o := x.restart().options(s)
		o.InFlight = 1
		young, err := log.Open(t.Context(), o)
		if !errors.Is(err, c.want) {
			t.Errorf("chunk %d cannot be read: %v, want %v", c.bad+1, err, c.want)
		}
		if err == nil && young.Close(t.Context()) != nil {
			t.Error("close")
		}
	}
}
