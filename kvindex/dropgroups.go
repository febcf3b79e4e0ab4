package kvindex

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/trinedb/trine/schema"
)

// DropGroups forgets all pointers to chunks up to a position that is applied, oldest
// first in each collection, and tells how many had an entry of their own. Of says which
// collections may have come to have any since it was called last, in order; nil: all
// may. It costs a seek for each of them that has entries, whatever others there are. It
// goes at the pace of a reclaim. What an error leaves, the next call takes, which has
// the same collections.
func (x *Index) DropGroups(ctx context.Context, through schema.Position, of iter.Seq2[schema.Instance, error]) (int, error) {
	if err := x.gate.enter(); err != nil {
		return 0, err
	}
	defer x.gate.leave()
	if applied := x.Applied(); applied.Compare(through) < 0 {
		// Pointers that come later would stay.
		return 0, fmt.Errorf("drop pointers to chunks up to %v: applied is %v: %w", through, applied, schema.ErrUnavailable)
	}
	d := groupDropper{x: x, through: through, batch: new(batch)}
	defer d.release()
	// First those in stats: from then on none of them becomes an entry, behind our back.
	err := x.ungroup(through)
	if err == nil {
		err = d.run(ctx, of)
	}
	if err != nil {
		err = fmt.Errorf("drop pointers to chunks up to %v: %w", through, err)
	}
	return d.dropped, err
}

// groupDropper collects pointers and deletes them by the batch.
type groupDropper struct {
	x       *Index
	through schema.Position
	c       cursor // over all pointers; nil between batches
	sought  []byte // where c was put; it moved on since
	batch   *batch
	looked  int
	dropped int
}

func (d *groupDropper) run(ctx context.Context, of iter.Seq2[schema.Instance, error]) error {
	if of == nil {
		of = d.all
	}
	for inst, err := range of {
		if err == nil {
			err = d.collection(ctx, inst)
		}
		if err != nil {
			return err
		}
	}
	return d.commit(ctx)
}

// all yields the collections that have pointers, by a seek for each.
func (d *groupDropper) all(yield func(schema.Instance, error) bool) {
	for from := schema.Instance(0); ; from++ {
		if d.seek(instanceKey(spaceGroup, from)); !d.c.valid() {
			return
		}
		if from = instanceOf(d.c.key()); !yield(from, nil) {
			return
		}
	}
}

func (d *groupDropper) seek(key []byte) {
	if d.c == nil {
		d.c = d.x.eng.iterate(latest, []byte{byte(spaceGroup)}, false)
	}
	d.c.seek(key)
	d.sought = append(d.sought[:0], key...)
}

// seekOn is seek for a key that is not before those it passed. The cursor often stands
// right: most collections have no entry.
func (d *groupDropper) seekOn(key []byte) {
	if d.c != nil && bytes.Compare(d.sought, key) <= 0 && (!d.c.valid() || bytes.Compare(key, d.c.key()) <= 0) {
		return
	}
	d.seek(key)
}

// collection drops from the oldest pointer on, to the first that stays.
func (d *groupDropper) collection(ctx context.Context, inst schema.Instance) error {
	for d.seekOn(instanceKey(spaceGroup, inst)); d.c.valid() && instanceOf(d.c.key()) == inst; {
		if d.looked++; d.looked%ctxEvery == 0 {
			if err := d.x.gate.alive(ctx); err != nil {
				return err
			}
		}
		g, _, err := groupAtCursor(d.c)
		if err != nil {
			return fmt.Errorf("instance %d: %w", inst, err)
		}
		if g.Position.Compare(d.through) > 0 {
			return nil
		}
		key := append([]byte(nil), d.c.key()...)
		if d.batch.delete(key); len(d.batch.ops) < reclaimBatch {
			d.c.next()
			continue
		}
		if err := d.commit(ctx); err != nil {
			return err
		}
		d.seek(key) // not to the first, which would be a walk over all that is deleted
	}
	return nil
}

// commit deletes what was collected, and keeps the pace.
func (d *groupDropper) commit(ctx context.Context) error {
	n := len(d.batch.ops)
	if n == 0 {
		return nil
	}
	d.release()
	if err := d.x.checkSpace(reclaimPercent); err != nil {
		return err
	}
	if err := d.write(); err != nil {
		return err
	}
	d.dropped += n
	d.batch.reset()
	return sleep(ctx, time.Duration(n)*time.Second/time.Duration(d.x.opts.ReclaimPerSecond))
}

func (d *groupDropper) write() error {
	d.x.writing.Lock()
	defer d.x.writing.Unlock()
	return d.x.commitNow(d.batch)
}

func (d *groupDropper) release() {
	if d.c != nil {
		d.c.close()
		d.c = nil
	}
}
