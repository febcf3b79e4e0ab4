package log_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// stranger is who reads a channel in three zones without owning it, from one zone
// alone: docs/protocol.md says what it may believe. It holds the durable_upto that
// owners write to that.
type stranger struct {
	zone, heads *blob.Mem
	next        uint64
	vouched     int
	took        []took
}

// took is what it believed: the chunk of an epoch at a number.
type took struct {
	n     uint64
	epoch schema.Epoch
}

// follow reads on now and then.
func (s *stranger) follow(ctx context.Context, t *testing.T, roll func(int) int) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(roll(400)) * time.Millisecond)
		head, err := s.heads.Get(t.Context(), chunk.HeadName(0))
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		for err == nil && s.step(t, head) { // with a head that may be old by now
			if roll(3) == 0 {
				time.Sleep(time.Duration(roll(5)) * time.Millisecond)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// step reads one number, if it may believe what it finds.
func (s *stranger) step(t *testing.T, head []byte) bool {
	owner, sealed, err := log.HeadSealed(head)
	if err != nil {
		t.Error(err)
		return false
	}
	epoch, counts, err := log.HeadOwner(head, s.next)
	if err != nil {
		t.Error(err)
		return false
	}
	if !counts {
		s.next++
		return true
	}
	hdr, ok := s.header(t, s.next)
	if !ok || hdr.Kind != chunk.Data || uint64(hdr.Epoch) != epoch {
		return false // another zone has it
	}
	if s.next > sealed {
		if uint64(hdr.Epoch) != owner || !s.vouchedFor(t, hdr) {
			return false
		}
		s.vouched++
	}
	s.took = append(s.took, took{s.next, hdr.Epoch})
	s.next++
	return true
}

// vouchedFor looks for a later chunk of the same epoch that knows that this one is
// durable.
func (s *stranger) vouchedFor(t *testing.T, hdr chunk.Header) bool {
	for n := hdr.Position.Chunk + 1; n <= hdr.Position.Chunk+2*log.MaxInFlight; n++ {
		later, ok := s.header(t, n)
		if ok && later.Kind == chunk.Data && later.Epoch == hdr.Epoch && later.DurableUpto >= hdr.Position.Chunk {
			return true
		}
	}
	return false
}

func (s *stranger) header(t *testing.T, n uint64) (chunk.Header, bool) {
	data, err := s.zone.Get(t.Context(), name(n))
	if errors.Is(err, blob.ErrNotFound) {
		return chunk.Header{}, false
	}
	if err != nil {
		t.Error(err)
		return chunk.Header{}, false
	}
	hdr, err := chunk.DecodeHeader(name(n), 0, schema.Position{Chunk: n}, data)
	if err != nil {
		t.Error(err)
	}
	return hdr, err == nil
}

// check compares what it believed with what counts, as the head has it after a
// last take-over.
func (s *stranger) check(t *testing.T, head []byte) {
	t.Helper()
	for _, took := range s.took {
		if epoch, counts, err := log.HeadOwner(head, took.n); err != nil || !counts || epoch != uint64(took.epoch) {
			t.Errorf("a stranger took the chunk of epoch %d at %d, where that of %d counts (%v, %v)", took.epoch, took.n, epoch, counts, err)
		}
	}
}
