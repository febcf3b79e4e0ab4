package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// drop drops all collections, and waits until the index has let go of them.
func (b *fleetBench) drop(ctx context.Context, r *Report) (err error) {
	rig, err := openRig(ctx, b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.close()) }()
	var next atomic.Int64
	start := time.Now()
	g, failed := errgroup.WithContext(ctx)
	for range b.o.Workers {
		g.Go(func() error {
			for failed.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= b.made {
					return nil
				}
				tenant, collection := b.name(i)
				if _, err := rig.node.Registry.Drop(failed, tenant, collection); err != nil {
					return err
				}
			}
			return failed.Err()
		})
	}
	stop := b.tell("drop", b.made, &next)
	err = g.Wait()
	took := time.Since(start)
	stop()
	if err != nil {
		return err
	}
	r.Counts.add("dropped", float64(b.made))
	r.Counts.add("dropped_per_second", perSecond(float64(b.made), took))
	return nil
}
