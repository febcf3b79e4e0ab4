package kvindex

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/trinedb/trine/schema"
)

// Drop forgets a collection: its stats at once, its keys in the background.
// The instance must not be used again. Changes of it in chunks that are applied
// later are ignored; those in chunks published later can be read until then.
// Dropping twice is harmless.
func (x *Index) Drop(ctx context.Context, inst schema.Instance) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	x.writing.Lock()
	defer x.writing.Unlock()
	gone, err := x.wasDropped(inst)
	if err != nil || gone {
		return err
	}
	x.tallies.forget(inst)
	b := new(batch)
	b.put(instanceKey(spaceDropped, inst), nil)
	b.put(instanceKey(spaceReclaim, inst), nil)
	b.delete(instanceKey(spaceStats, inst))
	b.delete(instanceKey(spaceDirty, inst))
	if err := x.commitNow(b); err != nil {
		return fmt.Errorf("drop instance %d: %w", inst, err)
	}
	x.setDropped(inst, true)
	x.reclaim.wakeUp()
	return nil
}

// wasDropped reports whether a collection was ever dropped.
func (x *Index) wasDropped(inst schema.Instance) (bool, error) {
	_, ok, err := x.eng.get(latest, nil, instanceKey(spaceDropped, inst))
	if err != nil {
		return false, corrupt("read drop marker", err)
	}
	return ok, nil
}

// setDropped changes the set of collections whose keys are still there. x.writing is held.
func (x *Index) setDropped(inst schema.Instance, dropped bool) {
	m := maps.Clone(*x.dropped.Load())
	if dropped {
		m[inst] = struct{}{}
	} else {
		delete(m, inst)
	}
	x.dropped.Store(&m)
	x.mu.Lock()
	x.sets.Remove(inst)
	x.mu.Unlock()
}

// reclaimBatch is how many keys go in one transaction: little enough that
// Apply, which waits for it, does not notice.
const reclaimBatch = 500

// reclaimRetry is the pause after a failure, as a full disk.
const reclaimRetry = 10 * time.Second

// reclaimer deletes the keys of dropped collections, one collection after the
// other, at a bounded rate.
type reclaimer struct {
	x      *Index
	wake   chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func startReclaim(x *Index) *reclaimer {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reclaimer{x: x, wake: make(chan struct{}, 1), cancel: cancel}
	r.done.Go(func() { r.run(ctx) })
	r.wakeUp()
	return r
}

func (r *reclaimer) stop() { r.cancel() }
func (r *reclaimer) wait() { r.done.Wait() }

func (r *reclaimer) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reclaimer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		for inst := range *r.x.dropped.Load() {
			err := r.collection(ctx, inst)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				if r.failed(ctx, err, "instance", inst) != nil {
					return
				}
				break
			}
		}
		for _, ref := range r.x.queued(spaceSweep) {
			err := r.secondary(ctx, ref)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				if r.failed(ctx, err, "instance", ref.inst, "index", ref.id) != nil {
					return
				}
				break
			}
		}
	}
}

// failed tells of a failure, and pauses.
func (r *reclaimer) failed(ctx context.Context, err error, what ...any) error {
	r.x.opts.Logger.Error("index: reclaim what was dropped", append(what, "error", err)...)
	if err := sleep(ctx, reclaimRetry); err != nil {
		return err
	}
	r.wakeUp()
	return nil
}

// secondary deletes the entries of one secondary index, and then its place in
// the queue.
func (r *reclaimer) secondary(ctx context.Context, ref secondaryRef) error {
	if err := r.all(ctx, secondaryKey(spaceEntry, ref.inst, ref.id)); err != nil {
		return err
	}
	b := new(batch)
	b.delete(secondaryKey(spaceSweep, ref.inst, ref.id))
	r.x.writing.Lock()
	defer r.x.writing.Unlock()
	return r.x.commitNow(b)
}

// collection deletes all keys of one collection, and then its place in the queue.
func (r *reclaimer) collection(ctx context.Context, inst schema.Instance) error {
	for _, s := range reclaimed {
		if err := r.all(ctx, instanceKey(s, inst)); err != nil {
			return err
		}
	}
	x := r.x
	// Until then the overlay may hold rows of it, which the marker hides.
	if err := x.Wait(ctx, x.view.Load().durable.pos); err != nil {
		return err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	b := new(batch)
	b.delete(instanceKey(spaceReclaim, inst))
	if err := x.commitNow(b); err != nil {
		return err
	}
	x.setDropped(inst, false)
	return nil
}

// all deletes the keys with a prefix, step by step. Each goes on where the last
// one ended: starting over would walk over all that is deleted already.
func (r *reclaimer) all(ctx context.Context, prefix []byte) error {
	for from := prefix; from != nil; {
		n, last, err := r.step(prefix, from)
		if err != nil {
			return err
		}
		from = last
		pause := time.Duration(n) * time.Second / time.Duration(r.x.opts.ReclaimPerSecond)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// step deletes up to reclaimBatch keys from a key on. It says how many, and the
// last of them when there may be more.
func (r *reclaimer) step(prefix, from []byte) (n int, last []byte, err error) {
	x := r.x
	if err := x.checkSpace(reclaimPercent); err != nil {
		return 0, nil, err
	}
	b := new(batch)
	c := x.eng.iterate(latest, prefix, false)
	for c.seek(from); c.valid() && len(b.ops) < reclaimBatch; c.next() {
		b.delete(append(b.alloc(len(c.key())), c.key()...))
	}
	if n = len(b.ops); c.valid() {
		last = b.ops[n-1].key
	}
	c.close()
	if n == 0 {
		return 0, nil, nil
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	return n, last, x.commitNow(b)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
