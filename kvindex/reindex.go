package kvindex

import (
	"bytes"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// secondaries are a collection's indexes after what was applied of the chunk.
func (a *applier) secondaries(inst schema.Instance) (*secondaries, error) {
	if set, ok := a.sets[inst]; ok {
		return set, nil
	}
	return a.x.stored(inst)
}

// change notes that a collection's indexes are others from here on.
func (a *applier) change(inst schema.Instance, set *secondaries) {
	if a.sets == nil {
		a.sets = make(map[schema.Instance]*secondaries)
	}
	a.sets[inst] = set
	a.batch.putSecondaries(inst, set)
}

// putSecondaries writes a collection's indexes.
func (b *batch) putSecondaries(inst schema.Instance, set *secondaries) {
	if len(set.list) == 0 {
		b.delete(instanceKey(spaceSecondaries, inst))
	} else {
		b.put(instanceKey(spaceSecondaries, inst), appendSecondaries(nil, set))
	}
	b.defines = append(b.defines, inst)
}

// define takes a record of schema.InstanceCollections, which may add and drop
// indexes of the collection that it defines.
func (a *applier) define(r *schema.Record) error {
	if a.x.opts.Catalog == nil {
		return nil
	}
	inst, list, ok, err := a.x.opts.Catalog.Indexes(*r)
	if err != nil || !ok {
		return err
	}
	if gone, err := a.x.wasDropped(inst); err != nil || gone {
		return err
	}
	old, err := a.secondaries(inst)
	if err != nil {
		return err
	}
	next := old.evolve(list, a.x.beginning(inst, a.c.Position))
	if next == old {
		return nil
	}
	for i := range next.list {
		if s := &next.list[i]; old.find(s.id) == nil && s.state == SecondaryBuilding {
			a.batch.put(secondaryKey(spaceBuild, inst, s.id), nil)
		}
	}
	for i := range old.list {
		if id := old.list[i].id; next.find(id) == nil {
			a.batch.delete(secondaryKey(spaceBuild, inst, id))
			a.batch.put(secondaryKey(spaceSweep, inst, id), nil)
		}
	}
	a.change(inst, next)
	return nil
}

// beginning tells in which state an index begins that the chunk at pos defines:
// as when the definition was staged.
func (x *Index) beginning(inst schema.Instance, pos schema.Position) func(schema.IndexID) SecondaryState {
	x.mu.Lock()
	defer x.mu.Unlock()
	staged := noSecondaries
	for _, d := range x.overlay.defined[inst] {
		if d.chunk.pos == pos {
			staged = d.set
		}
	}
	return func(id schema.IndexID) SecondaryState {
		if s := staged.find(id); s != nil {
			return s.state
		}
		return SecondaryBuilding
	}
}

// reindex changes the entries of a row from what they were before a change to
// what they are after it.
func (a *applier) reindex(inst schema.Instance, set *secondaries, r *schema.Record, old rowState) (*secondaries, error) {
	if len(set.list) == 0 {
		return set, nil
	}
	var was, now []entry
	var err error
	if old.exists {
		row := old.row
		if row == nil {
			if row, err = a.longRow(inst, r.Key); err != nil {
				return nil, err
			}
		}
		if was, err = a.was.read(set, r.Key, row); err != nil {
			return nil, err
		}
	}
	if r.Op != schema.OpDelete {
		if now, err = a.now.read(set, r.Key, r.Row); err != nil {
			return nil, err
		}
	}
	for i := range set.list {
		set, err = a.move(inst, set, at(was, set.list[i].id), at(now, set.list[i].id), r.Key)
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}

// at is the entry in an index, or nil.
func at(list []entry, id schema.IndexID) *entry {
	for i := range list {
		if list[i].index.id == id {
			return &list[i]
		}
	}
	return nil
}

// move replaces one entry by another; either may be nil.
func (a *applier) move(inst schema.Instance, set *secondaries, was, now *entry, key []byte) (*secondaries, error) {
	if was != nil && now != nil && bytes.Equal(was.key, now.key) {
		return set, nil
	}
	if was != nil && !was.tooLong {
		a.batch.delete(appendEntryKey(a.batch.alloc(entryPrefixLen+len(was.key)), inst, was.index.id, was.key))
	}
	switch {
	case now == nil:
	case now.tooLong && a.loads && now.index.state == SecondaryBuilding:
		// The index may be younger than the row: the build meets what is left of it.
		set = a.restart(inst, set, now.index.id)
	case now.tooLong:
		text := a.x.keyText(inst, key)
		set = a.batch.failSecondary(inst, set, now.index.id, tooLongReason(text, now.fields))
		a.change(inst, set)
	default:
		a.batch.putEntry(inst, now)
	}
	return set, nil
}

// restart has an index built from the first row on.
func (a *applier) restart(inst schema.Instance, set *secondaries, id schema.IndexID) *secondaries {
	if s := set.find(id); s.rows == 0 && len(s.note) == 0 {
		return set
	}
	set = set.with(id, func(s *secondary) { s.rows, s.note = 0, nil })
	a.change(inst, set)
	return set
}

func (b *batch) putEntry(inst schema.Instance, e *entry) {
	key := appendEntryKey(b.alloc(entryPrefixLen+len(e.key)), inst, e.index.id, e.key)
	b.put(key, e.value(b.alloc(entryMax)))
}

func tooLongReason(key string, fields int) string {
	return fmt.Sprintf("the indexed fields of the record with key %s have %d bytes, at most %d are indexed", key, fields, schema.MaxIndexedBytes)
}

// failSecondary ends an index; its entries go in the background.
func (b *batch) failSecondary(inst schema.Instance, set *secondaries, id schema.IndexID, reason string) *secondaries {
	b.delete(secondaryKey(spaceBuild, inst, id))
	b.put(secondaryKey(spaceSweep, inst, id), nil)
	return set.with(id, func(s *secondary) {
		s.state, s.note = SecondaryFailed, []byte(reason[:min(len(reason), maxReasonBytes)])
	})
}

// longRow reads a row that is stored in parts, as committed.
func (a *applier) longRow(inst schema.Instance, key []byte) ([]byte, error) {
	row, _, ok, err := a.x.rowAt(latest, nil, inst, appendKey(nil, spaceRow, inst, key))
	if err == nil && !ok {
		err = fmt.Errorf("row is gone: %w", schema.ErrCorrupt)
	}
	return row.Bytes, err
}
