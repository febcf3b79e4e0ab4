package kvindex

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/trinedb/trine/schema"
)

// A table that was made because an engine asked for it is known by a record of when
// that was last: so those that nobody asks for any more are found without looking at
// others. What the record says is about right: its owner rewrites it now and then.

var errUse = errors.New("a time of use is one varint")

// SetUsed records when a collection's table was asked for, in microseconds.
func (x *Index) SetUsed(_ context.Context, inst schema.Instance, at time.Time) error {
	return x.writeUpkeep(inst, func(b *batch) (bool, error) {
		if gone, err := x.wasDropped(inst); err != nil || gone {
			return false, err
		}
		b.put(instanceKey(spaceUse, inst), binary.AppendVarint(b.alloc(binary.MaxVarintLen64), at.UnixMicro()))
		return true, nil
	})
}

// ForgetUsed takes the record away.
func (x *Index) ForgetUsed(_ context.Context, inst schema.Instance) error {
	return x.writeUpkeep(inst, func(b *batch) (bool, error) {
		b.delete(instanceKey(spaceUse, inst))
		return true, nil
	})
}

// Used is what is recorded; ok is false if nothing is.
func (x *Index) Used(_ context.Context, inst schema.Instance) (at time.Time, ok bool, err error) {
	if err := x.gate.enter(); err != nil {
		return at, false, err
	}
	defer x.gate.leave()
	val, ok, err := x.eng.get(latest, nil, instanceKey(spaceUse, inst))
	if err != nil {
		return at, false, corrupt("read when a table was used", err)
	}
	if !ok {
		return at, false, nil
	}
	at, err = decodeUse(val)
	return at, err == nil, err
}

// EachUsed calls fn for every record, by instance, until it reports no more or fails.
// Its cost is by their number.
func (x *Index) EachUsed(ctx context.Context, fn func(inst schema.Instance, at time.Time) (more bool, err error)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	c := x.eng.iterate(latest, []byte{byte(spaceUse)}, false)
	defer c.close()
	for c.seek([]byte{byte(spaceUse)}); c.valid(); c.next() {
		if err := x.gate.alive(ctx); err != nil {
			return err
		}
		val, err := c.value()
		if err != nil {
			return corrupt("read when a table was used", err)
		}
		at, err := decodeUse(val)
		if err != nil {
			return err
		}
		if more, err := fn(instanceOf(c.key()), at); err != nil || !more {
			return err
		}
	}
	return nil
}

func decodeUse(val []byte) (time.Time, error) {
	micros, n := binary.Varint(val)
	if n <= 0 || n != len(val) {
		return time.Time{}, corrupt("read when a table was used", errUse)
	}
	return time.UnixMicro(micros), nil
}
