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
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// saved is the index that has come furthest, which others begin with.
type saved struct {
	mu sync.Mutex
	x  *fakeIndex

	trims *trimPoints // nil: all is kept
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

// collected is a store from which a collector deletes.
type collected interface {
	log.ChunkStore
	Delete(ctx context.Context, name string) error
}

// collect raises the floor and deletes what is below it, but for fences.
func collect(ctx context.Context, mem collected, x *fakeIndex) error {
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
	before := head["floor"].(float64)
	if float64(floor) <= before {
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
	for n := uint64(before) + 1; n <= floor; n++ {
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

// keepsAll is a store on which deletions come late.
type keepsAll struct{ *blob.Mem }

func (keepsAll) Delete(context.Context, string) error { return nil }

// TestFloorRisesWhileReplaying raises the floor above what a new owner is about
// to replay, after an owner of a higher epoch wrote there: whether the chunks are
// deleted already or not, the new owner must not take them for void, nor the log
// for damaged.
func TestFloorRisesWhileReplaying(t *testing.T) {
	for name, deletes := range map[string]bool{"deleted": true, "not yet deleted": false} {
		t.Run(name, func(t *testing.T) {
			mem, x := blob.NewMem(), newFakeIndex(t)
			late := x.restart()
			for range 2 { // two epochs
				c := open(t, x.options(mem))
				mustAppend(t, c, batch(group(16, "a")))
				mustAppend(t, c, batch(group(16, "b")))
				c.Applied(x.apply(100))
				x = x.restart()
				if late.applied.IsZero() {
					late = x.restart()
					late.applied, late.last = schema.Position{Chunk: 2}, schema.Position{Chunk: 2} // it lacks b
					late.next[16], late.live[16] = 1, 1
				}
			}
			s := newFaults(mem)
			var looks atomic.Int64
			s.set(func(call blobtest.Call, name string) (error, error) {
				if call != blobtest.GetRange || name != chunk.Name(0, schema.Position{Chunk: 2}) {
					return nil, nil
				}
				if looks.Add(1) != 2 {
					return nil, nil // the first is the walk's, the second the replay's
				}
				if deletes {
					return collect(t.Context(), mem, x), nil
				}
				return collect(t.Context(), keepsAll{mem}, x), nil
			})
			_, err := log.Open(t.Context(), late.options(s))
			wantErr(t, err, schema.ErrTrimmed)
			if n := len(late.published); n > 0 {
				t.Errorf("%d chunks were published", n)
			}
		})
	}
}
