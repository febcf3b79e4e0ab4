package kvindex

import (
	"context"
	"fmt"
	"iter"

	"github.com/trinedb/trine/schema"
)

// Locate finds where rows lie in the lake, and calls fn for each key in order.
// Locations are as of the flush recorded last, and may already be in part
// those of a flush being recorded: callers check the file against a snapshot.
func (x *Index) Locate(ctx context.Context, inst schema.Instance, keys [][]byte, fn func(i int, loc Location, ok bool)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	v := x.pin()
	defer x.unpin(v)
	dropped := x.isDropped(inst)
	var locKey, buf []byte
	for i, key := range keys {
		if i%ctxEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		locKey = appendKey(locKey[:0], spaceLocation, inst, key)
		val, ok, err := x.eng.get(v.ts, buf[:0], locKey)
		if err != nil {
			return corrupt(fmt.Sprintf("locate row of instance %d", inst), err)
		}
		buf = val
		var loc Location
		if ok = ok && !dropped; ok {
			if loc, err = decodeLocation(val); err != nil {
				return fmt.Errorf("locate row of instance %d: %w", inst, err)
			}
		}
		fn(i, loc, ok)
	}
	return nil
}

// RecordFlush records a commit to the lake, in several transactions when it is
// large; LakeSeq and Snapshot are in the last, so a flush that was cut short
// is found by them and recorded again from the start. Recording the same flush
// twice changes nothing, nor does one with a LakeSeq below the one recorded, unless it is Anew.
// It fails with ErrPrecondition while LakeSeq is above what is applied, and
// with ErrNotFound for a collection that was dropped.
func (x *Index) RecordFlush(ctx context.Context, inst schema.Instance, f Flush) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	if err := x.recordFlush(ctx, inst, f); err != nil {
		return fmt.Errorf("record flush of instance %d to seq %d: %w", inst, f.LakeSeq, err)
	}
	return nil
}

func (x *Index) recordFlush(ctx context.Context, inst schema.Instance, f Flush) error {
	if t, err := x.flushable(inst, f); err != nil || f.stale(t) {
		return err
	}
	w := &flushWriter{x: x, inst: inst, b: new(batch)}
	err := x.recordPlaces(ctx, f, w)
	if werr := w.end(ctx, err == nil); err == nil {
		err = werr
	}
	if err != nil {
		return err
	}
	for {
		border, err := x.border(ctx, inst, f)
		if err != nil {
			return err
		}
		if again, err := x.finishFlush(inst, f, w.b, border); err != nil || !again {
			return err
		}
	}
}

func (x *Index) recordPlaces(ctx context.Context, f Flush, w *flushWriter) error {
	if f.Anew {
		if err := x.forgetLocations(ctx, w); err != nil {
			return err
		}
	}
	for key := range keysOf(f.Clear) {
		w.b.delete(appendKey(w.b.alloc(prefixLen+len(key)), spaceLocation, w.inst, key))
		if err := w.next(ctx); err != nil {
			return err
		}
	}
	for key, loc := range locationsOf(f.Set) {
		k := appendKey(w.b.alloc(prefixLen+len(key)), spaceLocation, w.inst, key)
		w.b.put(k, appendLocation(w.b.alloc(locationMax), loc))
		if err := w.next(ctx); err != nil {
			return err
		}
	}
	if f.Err != nil {
		return f.Err()
	}
	return nil
}

// stale reports whether a later flush was recorded already.
func (f Flush) stale(t tally) bool { return f.LakeSeq < t.lakeSeq && !f.Anew }

// forgetLocations deletes all locations of a collection as they stand.
func (x *Index) forgetLocations(ctx context.Context, w *flushWriter) error {
	c := x.eng.iterate(latest, instanceKey(spaceLocation, w.inst), false)
	defer c.close()
	for c.seek(instanceKey(spaceLocation, w.inst)); c.valid(); c.next() {
		w.b.delete(append(w.b.alloc(len(c.key())), c.key()...))
		if err := w.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// finishFlush is the last transaction.
// It reports that a pointer was dropped since the border was found: then it did
// nothing.
func (x *Index) finishFlush(inst schema.Instance, f Flush, b *batch, at flushBorder) (again bool, err error) {
	x.writing.Lock()
	defer x.writing.Unlock()
	t, err := x.flushable(inst, f)
	if err != nil || f.stale(t) {
		return false, err
	}
	t.lakeSeq, t.lakeSnapshot = f.LakeSeq, f.Snapshot
	t.lakeBytes, t.tailSince = t.logBytes, 0
	if f.LakeSeq < t.nextSeq {
		g, before, ok, err := x.groupBelow(latest, inst, f.LakeSeq, t)
		if err != nil {
			return false, err
		}
		if ok && g.NextSeq() > f.LakeSeq {
			t.lakeBytes, t.tailSince = min(t.logBytes, before+bytesBelow(g, f.LakeSeq)), g.TimeMicros
		} else {
			next, before, err := x.firstGroup(latest, inst, f.LakeSeq, t)
			if err != nil {
				return false, err
			}
			if !at.known || at.next != next {
				return true, nil
			}
			t.lakeBytes, t.tailSince = before-at.bytes, at.since
		}
	}
	if t.dirty(x.opts.DirtyBytes) {
		b.put(instanceKey(spaceDirty, inst), nil)
	} else {
		b.delete(instanceKey(spaceDirty, inst))
	}
	x.tallies.forget(inst)
	b.put(instanceKey(spaceStats, inst), appendTally(nil, t))
	if f.Upkeep != nil {
		b.put(instanceKey(spaceUpkeep, inst), append(b.alloc(len(f.Upkeep)), f.Upkeep...))
	}
	return false, x.commitNow(b)
}

// flushable reads the stats of a collection that a flush can be recorded of.
func (x *Index) flushable(inst schema.Instance, f Flush) (tally, error) {
	t, known, err := x.tally(inst)
	if err != nil {
		return t, err
	}
	if !known {
		if gone, err := x.wasDropped(inst); err != nil || gone {
			return t, notFound(err)
		}
	}
	if f.LakeSeq > t.nextSeq {
		return t, fmt.Errorf("only seqs below %d are applied: %w", t.nextSeq, schema.ErrPrecondition)
	}
	return t, nil
}

func notFound(err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("the collection was dropped: %w", schema.ErrNotFound)
}

func keysOf(seq iter.Seq[[]byte]) iter.Seq[[]byte] {
	if seq == nil {
		return func(func([]byte) bool) {}
	}
	return seq
}

func locationsOf(seq iter.Seq2[[]byte, Location]) iter.Seq2[[]byte, Location] {
	if seq == nil {
		return func(func([]byte, Location) bool) {}
	}
	return seq
}
