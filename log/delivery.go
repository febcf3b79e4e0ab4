package log

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
)

// maxZoneTries bounds how often a chunk is put into one zone while fewer than two
// have it.
const maxZoneTries = 4

// delivery is a chunk on its way to three zones.
type delivery struct {
	z       *zones
	hdr     chunk.Header
	data    []byte
	free    func()
	users   atomic.Int32 // of data
	answers chan error   // bounded by the zones; nil: stored

	mu      sync.Mutex
	running [zoneCount]bool
	without []*zone // zones that did not get the chunk
	settled bool    // put has returned
	durable bool    // and this is what it told
}

func (z *zones) put(ctx context.Context, hdr chunk.Header, data []byte, free func()) error {
	d := &delivery{z: z, hdr: hdr, data: data, free: free, answers: make(chan error, zoneCount)}
	d.users.Store(1)
	defer d.release()
	asked := d.send(ctx)
	stored := 0
	var failed []error
	for range asked {
		err := <-d.answers
		switch {
		case err == nil:
			if stored++; stored == quorum {
				d.settle(ctx, true)
				return nil
			}
		case errors.Is(err, errSealed):
			d.settle(ctx, false)
			return err
		default:
			failed = append(failed, err)
		}
	}
	d.settle(ctx, false)
	return verdict(hdr, stored, failed)
}

// verdict is the error of a chunk that too few zones took. None has it, and none
// will, only if each says so.
func verdict(hdr chunk.Header, stored int, failed []error) error {
	err := errors.Join(failed...)
	if stored == 0 {
		certain := true
		for _, f := range failed {
			certain = certain && blob.NoEffect(f)
		}
		if certain {
			return fmt.Errorf("chunk %v: no zone took it: %w", hdr.Position, err)
		}
	}
	return fmt.Errorf("chunk %v: %d of three zones are known to have it: %v", hdr.Position, stored, err)
}

// send starts the PUTs, but not into a zone that lags too far, unless too few
// zones were left, and tells how many there are.
func (d *delivery) send(ctx context.Context) (asked int) {
	var lagging [zoneCount]bool
	left := zoneCount
	for i, zone := range d.z.zones {
		if lagging[i] = zone.lagging(); lagging[i] {
			left--
		}
	}
	for i, zone := range d.z.zones {
		if lagging[i] && left >= quorum {
			zone.skipped.Inc()
			d.without = append(d.without, zone)
			continue
		}
		asked++
		d.running[i] = true
		d.users.Add(1)
		d.z.wg.Go(func() { d.deliver(ctx, i) })
	}
	return asked
}

// deliver brings the chunk to one zone.
func (d *delivery) deliver(ctx context.Context, i int) {
	zone := d.z.zones[i]
	err := d.try(ctx, zone)
	d.release()
	if err == nil {
		zone.stored.Inc()
	} else {
		zone.failed.Inc()
	}
	d.mu.Lock()
	d.running[i] = false
	settled, durable := d.settled, d.durable
	if err != nil && !settled {
		d.without = append(d.without, zone)
	}
	d.mu.Unlock()
	d.answers <- zone.wrap(err) // never blocks
	if settled {
		zone.lag(-1, -len(d.data))
		if durable && err != nil {
			d.z.miss(ctx, i, d.hdr.Position.Chunk)
		}
	}
}

// try puts the chunk into a zone, several times as long as it is not durable: the
// put id makes them one.
func (d *delivery) try(ctx context.Context, zone *zone) error {
	unknown := false // an earlier try may land
	for try := 1; ; try++ {
		err := zone.Store.PutIfAbsent(ctx, d.z.c.name(d.hdr.Position.Chunk), d.data)
		if errors.Is(err, blob.ErrExists) {
			err = d.occupied(ctx, zone)
		}
		if err == nil || errors.Is(err, errSealed) || errors.Is(err, errNotHere) {
			return err
		}
		unknown = unknown || !blob.NoEffect(err)
		if unknown && blob.NoEffect(err) {
			err = fmt.Errorf("%v, after a try with unknown outcome", err)
		}
		if try == maxZoneTries || d.isSettled() || sleep(ctx, time.Duration(try)*10*time.Millisecond) != nil {
			return err
		}
	}
}

// occupied finds out who has our number in a zone.
func (d *delivery) occupied(ctx context.Context, zone *zone) error {
	r, err := d.z.c.readHeader(ctx, zone.Store, d.hdr.Position.Chunk)
	switch {
	case err != nil:
		return fmt.Errorf("who has our number: %v", err)
	case r.header.PutID == d.hdr.PutID:
		return nil
	case r.header.Epoch > d.hdr.Epoch:
		return fmt.Errorf("%v of epoch %d, writer %q: %w", r.header.Kind, r.header.Epoch, r.header.WriterID, errSealed)
	default:
		// A late chunk of an earlier owner, or a marker of a take-over that came
		// to nothing: the zone cannot have our chunk, the others can.
		return fmt.Errorf("%v of epoch %d, writer %q, is at our number: %w", r.header.Kind, r.header.Epoch, r.header.WriterID, errNotHere)
	}
}

func (d *delivery) isSettled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settled
}

// settle notes what put tells. What goes on from here on makes a zone lag, and
// the zones that a durable chunk is missing from are to be repaired.
func (d *delivery) settle(ctx context.Context, durable bool) {
	d.mu.Lock()
	d.settled, d.durable = true, durable
	without := d.without
	for i, running := range d.running {
		if running {
			d.z.zones[i].lag(1, len(d.data))
		}
	}
	d.mu.Unlock()
	if !durable {
		return
	}
	for i, zone := range d.z.zones {
		for _, w := range without {
			if w == zone {
				d.z.miss(ctx, i, d.hdr.Position.Chunk)
			}
		}
	}
}

// release gives data back when nobody uses it any more.
func (d *delivery) release() {
	if d.users.Add(-1) == 0 {
		d.free()
	}
}
