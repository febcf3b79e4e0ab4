package log

import (
	"context"
	"errors"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/chunk"
)

// lastRepairWait is the longest between two attempts to repair a zone.
const lastRepairWait = 30 * time.Second

// miss notes that a zone lacks a durable chunk of ours, which is then put there
// as soon as it can be. Memory holds the number and not the chunk.
//
// What a zone lacks is known to the owner alone: what it has not repaired when it
// ends stays in two zones.
func (z *zones) miss(ctx context.Context, i int, n uint64) {
	if z.zones[i].miss(n) {
		z.wg.Go(func() { z.repair(ctx, i) })
	}
}

// repair gives a zone what it lacks, until it lacks nothing.
func (z *zones) repair(ctx context.Context, i int) {
	zone := z.zones[i]
	for wait := firstRetry; ; {
		n, ok := zone.nextHole()
		if !ok {
			return
		}
		err := z.mend(ctx, i, n)
		if err == nil {
			zone.filled(n)
			wait = firstRetry
			continue
		}
		if sleep(ctx, wait) != nil {
			zone.abandon()
			return
		}
		if wait *= 2; wait >= lastRepairWait {
			wait = lastRepairWait
			z.c.o.Logger.Warn("zone lacks chunks", "channel", z.c.o.Channel, "zone", zone.Name, "chunk", n, "error", err)
		}
	}
}

// mend puts a chunk into a zone that lacks it: the same PUT that failed before,
// with bytes that another zone gives.
func (z *zones) mend(ctx context.Context, i int, n uint64) error {
	zone := z.zones[i]
	own := z.c.owner()
	if n <= own.head.Floor {
		return nil
	}
	epoch, ok := own.head.ownerOf(n)
	if !ok {
		return nil
	}
	r, err := z.readFrom(ctx, z.order(i), n, epoch, z.c.readWhole)
	if err != nil {
		return err
	}
	err = zone.Store.PutIfAbsent(ctx, z.c.name(n), r.data)
	if err == nil {
		zone.repaired.Inc()
	}
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	// The PUT that had failed may have landed. Else it is something void, which
	// stays: at this number the zone has nothing to give.
	was, err := z.c.readHeader(ctx, zone.Store, n)
	if err == nil && (was.header.Kind != chunk.Data || was.header.Epoch != epoch) {
		z.c.o.Logger.Info("zone cannot be given a chunk", "channel", z.c.o.Channel, "zone", zone.Name, "chunk", n, "there", was.header.Kind.String())
	}
	return err
}
