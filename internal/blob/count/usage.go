package count

import (
	"errors"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/internal/blob"
)

// outcome is how a call ended. Refused is an answer that a store is asked for:
// the object exists, changed, or is not there.
type outcome uint8

const (
	ok outcome = iota
	refused
	failed
	outcomes
)

var outcomeNames = [outcomes]string{"ok", "refused", "failed"}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return ok
	case errors.Is(err, blob.ErrExists), errors.Is(err, blob.ErrChanged), errors.Is(err, blob.ErrNotFound):
		return refused
	default:
		return failed
	}
}

// The histogram has a bucket for each power of two of nanoseconds, from 16 µs
// to 17 s, and one for what takes longer.
const (
	firstBucket = 14 // 2^14 ns
	buckets     = 21
)

// cell counts the calls of one verb.
type cell struct {
	outcomes [outcomes]atomic.Uint64
	bytes    atomic.Uint64
	nanos    atomic.Uint64
	buckets  [buckets + 1]atomic.Uint64
}

func (c *cell) add(start time.Time, bytes int, err error) {
	took := uint64(max(time.Since(start), 1))
	c.buckets[min(max(bits.Len64(took-1), firstBucket)-firstBucket, buckets)].Add(1)
	c.nanos.Add(took)
	c.bytes.Add(uint64(bytes))
	c.outcomes[outcomeOf(err)].Add(1)
}

// Counts is what one verb was asked for.
type Counts struct {
	Requests uint64 // refused and failed ones too: they are billed
	Refused  uint64
	Failed   uint64
	Bytes    uint64 // that went to the store or came from it
	Time     time.Duration
}

// Usage is what a store was asked for by verb.
type Usage [verbs]Counts

// Of is one verb's counts.
func (u *Usage) Of(v Verb) Counts { return u[v] }

// Minus is what came after an earlier Usage of the same store.
func (u Usage) Minus(before Usage) Usage {
	for v := range u {
		u[v].Requests -= before[v].Requests
		u[v].Refused -= before[v].Refused
		u[v].Failed -= before[v].Failed
		u[v].Bytes -= before[v].Bytes
		u[v].Time -= before[v].Time
	}
	return u
}

// Usage is what the store was asked for so far. A call that runs beside it may
// be counted in part.
func (s *Store) Usage() Usage {
	var u Usage
	for v := range s.cells {
		c := &s.cells[v]
		u[v] = Counts{
			Refused: c.outcomes[refused].Load(), Failed: c.outcomes[failed].Load(),
			Bytes: c.bytes.Load(), Time: time.Duration(c.nanos.Load()),
		}
		u[v].Requests = c.outcomes[ok].Load() + u[v].Refused + u[v].Failed
	}
	return u
}
