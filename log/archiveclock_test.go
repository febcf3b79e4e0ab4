package log_test

import (
	"errors"
	"math/rand/v2"
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

// archiveClock is a channel with segments, whose clock the test sets.
type archiveClock struct {
	t     *testing.T
	mem   *blob.Mem
	asked *asked
	x     *fakeIndex
	now   atomic.Int64 // microseconds
	held  atomic.Uint64
	looks atomic.Int64 // at how far the index is
	o     log.Options
	c     *log.Channel
}

func openArchiveClock(t *testing.T, change func(*log.SegmentOptions)) *archiveClock {
	t.Helper()
	mem := blob.NewMem()
	a := &archiveClock{t: t, mem: mem, asked: &asked{Store: mem}, x: newFakeIndex(t)}
	a.now.Store(time.Now().UnixMicro())
	o := archived(a.x.options(a.asked), a.asked, &saved{x: a.x}, rand.New(rand.NewPCG(1, 1)))
	o.Now = func() time.Time { return time.UnixMicro(a.now.Load()) }
	o.Segments.TargetBytes, o.Segments.CacheBytes = 1<<20, 1<<20
	o.Segments.MaxAge, o.Segments.Grace = time.Minute, 10*time.Minute
	o.Segments.Indexed = func() schema.Position {
		a.looks.Add(1)
		return schema.Position{Chunk: a.held.Load()}
	}
	if change != nil {
		change(&o.Segments)
	}
	a.o = o
	a.c = open(t, o)
	return a
}

// reopen closes the channel and opens it again.
func (a *archiveClock) reopen() {
	if err := a.c.Close(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	a.o.Applied = a.x.apply(1 << 30)
	a.c = open(a.t, a.o)
}

// write appends rows, which the index applies.
func (a *archiveClock) write(n int) {
	for range n {
		put(a.t, a.c, 16, "row")
	}
	a.c.Applied(a.x.apply(1 << 30))
}

// pass lets time pass on the clock, and on that of timers.
func (a *archiveClock) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		a.now.Add(time.Second.Microseconds())
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

func (a *archiveClock) there(n uint64) bool {
	_, err := a.mem.Get(a.t.Context(), chunk.Name(0, schema.Position{Chunk: n}))
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		a.t.Fatal(err)
	}
	return err == nil
}

// TestArchiveAges demands that ages go by the channel's clock: while it stands
// still nothing is due, however often timers fire.
func TestArchiveAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openArchiveClock(t, nil)
		a.write(5)
		a.held.Store(100)
		time.Sleep(1000 * time.Hour)
		if pos := a.c.Archived(); !pos.IsZero() {
			t.Fatalf("a segment up to %v was made in no time", pos)
		}
		a.now.Add(time.Minute.Microseconds())
		time.Sleep(2 * time.Minute)
		last := a.c.Archived().Chunk
		if last != a.c.Durable().Chunk {
			t.Fatalf("a minute later segments hold all up to %d", last)
		}
		time.Sleep(1000 * time.Hour)
		if !a.there(2) {
			t.Fatal("a chunk was deleted before the grace")
		}
		a.now.Add(11 * time.Minute.Microseconds())
		time.Sleep(11 * time.Minute)
		if a.there(2) {
			t.Error("a chunk is there after the grace")
		}
	})
}

// TestArchiveClockBehind takes over from a writer whose clock was a day ahead:
// what was written since waits for its segment no longer than else.
func TestArchiveClockBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openArchiveClock(t, nil)
		a.now.Add(24 * time.Hour.Microseconds())
		a.write(1)
		a.pass(2 * time.Minute)
		a.now.Add(-24 * time.Hour.Microseconds())
		before := a.c.Archived().Chunk
		a.write(1) // its commit time does not go back
		a.pass(2 * time.Minute)
		if got := a.c.Archived().Chunk; got == before {
			t.Errorf("segments hold all up to %d", got)
		}
	})
}

// TestArchiveQuiet leaves a channel alone whose index does not become durable, as
// nothing makes it write its tables: it is looked at ever less often, and chunks
// go when it has come further.
func TestArchiveQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openArchiveClock(t, nil)
		a.write(5)
		a.pass(24 * time.Hour)
		before, asked := a.looks.Load(), a.asked.n.Load()
		a.pass(24 * time.Hour)
		if n := a.looks.Load() - before; n < 20 || n > 25 {
			t.Errorf("looked %d times in a day, want once an hour", n)
		}
		if n := a.asked.n.Load() - asked; n > 0 {
			t.Errorf("the stores were asked %d times", n)
		}
		a.held.Store(a.c.Durable().Chunk)
		a.pass(time.Hour + time.Minute)
		if a.there(2) {
			t.Error("a chunk is there an hour after the index had it")
		}
	})
}

// TestArchiveAnswers keeps chunks for the answers in them, and wakes when these
// have expired, not before.
func TestArchiveAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openArchiveClock(t, func(o *log.SegmentOptions) { o.AnswersKept = 24 * time.Hour })
		a.held.Store(100)
		a.write(5)
		a.pass(23 * time.Hour)
		if !a.there(2) {
			t.Error("a chunk is gone whose answers are asked for")
		}
		if n := a.looks.Load(); n > 5 {
			t.Errorf("looked %d times", n)
		}
		a.pass(time.Hour + time.Minute)
		if a.there(2) {
			t.Error("a chunk is there after its answers expired")
		}
	})
}

// TestArchiveRetries refuses a step of collection once: it is done again, though
// nothing else happens.
func TestArchiveRetries(t *testing.T) {
	for name, call := range map[string]blobtest.Call{"look": blobtest.GetRange, "raise": blobtest.Swap, "delete": blobtest.Delete} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var refusals atomic.Int64
				a := &archiveClock{t: t, mem: blob.NewMem(), x: newFakeIndex(t)}
				store := newFaults(a.mem)
				o := archived(a.x.options(store), store, &saved{x: a.x}, rand.New(rand.NewPCG(1, 1)))
				o.Segments.TargetBytes, o.Segments.Indexed = 1<<20, func() schema.Position { return schema.Position{Chunk: 100} }
				a.c = open(t, o)
				a.write(5)
				store.set(func(c blobtest.Call, name string) (error, error) {
					if c == call && refusals.Add(1) == 1 {
						return blob.ErrChanged, nil
					}
					return nil, nil
				})
				time.Sleep(time.Hour)
				if a.there(2) {
					t.Errorf("a chunk is there, %d calls", refusals.Load())
				}
			})
		})
	}
}
