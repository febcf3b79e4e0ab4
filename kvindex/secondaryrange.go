package kvindex

import (
	"bytes"
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// SecondaryRange walks the rows of a collection in the order of a secondary
// index, as of one state, until fn reports no more or fails. r is of entries:
// indexed fields in the key format, each with its mark, and then the primary
// key. entry, key and row are fn's until it returns; fn should not take its
// time. An index that cannot be read is a NotReadyError, one that is not there
// schema.ErrNotFound.
func (x *Index) SecondaryRange(ctx context.Context, inst schema.Instance, id schema.IndexID, r KeyRange,
	fn func(entry, key []byte, row Row) (more bool, err error)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	v, err := x.pinReadable(ctx, inst, id)
	if err != nil {
		return err
	}
	defer x.unpin(v)
	if r.To != nil && bytes.Compare(r.From, r.To) >= 0 {
		return nil
	}
	w := x.walkEntries(v, inst, id)
	defer w.close()
	var buf []byte
	n := 0
	return w.each(r, func(e found) (bool, error) {
		if n++; n%ctxEvery == 0 {
			if err := x.gate.alive(ctx); err != nil {
				return false, err
			}
		}
		row, val, err := w.row(e, buf[:0])
		if err != nil {
			return false, fmt.Errorf("range of instance %d by index %d: %w", inst, id, err)
		}
		buf = val
		return fn(e.entry, e.key, row)
	})
}

// pinReadable pins a view in which an index is whole: it is ready before the
// view is taken, and not being swept after.
func (x *Index) pinReadable(ctx context.Context, inst schema.Instance, id schema.IndexID) (*view, error) {
	if err := x.readable(ctx, inst, id); err != nil {
		return nil, err
	}
	v := x.pin()
	if err := x.readable(ctx, inst, id); err != nil {
		x.unpin(v)
		return nil, err
	}
	return v, nil
}

// readable demands that an index can be read. One that is not known may be in
// a chunk that is durable and not applied: that is waited for.
func (x *Index) readable(ctx context.Context, inst schema.Instance, id schema.IndexID) error {
	for waited := false; ; waited = true {
		set, err := x.stored(inst)
		if err != nil {
			return err
		}
		s := set.find(id)
		switch {
		case x.isDropped(inst), s == nil && waited:
			return fmt.Errorf("index %d of instance %d: %w", id, inst, schema.ErrNotFound)
		case s == nil:
			if err := x.Wait(ctx, x.view.Load().durable.pos); err != nil {
				return err
			}
			continue
		case s.state != SecondaryReady:
			t, _, err := x.tally(inst)
			if err != nil {
				return err
			}
			return &NotReadyError{s.status(t.rows)}
		}
		if err := x.unindexed.Load(); err != nil {
			return fmt.Errorf("entries of durable rows are not known: %w", *err)
		}
		return nil
	}
}

// found is an entry that a walk met.
type found struct {
	entry, key []byte
	version    *version // nil: the row is in the engine
}

// entryWalk walks an index's entries in a view. Its cursor serves many ranges.
type entryWalk struct {
	x      *Index
	view   *view
	inst   schema.Instance
	id     schema.IndexID
	prefix []byte
	up     cursor // through the engine; nil until it is needed
	down   cursor
	from   []byte
	rowKey []byte
}

func (x *Index) walkEntries(v *view, inst schema.Instance, id schema.IndexID) *entryWalk {
	return &entryWalk{x: x, view: v, inst: inst, id: id, prefix: secondaryKey(spaceEntry, inst, id)}
}

// row reads the row of an entry. It is in buf or its successor, which is
// returned for reuse.
func (w *entryWalk) row(e found, buf []byte) (Row, []byte, error) {
	if e.version != nil {
		return e.version.value(), buf, nil
	}
	w.rowKey = appendKey(w.rowKey[:0], spaceRow, w.inst, e.key)
	row, val, ok, err := w.x.rowAt(w.view.ts, buf, w.inst, w.rowKey)
	if err == nil && !ok {
		err = fmt.Errorf("entry %x has no row: %w", e.entry, schema.ErrCorrupt)
	}
	return row, val, err
}

func (w *entryWalk) close() {
	for _, c := range []cursor{w.up, w.down} {
		if c != nil {
			c.close()
		}
	}
}

// start puts the engine's cursor at the beginning of a range.
func (w *entryWalk) start(r KeyRange) cursor {
	if !r.Reverse {
		if w.up == nil {
			w.up = w.x.eng.iterate(w.view.ts, w.prefix, false)
		}
		w.from = append(append(w.from[:0], w.prefix...), r.From...)
		w.up.seek(w.from)
		return w.up
	}
	if w.down == nil {
		w.down = w.x.eng.iterate(w.view.ts, w.prefix, true)
	}
	if r.To == nil {
		w.down.seek(secondaryKey(spaceEntry, w.inst, w.id+1)) // no entry is empty
		return w.down
	}
	w.from = append(append(w.from[:0], w.prefix...), r.To...)
	if w.down.seek(w.from); w.down.valid() && bytes.Equal(w.down.key(), w.from) {
		w.down.next()
	}
	return w.down
}

// each calls fn for the entries of a range. Where the overlay has a row, the
// engine's entries of it do not count.
func (w *entryWalk) each(r KeyRange, fn func(found) (bool, error)) error {
	engine := w.start(r)
	var staged *entryCursor
	if w.view.entries.Len() > 0 {
		staged = newEntryCursor(w.view, w.inst, w.id, r)
	}
	inside := func(key []byte) bool {
		if r.Reverse {
			return bytes.Compare(key, r.From) >= 0
		}
		return r.To == nil || bytes.Compare(key, r.To) < 0
	}
	for {
		inStaged := staged != nil && staged.cur != nil && inside(staged.cur.key)
		inEngine := engine.valid() && inside(engine.key()[entryPrefixLen:])
		switch {
		case !inStaged && !inEngine:
			return nil
		case inStaged && (!inEngine || compareKeys(staged.cur.key, engine.key()[entryPrefixLen:], r.Reverse) <= 0):
			e := staged.cur
			staged.next()
			if more, err := fn(found{e.key, e.key[e.fields:], e.version}); err != nil || !more {
				return err
			}
		default:
			val, err := engine.value()
			if err != nil {
				return corrupt("read entry", err)
			}
			key := engine.key()[entryPrefixLen:]
			_, primary, _, err := splitEntry(key, val)
			if err != nil {
				return err
			}
			if _, newer := lookup(w.view.tree, w.inst, primary, w.view.durable); !newer {
				if more, err := fn(found{entry: key, key: primary}); err != nil || !more {
					return err
				}
			}
			engine.next()
		}
	}
}
