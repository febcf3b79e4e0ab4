package log

import (
	"context"
	"errors"
	"sync"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// epochs remembers up to where chunks of an epoch count: a chunk is void when
// one below it has a higher epoch, so where one counts, all of its epoch below
// it do. It is safe for concurrent use.
type epochs struct {
	mu    sync.Mutex
	valid map[schema.Epoch]uint64
}

// maxEpochs bounds what epochs remembers; what it forgot costs a header.
const maxEpochs = 4096

// counts notes that chunk n, of epoch e, is not void.
func (x *epochs) counts(n uint64, e schema.Epoch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.valid == nil || len(x.valid) >= maxEpochs {
		x.valid = map[schema.Epoch]uint64{}
	}
	x.valid[e] = max(x.valid[e], n)
}

func (x *epochs) known(n uint64, e schema.Epoch) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return n <= x.valid[e]
}

// highest is the highest epoch at or below chunk n, which has epoch e and is not
// above end, the last chunk there is. If it is above e, the chunk is void.
//
// A void chunk lies less than MaxInFlight numbers after a fence of a higher
// epoch, and all that lies MaxInFlight or more after the fence is of that epoch
// or a higher one. So if the chunk that far after n has epoch e, n counts: one
// header mostly, and none for what is already known.
func (s *single) highest(ctx context.Context, n uint64, e schema.Epoch, end uint64) (schema.Epoch, error) {
	if s.epochs.known(n, e) {
		return e, nil
	}
	if far := n + MaxInFlight - 1; far <= end {
		hdr, err := s.header(ctx, far)
		if err != nil {
			return 0, err
		}
		if hdr.Epoch == e {
			s.epochs.counts(n, e)
			return e, nil
		}
	}
	highest, err := s.highestOf(ctx, n)
	if err != nil {
		return 0, err
	}
	if highest <= e {
		s.epochs.counts(n, e)
	}
	return max(highest, e), nil
}

// highestOf is the highest epoch of the MaxInFlight-1 chunks below n. Of those at
// or below the floor the head knows it: there, a chunk that was deleted may have
// left its name to one that came late and counts for nothing.
func (s *single) highestOf(ctx context.Context, n uint64) (schema.Epoch, error) {
	for h := s.c.owner().head; ; {
		highest, err := s.highestAbove(ctx, n, h.Floor)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return 0, err
		}
		// Only what is above the floor that is read afterwards was there to stay.
		now, _, herr := readHead(ctx, s.c.heads, s.c.o.Channel)
		switch {
		case herr != nil:
			return 0, herr
		case now.Floor >= n: // what it tells is of a higher number than n
			return 0, s.c.trimmed(s.c.at(n), now.Floor)
		case now.Floor != h.Floor:
			h = now
		case err != nil:
			return 0, err
		case h.Floor+MaxInFlight <= n:
			return highest, nil
		default:
			return max(highest, now.FloorEpoch), nil
		}
	}
}

func (s *single) highestAbove(ctx context.Context, n, floor uint64) (highest schema.Epoch, err error) {
	for m := n - 1; m > floor && m+MaxInFlight > n; m-- {
		hdr, err := s.header(ctx, m)
		if err != nil {
			return 0, err
		}
		highest = max(highest, hdr.Epoch)
	}
	return highest, nil
}

// highestBefore is the highest epoch below chunk n. The last chunk there is is
// end.
func (s *single) highestBefore(ctx context.Context, n, end uint64) (schema.Epoch, error) {
	if n <= 1 {
		return 0, nil
	}
	if n-1 <= s.c.floor() {
		return s.highestOf(ctx, n)
	}
	hdr, err := s.header(ctx, n-1)
	if err != nil {
		return 0, s.c.missing(ctx, err, s.c.at(n-1))
	}
	highest, err := s.highest(ctx, n-1, hdr.Epoch, end)
	if err != nil {
		err = s.c.missing(ctx, err, s.c.at(n-1))
	}
	return highest, err
}
