package kvindex

import (
	"bytes"

	"github.com/trinedb/trine/schema"
)

// Collisions finds the records of a batch that break a unique index of their
// collection, each once, given all that was sequenced before and the batch as a
// whole: a value that one record gives up another may take. records have each
// key once. It is for the decisions of the log's writer. A unique index that may
// have been ready before the index was lost, and is not yet built anew, makes it
// fail with a NotReadyError.
func (x *Index) Collisions(inst schema.Instance, records []schema.Record) ([]schema.Collision, error) {
	if err := x.gate.enter(); err != nil {
		return nil, err
	}
	defer x.gate.leave()
	set, err := x.sequenced(inst)
	if err != nil || len(set.list) == 0 {
		return nil, err
	}
	enforced := false
	for i := range set.list {
		if err := x.guards(inst, &set.list[i]); err != nil {
			return nil, err
		}
		enforced = enforced || set.list[i].enforced()
	}
	if !enforced {
		return nil, nil
	}
	if err := x.unindexed.Load(); err != nil {
		return nil, *err
	}
	v := x.pinSequenced()
	defer x.unpin(v)
	u := &uniqueCheck{x: x, view: v, inst: inst, records: records, walks: make(map[schema.IndexID]*entryWalk),
		byKey: make(map[string]int, len(records)), taken: make(map[string]int, len(records)), reader: entryReader{catalog: x.opts.Catalog}}
	defer u.close()
	return u.run(set)
}

// guards refuses a batch for an index of which it is not known whether it was
// ready before a start.
func (x *Index) guards(inst schema.Instance, s *secondary) error {
	if !s.unique || s.state != SecondaryBuilding {
		return nil
	}
	x.mu.Lock()
	_, guarded := x.guarded[secondaryRef{inst, s.id}]
	x.mu.Unlock()
	if !guarded {
		return nil
	}
	t, _, err := x.tally(inst)
	if err != nil {
		return err
	}
	return &NotReadyError{s.status(t.rows)}
}

// pinSequenced pins a view of all that was staged.
func (x *Index) pinSequenced() *view {
	x.mu.Lock()
	defer x.mu.Unlock()
	v := *x.view.Load()
	v.tree, v.entries, v.durable = x.overlay.tree.IsoCopy(), x.overlay.entries.IsoCopy(), newest
	x.pinned[v.ts]++
	return &v
}

// uniqueCheck is one call of Collisions.
type uniqueCheck struct {
	x       *Index
	view    *view
	inst    schema.Instance
	records []schema.Record
	byKey   map[string]int // place of each key in the batch
	taken   map[string]int // place of the record that takes an index's fields
	walks   map[schema.IndexID]*entryWalk
	reader  entryReader
	buf     []byte
}

func (u *uniqueCheck) close() {
	for _, w := range u.walks {
		w.close()
	}
}

func (u *uniqueCheck) run(set *secondaries) ([]schema.Collision, error) {
	for i := range u.records {
		u.byKey[string(u.records[i].Key)] = i
	}
	var out []schema.Collision
	for i := range u.records {
		r := &u.records[i]
		if r.Op == schema.OpDelete {
			continue
		}
		entries, err := u.reader.read(set, r.Key, r.Row)
		if err != nil {
			return nil, err
		}
		c, collides, err := u.record(i, entries)
		if err != nil {
			return nil, err
		}
		if collides {
			out = append(out, c)
		}
	}
	return out, nil
}

// record looks for the first collision of one record.
func (u *uniqueCheck) record(i int, entries []entry) (schema.Collision, bool, error) {
	for j := range entries {
		e := &entries[j]
		if !e.index.enforced() || e.null || e.tooLong {
			continue
		}
		fields := e.key[:e.fields]
		u.buf = appendSecondaryKey(u.buf[:0], spaceEntry, u.inst, e.index.id)
		u.buf = append(u.buf, fields...)
		if other, ok := u.taken[string(u.buf)]; ok {
			return collision(i, e, u.records[other].Key, other), true, nil
		}
		holder, held, err := u.holder(e.index.id, fields)
		if err != nil {
			return schema.Collision{}, false, err
		}
		if held {
			return collision(i, e, holder, -1), true, nil
		}
		u.taken[string(u.buf)] = i
	}
	return schema.Collision{}, false, nil
}

func collision(record int, e *entry, key []byte, other int) schema.Collision {
	return schema.Collision{
		Record: record, Index: e.index.name, FieldIDs: e.index.fields, Fields: bytes.Clone(e.key[:e.fields]), Key: key, Other: other,
	}
}

// holder is the row outside the batch that has the fields.
func (u *uniqueCheck) holder(id schema.IndexID, fields []byte) (key []byte, ok bool, err error) {
	w := u.walks[id]
	if w == nil {
		w = u.x.walkEntries(u.view, u.inst, id)
		u.walks[id] = w
	}
	r := KeyRange{From: fields, To: schema.PrefixEnd(fields)}
	err = w.each(r, func(e found) (bool, error) {
		if _, inBatch := u.byKey[string(e.key)]; inBatch {
			return true, nil // it gives them up, or takes them by its own record
		}
		key, ok = bytes.Clone(e.key), true
		return false, nil
	})
	return key, ok, err
}
