package kvindex

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// ForgetDropped forgets that collections were dropped of which nothing is left, and
// tells how many it forgot: those dropped before a commit time, in microseconds,
// whose keys are reclaimed, which are not marked for upkeep, and which held says no to.
// No change of them may be applied any more. It goes at the pace of a reclaim, and
// costs by how many are not forgotten yet. What an error leaves, the next call takes.
func (x *Index) ForgetDropped(ctx context.Context, before int64, held func(context.Context, schema.Instance) (bool, error)) (int, error) {
	if err := x.gate.enter(); err != nil {
		return 0, err
	}
	defer x.gate.leave()
	forgotten := 0
	for from := []byte{byte(spaceDropped)}; from != nil; {
		b := new(batch)
		next, err := x.gone(ctx, b, from, before, held)
		if err == nil && len(b.ops) > 0 {
			err = x.forget(ctx, b)
		}
		if err != nil {
			return forgotten, fmt.Errorf("forget dropped collections: %w", err)
		}
		forgotten += len(b.ops)
		from = next
	}
	return forgotten, nil
}

// gone fills b with the deletion of markers from a key on, and tells the key to go
// on with; nil: there are no more.
func (x *Index) gone(ctx context.Context, b *batch, from []byte, before int64, held func(context.Context, schema.Instance) (bool, error)) ([]byte, error) {
	c := x.eng.iterate(latest, []byte{byte(spaceDropped)}, false)
	defer c.close()
	looked := 0
	for c.seek(from); c.valid(); c.next() {
		if len(b.ops) == reclaimBatch {
			return append([]byte(nil), c.key()...), nil
		}
		if looked++; looked%ctxEvery == 0 {
			if err := x.gate.alive(ctx); err != nil {
				return nil, err
			}
		}
		inst := instanceOf(c.key())
		val, err := c.value()
		if err != nil {
			return nil, corrupt("read drop marker", err)
		}
		at, err := decodeDropped(inst, val)
		if err != nil {
			return nil, err
		}
		if at >= before || x.isDropped(inst) {
			continue
		}
		_, marked, err := x.eng.get(latest, nil, instanceKey(spaceUpkeep, inst))
		if err != nil {
			return nil, corrupt("read mark for upkeep", err)
		}
		if marked {
			continue
		}
		is, err := held(ctx, inst)
		if err != nil {
			return nil, err
		}
		if !is {
			b.delete(instanceKey(spaceDropped, inst))
		}
	}
	return nil, nil
}

// forget commits the deletion of markers, and keeps the pace.
func (x *Index) forget(ctx context.Context, b *batch) error {
	if err := x.checkSpace(reclaimPercent); err != nil {
		return err
	}
	x.writing.Lock()
	err := x.commitNow(b)
	x.writing.Unlock()
	if err != nil {
		return err
	}
	return sleep(ctx, time.Duration(len(b.ops))*time.Second/time.Duration(x.opts.ReclaimPerSecond))
}

// decodeDropped reads when a collection was dropped.
func decodeDropped(inst schema.Instance, val []byte) (timeMicros int64, err error) {
	timeMicros, n := binary.Varint(val)
	if n <= 0 || n != len(val) {
		return 0, fmt.Errorf("drop marker of instance %d, % x: %w", inst, val, schema.ErrCorrupt)
	}
	return timeMicros, nil
}
