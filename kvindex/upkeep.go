package kvindex

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// A collection is marked while its table may have work for upkeep, so that a start
// finds it without looking at others. The mark outlives the collection: it also
// says that the table of a dropped one may be left. It holds a note, by which its
// owner finds the table. RecordFlush sets it too.

// MarkUpkeep marks a collection, dropped or not.
func (x *Index) MarkUpkeep(_ context.Context, inst schema.Instance, note []byte) error {
	return x.writeUpkeep(inst, func(b *batch) (bool, error) {
		b.put(instanceKey(spaceUpkeep, inst), append(b.alloc(len(note)), note...))
		return true, nil
	})
}

// UpkeepDone takes the mark away, unless the collection's table has another
// snapshot than that by now.
func (x *Index) UpkeepDone(_ context.Context, inst schema.Instance, snapshot int64) error {
	return x.writeUpkeep(inst, func(b *batch) (bool, error) {
		t, _, err := x.tally(inst)
		if err != nil || t.lakeSnapshot != snapshot {
			return false, err
		}
		b.delete(instanceKey(spaceUpkeep, inst))
		return true, nil
	})
}

func (x *Index) writeUpkeep(inst schema.Instance, fill func(*batch) (bool, error)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	x.writing.Lock()
	defer x.writing.Unlock()
	b := new(batch)
	ok, err := fill(b)
	if err == nil && ok {
		err = x.commitNow(b)
	}
	if err != nil {
		return fmt.Errorf("mark instance %d for upkeep: %w", inst, err)
	}
	return nil
}

// Upkeep calls fn for every collection that is marked, by instance, until it
// reports no more or fails. The note is fn's until it returns. Its cost is by
// their number.
func (x *Index) Upkeep(ctx context.Context, fn func(inst schema.Instance, note []byte) (more bool, err error)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	c := x.eng.iterate(latest, []byte{byte(spaceUpkeep)}, false)
	defer c.close()
	for c.seek([]byte{byte(spaceUpkeep)}); c.valid(); c.next() {
		if err := x.gate.alive(ctx); err != nil {
			return err
		}
		note, err := c.value()
		if err != nil {
			return corrupt("read mark for upkeep", err)
		}
		if more, err := fn(instanceOf(c.key()), note); err != nil || !more {
			return err
		}
	}
	return nil
}
