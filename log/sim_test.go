package log_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/internal/blob/crashfs"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

var (
	simSeed = flag.Uint64("sim.seed", 0, "first seed of the simulations; 0: 1")
	simRuns = flag.Uint64("sim.runs", 60, "seeds to run")
)

// simulate runs fn for each seed, on a clock of its own.
func simulate(t *testing.T, fn func(t *testing.T, r *rand.Rand)) {
	for seed := max(*simSeed, 1); seed < max(*simSeed, 1)+*simRuns; seed++ {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fn(t, rand.New(&lockedSource{src: rand.NewPCG(seed, 1)})) })
		})
		if !ok {
			return
		}
	}
}

// lockedSource is a rand.Source for several goroutines.
type lockedSource struct {
	mu  sync.Mutex
	src rand.Source
}

func (s *lockedSource) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.src.Uint64()
}

// simOptions are small, so that a short run meets every limit.
func simOptions(x *fakeIndex, s log.ChunkStore, r *rand.Rand) log.Options {
	o := x.options(s)
	o.InFlight = 1 + r.IntN(5) // writers of one channel may differ in it
	o.MaxChunkBytes = 1 << (6 + r.IntN(6))
	o.MaxPendingBytes = 1 << (9 + r.IntN(4))
	o.TailBytes = 1 + int64(r.IntN(2))<<10
	o.CacheBytes = 1 + int64(r.IntN(2))<<10
	o.HintEvery = 1 + uint64(r.IntN(5))
	if r.IntN(2) == 0 {
		o.CatchUp = x.catchUp
	}
	return o
}

// work sends batches from several goroutines until they are through or nothing
// succeeds any more, while the index applies in the background.
func work(t *testing.T, h *history, c *log.Channel, x *fakeIndex, r *rand.Rand, each int) {
	ctx, stop := context.WithCancel(t.Context())
	var applier, senders sync.WaitGroup
	applier.Go(func() {
		for f := c.Follow(c.Durable()); ; {
			if _, err := f.Next(ctx); err != nil {
				return
			}
			if pos := x.apply(2); pos.Chunk%3 > 0 { // it lags
				c.Applied(pos)
			}
		}
	})
	old := h.open()
	for i := range 3 {
		seed := r.Uint64()
		senders.Go(func() {
			r := rand.New(rand.NewPCG(seed, 2))
			for j := range each {
				var s *sent
				if k := 3*j + i; k < len(old) {
					s = old[k]
				} else {
					s = h.add(r)
				}
				ctx, cancel := context.WithTimeout(ctx, time.Duration(1+r.IntN(3000))*time.Millisecond)
				err := h.send(ctx, t, c, s)
				cancel()
				if errors.Is(err, schema.ErrFenced) || errors.Is(err, schema.ErrClosed) {
					return
				}
				if r.IntN(3) == 0 {
					time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
				}
			}
		})
	}
	senders.Wait()
	stop()
	applier.Wait()
}

// finish ends a channel, however it is.
func finish(c *log.Channel, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if errors.Is(c.Close(ctx), context.DeadlineExceeded) {
		_ = c.Close(context.Background()) // joins; its error was provoked
	}
}

// final opens the channel on a store without faults and checks everything.
func final(t *testing.T, h *history, x *fakeIndex, s log.ChunkStore) {
	t.Helper()
	c, err := log.Open(t.Context(), x.options(s))
	if err != nil {
		t.Fatalf("open at last: %v", err)
	}
	h.verify(t, c)
	for _, s := range h.open() {
		if err := h.send(t.Context(), t, c, s); err != nil {
			t.Errorf("send %s at last: %v", s.row, err)
		}
	}
	h.verify(t, c)
	h.resend(t, c)
	c.Applied(x.apply(1 << 30))
	h.resend(t, c)
	h.verify(t, c)
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestPowerFailures cuts the power at a random step of the file system, several
// times in a row, and sends again what was not acknowledged.
func TestPowerFailures(t *testing.T) {
	simulate(t, func(t *testing.T, r *rand.Rand) {
		fsys, h, x := crashfs.New(), &history{}, newFakeIndex(t)
		for range 5 {
			left := 1 + r.IntN(120)
			fsys.SetHook(func(crashfs.Op, string) (before, after error) {
				if left--; left == 0 {
					fsys.PowerOffLocked()
				}
				return nil, nil
			})
			dir, err := blob.OpenDir("", blob.DirOptions{FS: fsys})
			if err != nil {
				t.Fatal(err)
			}
			c, err := log.Open(t.Context(), simOptions(x, dir, r))
			if err == nil {
				work(t, h, c, x, r, 10)
				fsys.PowerOff()
				finish(c, time.Second)
			} else if left > 0 {
				t.Fatal(err)
			}
			fsys, x = fsys.Crash(r), x.restart()
		}
		dir, err := blob.OpenDir("", blob.DirOptions{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		final(t, h, x, dir)
	})
}

// TestDiskErrors lets steps of the file system fail at random.
func TestDiskErrors(t *testing.T) {
	simulate(t, func(t *testing.T, r *rand.Rand) {
		fsys, h, x := crashfs.New(), &history{}, newFakeIndex(t)
		dir, err := blob.OpenDir("", blob.DirOptions{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			rate := 5 + r.IntN(40)
			fsys.SetHook(func(op crashfs.Op, _ string) (before, after error) {
				switch n := r.IntN(rate * 3); {
				case n == 0:
					return syscall.EIO, nil
				case n == 1:
					return syscall.ENOSPC, nil
				case n == 2 && op == crashfs.OpSyncDir:
					return nil, syscall.EIO
				}
				return nil, nil
			})
			c, err := log.Open(t.Context(), simOptions(x, dir, r))
			if err != nil {
				x = x.restart()
				continue
			}
			work(t, h, c, x, r, 15)
			finish(c, time.Minute)
			x = x.restart()
		}
		fsys.SetHook(nil)
		final(t, h, x, dir)
	})
}

// TestWriters lets writers take the channel over from each other, at random
// times, on a store that is slow, loses answers and lets writes land late.
func TestWriters(t *testing.T) {
	simulate(t, func(t *testing.T, r *rand.Rand) {
		mem, h := blob.NewMem(), &history{}
		store := badStore(mem, r)
		var writers sync.WaitGroup
		for i := range 4 {
			seed := r.Uint64()
			delay := time.Duration(r.IntN(3000)) * time.Millisecond
			writers.Go(func() {
				r := rand.New(rand.NewPCG(seed, 3))
				time.Sleep(delay)
				// Each writer builds its index anew: none knows another's.
				x := newFakeIndex(t)
				o := simOptions(x, store, r)
				o.WriterID = fmt.Sprint(i)
				c, err := log.Open(t.Context(), o)
				if err != nil {
					return
				}
				work(t, h, c, x, r, 10)
				finish(c, time.Duration(r.IntN(3000))*time.Millisecond)
			})
		}
		writers.Wait()
		time.Sleep(time.Hour) // what is late has landed
		final(t, h, newFakeIndex(t), mem)
	})
}

// badStore is slow, stalls, loses requests and answers, and lets puts land late.
func badStore(mem *blob.Mem, r *rand.Rand) log.ChunkStore {
	lose := 1 + r.IntN(30)
	hook := func(blobtest.Call, string) (before, after error) {
		time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond)
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond) // a stall
		}
		switch r.IntN(lose * 5) {
		case 0:
			return errors.New("request lost"), nil
		case 1:
			return nil, errors.New("answer lost")
		}
		return nil, nil
	}
	return &lateStore{Faulty: blobtest.Faulty{Store: mem, Hook: hook}, roll: r.IntN}
}

// lateStore is a store whose puts sometimes fail and land afterwards.
type lateStore struct {
	blobtest.Faulty
	roll func(int) int
}

func (s *lateStore) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	if s.roll(15) > 0 {
		return s.Faulty.PutIfAbsent(ctx, name, data)
	}
	data = append([]byte(nil), data...)
	go func() {
		time.Sleep(time.Duration(s.roll(5000)) * time.Millisecond)
		_ = s.Store.PutIfAbsent(context.Background(), name, data) // taken by now: that is the point
	}()
	return errors.New("timed out")
}
