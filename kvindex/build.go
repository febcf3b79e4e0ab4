package kvindex

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/trinedb/trine/schema"
)

// secondaryRef names one secondary index.
type secondaryRef struct {
	inst schema.Instance
	id   schema.IndexID
}

// Rows of one transaction of a build: few enough that Apply, which waits for
// it, does not notice.
const buildBatch = 500

// buildRetry is the pause after a failure, as a full disk.
const buildRetry = 10 * time.Second

// builder makes secondary indexes of collections that have rows, one after the
// other, at a bounded rate.
type builder struct {
	x       *Index
	barrier func(context.Context) error
	batch   int // rows of a step
	wake    chan struct{}
	cancel  context.CancelFunc // nil before Build; under mu
	done    sync.WaitGroup
}

func newBuilder(x *Index) *builder {
	return &builder{x: x, batch: buildBatch, wake: make(chan struct{}, 1)}
}

// Build starts to build secondary indexes in the background, once the index is
// up to the log's end. barrier returns when each batch that was being decided
// when it was called has been published or refused. It is called once.
func (x *Index) Build(barrier func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	b := x.build
	x.mu.Lock()
	defer x.mu.Unlock()
	b.barrier, b.cancel = barrier, cancel
	b.done.Go(func() { b.run(ctx) })
	b.wakeUp()
}

func (b *builder) stop() {
	b.x.mu.Lock()
	defer b.x.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
}

func (b *builder) wait() { b.done.Wait() }

func (b *builder) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *builder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		for _, ref := range b.x.queuedWhole(spaceBuild) {
			err := b.secondary(ctx, ref)
			if ctx.Err() != nil || errors.Is(err, schema.ErrClosed) {
				return
			}
			if err != nil {
				b.x.opts.Logger.Error("index: build a secondary index", "instance", ref.inst, "index", ref.id, "error", err)
				if sleep(ctx, buildRetry) != nil {
					return
				}
				b.wakeUp()
			}
		}
	}
}

// queuedWhole is queued between commits. In the middle of one a key may be there
// and what was committed with it not yet: a sweep would pass over entries.
func (x *Index) queuedWhole(s space) []secondaryRef {
	x.writing.Lock()
	defer x.writing.Unlock()
	return x.queued(s)
}

// queued are the indexes with a key in spaceBuild or spaceSweep.
func (x *Index) queued(s space) (refs []secondaryRef) {
	c := x.eng.iterate(latest, []byte{byte(s)}, false)
	defer c.close()
	for c.seek([]byte{byte(s)}); c.valid(); c.next() {
		if key := c.key(); len(key) == entryPrefixLen {
			refs = append(refs, secondaryRef{instanceOf(key), secondaryOf(key)})
		}
	}
	return refs
}

// secondary builds one index until it is ready, failed, or gone.
func (b *builder) secondary(ctx context.Context, ref secondaryRef) error {
	for {
		state, rows, err := b.step(ref)
		if err != nil {
			return err
		}
		switch state {
		case SecondaryBuilding:
		case SecondaryBuilt:
			return b.prove(ctx, ref)
		default:
			return nil
		}
		if err := sleep(ctx, time.Duration(rows)*time.Second/time.Duration(b.x.opts.BuildPerSecond)); err != nil {
			return err
		}
	}
}

// current is an index as committed, or nil once it is gone. x.writing is held.
func (x *Index) current(ref secondaryRef) (*secondaries, *secondary, error) {
	if gone, err := x.wasDropped(ref.inst); err != nil || gone {
		return nil, nil, err
	}
	set, err := x.stored(ref.inst)
	if err != nil {
		return nil, nil, err
	}
	return set, set.find(ref.id), nil
}

// step reads some rows and writes their entries. While it holds x.writing
// nothing comes between the two.
func (b *builder) step(ref secondaryRef) (state SecondaryState, rows int, err error) {
	x := b.x
	if err := x.gate.enter(); err != nil {
		return 0, 0, err
	}
	defer x.gate.leave()
	if err := x.checkSpace(applyPercent); err != nil {
		return 0, 0, err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	set, s, err := x.current(ref)
	if err != nil || s == nil {
		return 0, 0, err
	}
	if s.state != SecondaryBuilding {
		return s.state, 0, nil
	}
	out := new(batch)
	next, rows, err := b.rows(ref.inst, set, s, out)
	if err != nil {
		return 0, 0, err
	}
	if now := next.find(ref.id); now.state == SecondaryReady {
		out.delete(secondaryKey(spaceBuild, ref.inst, ref.id))
	}
	out.putSecondaries(ref.inst, next)
	return next.find(ref.id).state, rows, x.commitNow(out)
}

// rows adds the entries of the next rows to a batch, and gives the indexes as
// they are after it.
func (b *builder) rows(inst schema.Instance, set *secondaries, s *secondary, out *batch) (*secondaries, int, error) {
	x := b.x
	only := newSecondaries([]secondary{*s}) // a layout of its fields alone
	r := entryReader{catalog: x.opts.Catalog}
	c := x.eng.iterate(latest, instanceKey(spaceRow, inst), false)
	defer c.close()
	from := appendKey(nil, spaceRow, inst, s.note)
	if len(s.note) > 0 {
		from = append(from, 0) // the next key there can be
	}
	n, last := 0, s.note
	for c.seek(from); c.valid() && n < b.batch && out.bytes < x.opts.batchBytes()/2; c.next() {
		key := c.key()[prefixLen:]
		row, err := x.cursorRow(c, latest, inst)
		if err != nil {
			return nil, 0, err
		}
		entries, err := r.read(only, key, row.Bytes)
		if err != nil {
			return nil, 0, err
		}
		if e := entries[0]; e.tooLong {
			return out.failSecondary(inst, set, s.id, tooLongReason(x.keyText(inst, key), e.fields)), n, nil
		}
		out.putEntry(inst, &entries[0])
		n, last = n+1, append([]byte(nil), key...)
	}
	// Who sees that the index is whole may still read as of the transaction
	// before: the entries are in by then.
	ended := n == 0 && !c.valid()
	return set.with(s.id, func(s *secondary) {
		s.rows, s.note = s.rows+int64(n), last
		switch {
		case !ended:
		case s.unique:
			s.state, s.note = SecondaryBuilt, nil
		default:
			s.state, s.note = SecondaryReady, nil
		}
	}), n, nil
}

// guardBuilds is called at Open: a unique index that is being built may have
// been ready before the index went back.
func (x *Index) guardBuilds() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, ref := range x.queued(spaceBuild) {
		set, err := x.storedLocked(ref.inst)
		if err != nil {
			return err
		}
		x.guardLocked(ref.inst, set)
	}
	return nil
}

// guardLocked keeps writes from collections whose unique indexes were made
// before the index had caught up with the log, until those are built.
func (x *Index) guardLocked(inst schema.Instance, set *secondaries) {
	maps.DeleteFunc(x.guarded, func(ref secondaryRef, _ struct{}) bool { return ref.inst == inst && set.find(ref.id) == nil })
	for i := range set.list {
		s, ref := &set.list[i], secondaryRef{inst, set.list[i].id}
		if s.unique && s.state == SecondaryBuilding && x.build.cancel == nil {
			x.guarded[ref] = struct{}{}
		} else if s.state != SecondaryBuilding {
			delete(x.guarded, ref)
		}
	}
}
