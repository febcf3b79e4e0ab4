package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
)

// adopt brings a chunk that at least one sealed zone has into two, over our
// markers. The copy has a put id of its own: the owner before, should it still be
// there, must not take it for one that it put itself.
func (s *sealer) adopt(ctx context.Context, n uint64, found []seal) error {
	have := 0
	for _, f := range found {
		if f.seen {
			have++
		}
	}
	if have >= quorum {
		return nil
	}
	data, err := s.original(ctx, n, found)
	if err != nil {
		return err
	}
	// The zone that was sealed and has it not, or the one that was not asked.
	var errs []error
	for _, i := range s.targets(found) {
		if err := s.copyTo(ctx, i, n, data); err != nil {
			errs = append(errs, s.z.zones[i].wrap(err))
			continue
		}
		return nil
	}
	return fmt.Errorf("adopt chunk %v, which one zone has: %w", s.z.c.at(n), unavailable(errs))
}

// original reads the chunk from a zone that has it, and checks it.
func (s *sealer) original(ctx context.Context, n uint64, found []seal) ([]byte, error) {
	var from []*zone
	for _, f := range found {
		if f.seen {
			from = append(from, s.z.zones[f.zone])
		}
	}
	r, err := s.z.readFrom(ctx, from, n, s.own.head.Serves, s.z.c.readWhole)
	return r.data, err
}

// targets are the zones that can be given a copy, those that were sealed first.
func (s *sealer) targets(found []seal) (zones []int) {
	var have [zoneCount]bool
	for _, f := range found {
		if have[f.zone] = f.seen || f.version == blob.Absent; !have[f.zone] {
			zones = append(zones, f.zone)
			have[f.zone] = true
		}
	}
	for i := range s.z.zones {
		if !have[i] {
			zones = append(zones, i)
		}
	}
	return zones
}

// copyTo puts a copy over our marker in a zone, which is sealed first.
func (s *sealer) copyTo(ctx context.Context, i int, n uint64, data []byte) error {
	marker, err := s.marker(n)
	if err != nil {
		return err
	}
	c := s.z.c
	var failed error
	for try := 1; try <= maxSealTries; try++ {
		f, err := s.sealIn(ctx, i, n, marker)
		switch {
		case err != nil:
			return err
		case f.seen:
			return nil // by now
		case f.version == blob.Absent:
			return fmt.Errorf("a void chunk of epoch %d is at number %d: %w", f.hdr.Epoch, n, errNotHere)
		}
		dup, err := chunk.Copy(c.name(n), c.o.Channel, c.at(n), data, c.newPutID())
		if err != nil {
			return err
		}
		if _, failed = s.z.zones[i].Store.Swap(ctx, c.name(n), f.version, dup); failed == nil {
			return nil
		}
		if err := sleep(ctx, time.Duration(try)*10*time.Millisecond); err != nil {
			return errors.Join(failed, err)
		}
	}
	return failed
}
