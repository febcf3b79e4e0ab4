package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// maxWalkAhead is how many headers a take-over reads at a time. It begins with
// two, and each that is there allows one more, as what is read past the end is
// wasted: no more than was of use, and two.
const maxWalkAhead = 32

// walk finds the first number, at or after from, that has no chunk, and the
// commit time of the one before it, which it reads whole.
//
// Headers are read ahead and looked at in order. So one may be missed that came
// while those before it were read; that is as if the take-over had stood still
// after it looked: its fence meets whoever came.
func (s *single) walk(ctx context.Context, h head, from uint64) (p uint64, last int64, higher schema.Epoch, err error) {
	reading, cancel := context.WithCancel(ctx)
	ahead := headers{s: s, number: from, width: 2}
	defer ahead.wait()
	defer cancel()
	for p = from; ; p++ {
		hdr, err := ahead.next(reading)
		if errors.Is(err, blob.ErrNotFound) {
			break
		}
		if err != nil {
			return 0, 0, 0, err
		}
		if hdr.Epoch > h.Epoch {
			return 0, 0, hdr.Epoch, fmt.Errorf("chunk %v is of epoch %d, writer %q, above our %d: %w",
				hdr.Position, hdr.Epoch, hdr.WriterID, h.Epoch, schema.ErrFenced)
		}
		last = max(last, hdr.TimeMicros)
	}
	if p-1 <= h.Floor {
		return p, last, 0, nil
	}
	before, err := s.c.readWhole(ctx, s.store, p-1)
	if err != nil {
		return 0, 0, 0, err
	}
	return p, max(last, before.header.TimeMicros), 0, nil
}

// headers reads the headers of chunks in order, some ahead. It is used by one
// goroutine.
type headers struct {
	s      *single
	number uint64 // the next to ask for
	width  int    // how many are asked for at a time
	asked  []chan header
}

type header struct {
	chunk.Header
	err error
}

// next gives the next header.
func (x *headers) next(ctx context.Context) (chunk.Header, error) {
	for len(x.asked) < x.width {
		got, n := make(chan header, 1), x.number
		x.asked, x.number = append(x.asked, got), n+1
		go func() {
			hdr, err := x.s.header(ctx, n)
			got <- header{hdr, err}
		}()
	}
	h := <-x.asked[0]
	x.asked = x.asked[1:]
	x.width = min(x.width+1, maxWalkAhead)
	return h.Header, h.err
}

// wait waits for what was asked for in vain.
func (x *headers) wait() {
	for _, got := range x.asked {
		<-got
	}
}
