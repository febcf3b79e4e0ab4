package log_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// saved is the index that has come furthest, which others begin with.
type saved struct {
	mu sync.Mutex
	x  *fakeIndex
}

func (s *saved) get() *fakeIndex {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.x.restart()
}

func (s *saved) offer(x *fakeIndex) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if y := x.restart(); y.applied.Compare(s.x.applied) > 0 {
		s.x = y
	}
}

// TestFloorMoves is TestWriters with a collector, which deletes what a saved
// index has applied, once the head says so. A writer begins with what was saved
// at that time.
func TestFloorMoves(t *testing.T) {
	simulate(t, func(t *testing.T, r *rand.Rand) {
		mem, h := blob.NewMem(), &history{}
		s, store := &saved{x: newFakeIndex(t)}, badStore(mem, r)
		ctx, stop := context.WithCancel(t.Context())
		var collector, writers sync.WaitGroup
		collector.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
				if err := collect(ctx, mem, s.get()); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
		for i := range 5 {
			seed, delay := r.Uint64(), time.Duration(r.IntN(6000))*time.Millisecond
			writers.Go(func() {
				r := rand.New(rand.NewPCG(seed, 3))
				time.Sleep(delay)
				x := s.get()
				o := simOptions(x, store, r)
				o.WriterID = fmt.Sprint(i)
				c, err := log.Open(t.Context(), o)
				if err != nil {
					return
				}
				for range 3 {
					work(t, h, c, x, r, 4)
					s.offer(x)
				}
				finish(c, time.Duration(r.IntN(3000))*time.Millisecond)
			})
		}
		writers.Wait()
		stop()
		collector.Wait()
		time.Sleep(time.Hour) // what is late has landed
		x := s.get()
		c, err := log.Open(t.Context(), x.options(mem))
		if err != nil {
			t.Fatalf("open at last: %v", err)
		}
		for _, b := range h.open() {
			if err := h.send(t.Context(), t, c, b); err != nil {
				t.Errorf("send %s at last: %v", b.row, err)
			}
		}
		c.Applied(x.apply(1 << 30))
		h.resend(t, c)
		h.verifyRows(t, x.rows)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// collect raises the floor and deletes what is below it, but for fences.
func collect(ctx context.Context, mem *blob.Mem, x *fakeIndex) error {
	floor := x.applied.Chunk
	name := chunk.HeadName(0)
	data, v, err := mem.Read(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var head map[string]any
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&head); err != nil {
		return err
	}
	if float64(floor) <= head["floor"].(float64) {
		return nil
	}
	head["floor_epoch"] = x.epoch
	head["floor"], head["hint"] = floor, max(head["hint"].(float64), float64(floor))
	line, err := json.Marshal(head)
	if err != nil {
		return err
	}
	line = fmt.Appendf(line, "\n%08x\n", crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)))
	if _, err := mem.Swap(ctx, name, v, line); err != nil {
		if errors.Is(err, blob.ErrChanged) {
			return nil
		}
		return err
	}
	for n := uint64(1); n <= floor; n++ {
		pos := schema.Position{Chunk: n}
		data, err := mem.Get(ctx, chunk.Name(0, pos))
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		hdr, err := chunk.DecodeHeader(chunk.Name(0, pos), 0, pos, data)
		if err != nil {
			return err
		}
		if hdr.Kind != chunk.Fence {
			if err := mem.Delete(ctx, chunk.Name(0, pos)); err != nil {
				return err
			}
		}
	}
	return nil
}
