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
				if err := rig.backend.Collections.Drop(failed, tenant, collection); err != nil {
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
	if err := b.reclaimed(ctx, rig); err != nil {
		return err
	}
	r.Counts.add("index_has_nothing_of_them_ms_after", micros(time.Since(start)-took)/1e3)
	return nil
}

// reclaimed waits until the index has deleted what was dropped.
func (b *fleetBench) reclaimed(ctx context.Context, rig *rig) error {
	last, err := rig.create(ctx, "last", tinyFields)
	if err != nil {
		return err
	}
	// Describe waits for the index, so that all that was dropped is in its queue.
	if _, err := rig.node.Engine.Describe(ctx, last); err != nil {
		return err
	}
	for {
		left := rig.node.Reclaiming()
		b.o.Progress("reclaim", int64(b.made-left), int64(b.made))
		if left == 0 {
			return nil
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}
