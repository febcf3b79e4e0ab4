package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// zoneCount is how many zones there are; quorum of them make a chunk durable.
const (
	zoneCount = 3
	quorum    = 2
)

// zones is the layout of a channel whose chunks lie in three stores, each of
// which may fail. docs/protocol.md has the rule; the head, in a store of its own,
// tells whose chunks count where.
//
//   - A chunk is durable when two zones have it under its own put id. The third
//     PUT goes on; a zone that did not get a chunk is given it later, by repair.
//   - A take-over seals numbers in two zones, adopts what either has, and then
//     records in the head what it decided.
//   - A durable chunk is read from whichever zone answers.
type zones struct {
	c     *Channel
	zones [zoneCount]*zone
	wg    sync.WaitGroup // of what goes on after put
}

var _ layout = (*zones)(nil)

func newZones(c *Channel, stores []Zone) *zones {
	z := &zones{c: c}
	for i, s := range stores {
		z.zones[i] = newZone(s, c.metrics)
	}
	return z
}

// admit refuses other zones than the head knows of: what two of those have, two
// others need not.
func (z *zones) admit(ctx context.Context, h *head, lost bool) error {
	var names []string
	for _, zone := range z.zones {
		names = append(names, zone.Name)
	}
	slices.Sort(names)
	switch {
	case lost:
		if err := z.admitNew(ctx); err != nil {
			return err
		}
		h.Format, h.Zones = zonesFormat, names
	case len(h.Zones) == 0:
		return fmt.Errorf("the channel's chunks lie in one store, and not in the zones %v: name that store: %w", names, schema.ErrInvalid)
	case !slices.Equal(h.Zones, names):
		return fmt.Errorf("the channel's chunks lie in the zones %v, not in %v: name those, also one that is away: %w", h.Zones, names, schema.ErrInvalid)
	}
	return nil
}

// admitNew refuses to make a head where there was one: it would not know what
// was decided. The first take-over leaves markers at number 1, in two zones and
// for ever.
func (z *zones) admitNew(ctx context.Context) error {
	free := 0
	var errs []error
	for _, zone := range z.zones {
		_, err := z.c.readHeader(ctx, zone.Store, 1)
		switch {
		case errors.Is(err, blob.ErrNotFound):
			free++
		case err == nil || errors.Is(err, schema.ErrCorrupt) || errors.Is(err, schema.ErrUnsupported):
			return fmt.Errorf("zone %s has chunks and there is no head, which tells what counts of them: "+
				"name the store that has it (--lake-store), or bring it back from a backup: %w", zone.Name, schema.ErrCorrupt)
		default:
			errs = append(errs, zone.wrap(err))
		}
	}
	if free < quorum {
		return fmt.Errorf("is this a new channel: %w", unavailable(errs))
	}
	return nil
}

// unavailable is what it comes to that too few zones answer.
func unavailable(errs []error) error {
	return fmt.Errorf("two of three zones are needed: %w: %v", schema.ErrUnavailable, errors.Join(errs...))
}

func (z *zones) counts(_ context.Context, hdr chunk.Header) (bool, error) {
	return hdr.Kind == chunk.Data, nil // read gives nothing else that is void
}

func (z *zones) inOrder(context.Context, uint64, uint64) (func(chunk.Header) bool, error) {
	return func(hdr chunk.Header) bool { return hdr.Kind == chunk.Data }, nil
}

// remove deletes a chunk in all zones. One that is away keeps it, to no harm but
// its price, and the caller learns of it.
func (z *zones) remove(ctx context.Context, n uint64) error {
	errs := make([]error, zoneCount)
	var wg sync.WaitGroup
	for i, zone := range z.zones {
		wg.Go(func() { errs[i] = zone.wrap(zone.Store.Delete(ctx, z.c.name(n))) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// closeGrace is how long the end of a channel waits for a zone that lags.
const closeGrace = time.Second

func (z *zones) close(cancel context.CancelFunc) {
	done := make(chan struct{})
	go func() {
		z.wg.Wait()
		close(done)
	}()
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
	cancel()
	<-done
}

// kept has nothing to ask: what is empty is not read but known from the head.
func (z *zones) kept(context.Context, schema.Position) error { return nil }
