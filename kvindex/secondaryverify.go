package kvindex

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// EntryDifference is an entry of a secondary index that is not what the rows say.
type EntryDifference struct {
	Index string // its name
	Key   []byte // of the row
	Entry []byte
	Lacks bool // the index lacks the entry; else no row has it
	id    schema.IndexID
}

// VerifySecondaries compares the entries of the collection's indexes that are
// ready with its rows, both as of one Applied, and calls fn for each that
// differs. It gives the number of entries.
func (x *Index) VerifySecondaries(ctx context.Context, inst schema.Instance, fn func(EntryDifference) error) (entries int64, err error) {
	if err := x.gate.enter(); err != nil {
		return 0, err
	}
	defer x.gate.leave()
	set, err := x.stored(inst)
	if err != nil || len(set.list) == 0 || x.isDropped(inst) {
		return 0, err
	}
	v := x.pin()
	defer x.unpin(v)
	check := &entryCheck{x: x, v: v, inst: inst, set: set, reader: entryReader{catalog: x.opts.Catalog}}
	check.fn = func(d EntryDifference) error {
		// What is dropped is swept, perhaps before the view was taken.
		now, err := x.stored(inst)
		if s := now.find(d.id); err != nil || s == nil || s.state != SecondaryReady {
			return err
		}
		return fn(d)
	}
	if err := check.rows(ctx); err != nil {
		return 0, fmt.Errorf("verify indexes of instance %d: %w", inst, err)
	}
	for i := range set.list {
		if s := &set.list[i]; s.state == SecondaryReady {
			n, err := check.entries(ctx, s)
			if err != nil {
				return 0, fmt.Errorf("verify index %s of instance %d: %w", s.name, inst, err)
			}
			entries += n
		}
	}
	return entries, nil
}

type entryCheck struct {
	x      *Index
	v      *view
	inst   schema.Instance
	set    *secondaries
	reader entryReader
	fn     func(EntryDifference) error
	buf    []byte
}

// rows looks for the entries of each row.
func (e *entryCheck) rows(ctx context.Context) error {
	prefix := instanceKey(spaceRow, e.inst)
	c := e.x.eng.iterate(e.v.ts, prefix, false)
	defer c.close()
	n := 0
	for c.seek(prefix); c.valid(); c.next() {
		if n++; n%ctxEvery == 0 {
			if err := e.x.gate.alive(ctx); err != nil {
				return err
			}
		}
		key := c.key()[prefixLen:]
		row, err := e.x.cursorRow(c, e.v.ts, e.inst)
		if err != nil {
			return err
		}
		list, err := e.reader.read(e.set, key, row.Bytes)
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].index.state != SecondaryReady {
				continue
			}
			ok, err := e.has(&list[i])
			if err == nil && !ok {
				err = e.fn(EntryDifference{Index: list[i].index.name, Key: key, Entry: list[i].key, Lacks: true, id: list[i].index.id})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// has reports whether an entry is there, value and all.
func (e *entryCheck) has(want *entry) (bool, error) {
	val, ok, err := e.x.eng.get(e.v.ts, e.buf[:0], appendEntryKey(nil, e.inst, want.index.id, want.key))
	if err != nil {
		return false, corrupt("read entry", err)
	}
	e.buf = val
	return ok && string(val) == string(want.value(nil)), nil
}

// entries looks for the row of each entry.
func (e *entryCheck) entries(ctx context.Context, s *secondary) (n int64, err error) {
	prefix := secondaryKey(spaceEntry, e.inst, s.id)
	c := e.x.eng.iterate(e.v.ts, prefix, false)
	defer c.close()
	for c.seek(prefix); c.valid(); c.next() {
		if n++; n%ctxEvery == 0 {
			if err := e.x.gate.alive(ctx); err != nil {
				return n, err
			}
		}
		val, err := c.value()
		if err != nil {
			return n, corrupt("read entry", err)
		}
		key := c.key()[entryPrefixLen:]
		_, primary, _, err := splitEntry(key, val)
		if err != nil {
			return n, err
		}
		same, err := e.belongs(s, primary, key)
		if err == nil && !same {
			err = e.fn(EntryDifference{Index: s.name, Key: primary, Entry: key, id: s.id})
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// belongs reports whether a row has an entry.
func (e *entryCheck) belongs(s *secondary, key, want []byte) (bool, error) {
	row, _, ok, err := e.x.rowAt(e.v.ts, nil, e.inst, appendKey(nil, spaceRow, e.inst, key))
	if err != nil || !ok {
		return false, err
	}
	list, err := e.reader.read(e.set, key, row.Bytes)
	if err != nil {
		return false, err
	}
	got := at(list, s.id)
	return got != nil && string(got.key) == string(want), nil
}
