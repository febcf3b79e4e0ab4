package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// hedgeAfter is how long one zone is waited for before the next is asked too.
const hedgeAfter = 50 * time.Millisecond

// errNotHere is that a zone has something else at a number than what counts.
var errNotHere = errors.New("what is there does not count")

// read reads a durable chunk, of the epoch that owns its number, from whichever
// zone has it and answers. A number that nobody owns is empty, and is not read at
// all.
func (z *zones) read(ctx context.Context, n uint64, fn readFunc) (reading, error) {
	own := z.c.owner()
	epoch, ok := own.head.ownerOf(n)
	if !ok {
		return z.empty(ctx, own, n)
	}
	return z.readFrom(ctx, z.order(-1), n, epoch, fn)
}

// order is in which order zones are read: those that failed or were slow last,
// and one of them not at all.
func (z *zones) order(without int) []*zone {
	var first, last []*zone
	for i, zone := range z.zones {
		switch {
		case i == without:
		case zone.isDemoted():
			last = append(last, zone)
		default:
			first = append(first, zone)
		}
	}
	return append(first, last...)
}

// readFrom reads the chunk of an epoch from the first of some zones that has it,
// or from the next when that is slow.
func (z *zones) readFrom(ctx context.Context, from []*zone, n uint64, epoch schema.Epoch, fn readFunc) (reading, error) {
	type result struct {
		reading
		zone *zone
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, len(from))
	next, flying := 0, 0
	var asked []*zone
	ask := func() {
		zone := from[next]
		next++
		flying++
		asked = append(asked, zone)
		go func() {
			r, err := fn(ctx, zone.Store, n)
			if err == nil && (r.header.Kind != chunk.Data || r.header.Epoch != epoch) {
				err = fmt.Errorf("%v of epoch %d, not %d: %w", r.header.Kind, r.header.Epoch, epoch, errNotHere)
			}
			results <- result{r, zone, zone.wrap(err)}
		}()
	}
	timer := time.NewTimer(hedgeAfter)
	defer timer.Stop()
	ask()
	var errs []error
	for flying > 0 {
		select {
		case <-timer.C:
			if next < len(from) {
				asked[len(asked)-1].demote()
				ask()
				timer.Reset(hedgeAfter)
			}
			continue
		case r := <-results:
			flying--
			if r.err == nil {
				return r.reading, nil
			}
			errs = append(errs, r.err)
			if absent(r.err) {
				break
			}
			r.zone.demote()
		}
		if next < len(from) {
			ask()
		}
	}
	return reading{}, missingIn(z.c.at(n), errs)
}

// absent reports whether a zone answered that it does not have the chunk.
func absent(err error) bool { return errors.Is(err, blob.ErrNotFound) || errors.Is(err, errNotHere) }

// missingIn says what it means that no zone gave a chunk. It is missing, or
// damaged, only if all zones answered.
func missingIn(pos schema.Position, errs []error) error {
	all := errors.Join(errs...)
	var damaged, away error
	for _, err := range errs {
		switch {
		case absent(err):
		case errors.Is(err, schema.ErrCorrupt), errors.Is(err, schema.ErrUnsupported):
			damaged = err
		default:
			away = err
		}
	}
	switch {
	case away != nil:
		return fmt.Errorf("chunk %v: %w: %w (%v)", pos, schema.ErrUnavailable, away, all)
	case damaged != nil:
		return fmt.Errorf("chunk %v: %w (%v)", pos, damaged, all)
	default:
		return fmt.Errorf("chunk %v is in no zone: %w: %v", pos, blob.ErrNotFound, all)
	}
}

// empty is what is read at a number that is decided to be empty. Its time is that
// of the last chunk before, so that time does not go back.
func (z *zones) empty(ctx context.Context, own ownership, n uint64) (reading, error) {
	hdr := chunk.Header{
		Kind: chunk.Marker, Channel: z.c.o.Channel, Position: z.c.at(n),
		Epoch: own.head.Epoch, TimeMicros: own.timeMicros,
	}
	if n < own.fence || n > own.last {
		hdr.Epoch, hdr.TimeMicros = 0, 0
		if i := own.head.spanAfter(n); i > 0 && own.head.Owners[i-1].to > own.head.Floor {
			s := own.head.Owners[i-1]
			before, err := z.readFrom(ctx, z.order(-1), s.to, s.epoch, z.c.readHeader)
			if err != nil {
				return reading{}, err
			}
			hdr.Epoch, hdr.TimeMicros = s.epoch, before.header.TimeMicros
		}
	}
	ck := &schema.Chunk{Position: hdr.Position, Epoch: hdr.Epoch, TimeMicros: hdr.TimeMicros}
	return reading{header: hdr, chunk: ck}, nil
}
