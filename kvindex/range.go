package kvindex

import (
	"bytes"
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// ctxEvery is how many rows a walk gives between looks at its context.
const ctxEvery = 256

// Range walks the rows of r in key order as of one state, until fn reports no
// more or fails. Key and row are fn's until it returns. Old versions are kept
// on disk while it runs: fn should not take its time.
func (x *Index) Range(ctx context.Context, inst schema.Instance, r KeyRange, fn func(key, row []byte) (more bool, err error)) error {
	return x.RangeRows(ctx, inst, r, func(key []byte, row Row) (bool, error) { return fn(key, row.Bytes) })
}

// RangeRows is Range with the versions' seqs and commit times.
func (x *Index) RangeRows(ctx context.Context, inst schema.Instance, r KeyRange, fn func(key []byte, row Row) (more bool, err error)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	v := x.pin()
	defer x.unpin(v)
	return x.rangeView(ctx, v, inst, r, fn)
}

func (x *Index) rangeView(ctx context.Context, v *view, inst schema.Instance, r KeyRange, fn func(key []byte, row Row) (more bool, err error)) error {
	if x.isDropped(inst) || r.To != nil && bytes.Compare(r.From, r.To) >= 0 {
		return nil
	}
	m := x.merge(v, inst, r)
	defer m.engine.close()
	for n := 0; m.valid(); n++ {
		if n%ctxEvery == 0 {
			if err := x.gate.alive(ctx); err != nil {
				return err
			}
		}
		key, row, ok, err := m.take()
		if err != nil {
			return fmt.Errorf("range of instance %d: %w", inst, err)
		}
		if !ok {
			continue
		}
		if more, err := fn(key, row); err != nil || !more {
			return err
		}
		m.pass()
	}
	return nil
}

// merged walks engine and overlay at once. Where both have a key, the overlay
// is the newer.
type merged struct {
	x       *Index
	view    *view
	inst    schema.Instance
	r       KeyRange
	engine  cursor
	overlay *overlayCursor // nil: it has nothing
	passing bool           // the engine's current row was taken
}

func (x *Index) merge(v *view, inst schema.Instance, r KeyRange) *merged {
	m := &merged{x: x, view: v, inst: inst, r: r}
	m.engine = x.eng.iterate(v.ts, instanceKey(spaceRow, inst), r.Reverse)
	switch {
	case !r.Reverse:
		m.engine.seek(appendKey(nil, spaceRow, inst, r.From))
	case r.To == nil:
		m.engine.seek(instanceKey(spaceRow, inst+1)) // no row has an empty key
	default:
		to := appendKey(nil, spaceRow, inst, r.To)
		if m.engine.seek(to); m.engine.valid() && bytes.Equal(m.engine.key(), to) {
			m.engine.next()
		}
	}
	if v.tree.Len() > 0 {
		m.overlay = newOverlayCursor(v.tree, inst, v.durable.pos, r)
	}
	return m
}

// inside reports whether a key lies before the end of the walk.
func (m *merged) inside(key []byte) bool {
	if m.r.Reverse {
		return bytes.Compare(key, m.r.From) >= 0
	}
	return m.r.To == nil || bytes.Compare(key, m.r.To) < 0
}

func (m *merged) engineKey() ([]byte, bool) {
	if !m.engine.valid() {
		return nil, false
	}
	key := m.engine.key()[prefixLen:]
	return key, m.inside(key)
}

func (m *merged) overlayKey() ([]byte, bool) {
	if m.overlay == nil || m.overlay.cur == nil {
		return nil, false
	}
	key := m.overlay.cur.key
	return key, m.inside(key)
}

func (m *merged) valid() bool {
	if _, ok := m.overlayKey(); ok {
		return true
	}
	_, ok := m.engineKey()
	return ok
}

// take is the next row, or none where the overlay says that it is gone.
func (m *merged) take() (key []byte, row Row, ok bool, err error) {
	ekey, inEngine := m.engineKey()
	okey, inOverlay := m.overlayKey()
	if inOverlay {
		c := -1
		if inEngine {
			c = compareKeys(okey, ekey, m.r.Reverse)
		}
		if c <= 0 {
			v := m.overlay.cur
			m.overlay.next()
			if c == 0 {
				m.engine.next()
			}
			return v.key, v.value(), !v.gone, nil
		}
	}
	m.passing = true
	row, err = m.x.cursorRow(m.engine, m.view.ts, m.inst)
	return ekey, row, err == nil, err
}

// cursorRow reads the row that a cursor as of ts stands on. It is good until the
// cursor moves.
func (x *Index) cursorRow(c cursor, ts uint64, inst schema.Instance) (Row, error) {
	val, err := c.value()
	if err != nil {
		return Row{}, corrupt("read row", err)
	}
	r, err := decodeRow(val)
	if err == nil && r.num > 0 {
		r.Row, err = x.join(ts, inst, r)
	}
	return r.Row, err
}

// pass moves on from what take gave.
func (m *merged) pass() {
	if m.passing {
		m.passing = false
		m.engine.next()
	}
}
