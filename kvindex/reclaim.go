package kvindex

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/trinedb/trine/schema"
)

// reclaimBatch is how many keys go in one transaction: little enough that
// Apply, which waits for it, does not notice.
const reclaimBatch = 500

// reclaimRetry is the pause after a failure, as a full disk.
const reclaimRetry = 10 * time.Second

// reclaimTogether is how many collections have their keys deleted together: most
// have a few, and a transaction each would be all that is done.
const reclaimTogether = 512

// reclaimer deletes the keys of dropped collections at a bounded rate.
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
		for insts := r.some(); len(insts) > 0; insts = r.some() {
			err := r.collections(ctx, insts)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				if r.failed(ctx, err, "instance", insts[0], "collections", len(insts)) != nil {
					return
				}
				break
			}
		}
		for _, ref := range r.x.queuedWhole(spaceSweep) {
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

// some are the first collections in the queue, by instance.
func (r *reclaimer) some() (insts []schema.Instance) {
	r.x.dropped.Load().Scan(func(inst schema.Instance) bool {
		insts = append(insts, inst)
		return len(insts) < reclaimTogether
	})
	return insts
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
	prefix := secondaryKey(spaceEntry, ref.inst, ref.id)
	if err := r.all(ctx, prefix, [][]byte{prefix}); err != nil {
		return err
	}
	b := new(batch)
	b.delete(secondaryKey(spaceSweep, ref.inst, ref.id))
	r.x.writing.Lock()
	defer r.x.writing.Unlock()
	return r.x.commitNow(b)
}

// collections deletes all keys of some collections, and then their places in the
// queue.
func (r *reclaimer) collections(ctx context.Context, insts []schema.Instance) error {
	prefixes := make([][]byte, len(insts))
	for _, s := range reclaimed {
		for i, inst := range insts {
			prefixes[i] = instanceKey(s, inst)
		}
		if err := r.all(ctx, []byte{byte(s)}, prefixes); err != nil {
			return err
		}
	}
	x := r.x
	// Until then the overlay may hold rows of them, which the marker hides.
	if err := x.Wait(ctx, x.view.Load().durable.pos); err != nil {
		return err
	}
	b := new(batch)
	for _, inst := range insts {
		b.delete(instanceKey(spaceReclaim, inst))
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	if err := x.commitNow(b); err != nil {
		return err
	}
	x.setDropped(insts, false)
	return nil
}

// all deletes the keys with any of the prefixes, which are in order and begin with
// common, step by step.
func (r *reclaimer) all(ctx context.Context, common []byte, prefixes [][]byte) error {
	for from := prefixes[0]; len(prefixes) > 0; {
		n, rest, last, err := r.step(common, prefixes, from)
		if err != nil {
			return err
		}
		prefixes, from = rest, last
		pause := time.Duration(n) * time.Second / time.Duration(r.x.opts.ReclaimPerSecond)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// step deletes up to reclaimBatch keys from a key on, which is of the first prefix.
// It says how many, and which prefixes and key to go on with: starting over would
// walk over all that is deleted already.
func (r *reclaimer) step(common []byte, prefixes [][]byte, from []byte) (n int, rest [][]byte, next []byte, err error) {
	x := r.x
	if err := x.checkSpace(reclaimPercent); err != nil {
		return 0, nil, nil, err
	}
	b := new(batch)
	c := x.eng.iterate(latest, common, false)
	for c.seek(from); len(prefixes) > 0; {
		// Neighbours need no seek: the cursor stands where the one before ended.
		if c.valid() && bytes.Compare(c.key(), from) < 0 {
			c.seek(from)
		}
		for ; c.valid() && bytes.HasPrefix(c.key(), prefixes[0]) && len(b.ops) < reclaimBatch; c.next() {
			b.delete(append(b.alloc(len(c.key())), c.key()...))
		}
		if len(b.ops) == reclaimBatch {
			from = b.ops[reclaimBatch-1].key
			break
		}
		if prefixes = prefixes[1:]; len(prefixes) > 0 {
			from = prefixes[0]
		}
	}
	c.close()
	if len(b.ops) == 0 {
		return 0, prefixes, from, nil
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	return len(b.ops), prefixes, from, x.commitNow(b)
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
