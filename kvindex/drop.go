package kvindex

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tidwall/btree"

	"github.com/trinedb/trine/schema"
)

// dropped are the collections whose keys are not reclaimed yet. A set is not
// changed once readers have it: its copy is, which shares what stays.
type dropped = btree.Set[schema.Instance]

// dropBatch is how many collections are dropped in one transaction.
const dropBatch = maxBatchOps / 4

// Drop forgets collections: their stats at once, their keys in the background.
// The instances must not be used again. Changes of them in chunks that are applied
// later are ignored; those in chunks published later can be read until then.
// Dropping twice is harmless. The log said so at timeMicros, which DroppedAt tells.
func (x *Index) Drop(ctx context.Context, timeMicros int64, insts ...schema.Instance) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	x.writing.Lock()
	defer x.writing.Unlock()
	for some := range slices.Chunk(insts, dropBatch) {
		if err := x.drop(timeMicros, some); err != nil {
			return fmt.Errorf("drop instance %d and %d more: %w", some[0], len(some)-1, err)
		}
	}
	return nil
}

// drop drops collections in one transaction. x.writing is held.
func (x *Index) drop(timeMicros int64, insts []schema.Instance) error {
	b := new(batch)
	at := binary.AppendVarint(nil, timeMicros)
	var fresh []schema.Instance
	for _, inst := range insts {
		gone, err := x.wasDropped(inst)
		if err != nil {
			return err
		}
		if gone {
			continue
		}
		fresh = append(fresh, inst)
		x.tallies.forget(inst)
		b.put(instanceKey(spaceDropped, inst), at)
		b.put(instanceKey(spaceReclaim, inst), nil)
		b.delete(instanceKey(spaceStats, inst))
		b.delete(instanceKey(spaceDirty, inst))
		b.delete(instanceKey(spaceUse, inst))
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := x.commitNow(b); err != nil {
		return err
	}
	x.setDropped(fresh, true)
	x.reclaim.wakeUp()
	return nil
}

// DroppedAt tells whether a collection was dropped, and the commit time of the log's
// record that says so, in microseconds, until ForgetDropped.
func (x *Index) DroppedAt(_ context.Context, inst schema.Instance) (timeMicros int64, dropped bool, err error) {
	if err := x.gate.enter(); err != nil {
		return 0, false, err
	}
	defer x.gate.leave()
	val, dropped, err := x.eng.get(latest, nil, instanceKey(spaceDropped, inst))
	if err != nil {
		return 0, false, corrupt("read drop marker", err)
	}
	if !dropped {
		return 0, false, nil
	}
	timeMicros, err = decodeDropped(inst, val)
	return timeMicros, err == nil, err
}

// wasDropped reports whether a collection was dropped, until ForgetDropped.
func (x *Index) wasDropped(inst schema.Instance) (bool, error) {
	_, ok, err := x.eng.get(latest, nil, instanceKey(spaceDropped, inst))
	if err != nil {
		return false, corrupt("read drop marker", err)
	}
	return ok, nil
}

// isDropped reports whether a collection was dropped and may have keys left.
func (x *Index) isDropped(inst schema.Instance) bool {
	set := x.dropped.Load()
	return set.Len() > 0 && set.Contains(inst)
}

// Reclaiming is how many dropped collections may have keys left.
func (x *Index) Reclaiming() int { return x.dropped.Load().Len() }

// setDropped changes the set of collections whose keys are still there. x.writing is held.
func (x *Index) setDropped(insts []schema.Instance, gone bool) {
	set := x.dropped.Load().Copy()
	x.mu.Lock()
	for _, inst := range insts {
		if gone {
			set.Insert(inst)
		} else {
			set.Delete(inst)
		}
		x.sets.Remove(inst)
	}
	x.mu.Unlock()
	x.dropped.Store(set)
}
