package kvindex

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// Get finds the latest durable version of a row. The row is the caller's.
func (x *Index) Get(ctx context.Context, inst schema.Instance, key []byte) (row []byte, ok bool, err error) {
	r, ok, err := x.GetRow(ctx, inst, key)
	return r.Bytes, ok, err
}

// GetRow is Get with the version's seq and commit time.
func (x *Index) GetRow(ctx context.Context, inst schema.Instance, key []byte) (row Row, ok bool, err error) {
	if err := x.gate.enter(); err != nil {
		return Row{}, false, err
	}
	defer x.gate.leave()
	if x.isDropped(inst) {
		return Row{}, false, nil
	}
	v := x.view.Load()
	if o, found := lookup(v.tree, inst, key, v.durable); found {
		if o.gone {
			return Row{}, false, nil
		}
		row = o.value()
		row.Bytes = append(make([]byte, 0, len(row.Bytes)), row.Bytes...)
		return row, true, nil
	}
	// Not in the overlay then, so whatever the engine has now is durable and at
	// least as new.
	return x.engineRow(inst, key)
}

// GetSequenced finds the newest version of a row that was staged, durable or
// not, and its seq. It is for the decisions of the log's writer. The row is the
// caller's.
func (x *Index) GetSequenced(inst schema.Instance, key []byte) (row []byte, seq schema.Seq, ok bool, err error) {
	if err := x.gate.enter(); err != nil {
		return nil, 0, false, err
	}
	defer x.gate.leave()
	if x.isDropped(inst) {
		return nil, 0, false, nil
	}
	x.mu.Lock()
	o, found := lookup(x.overlay.tree, inst, key, newest)
	x.mu.Unlock()
	if found {
		if o.gone {
			return nil, 0, false, nil
		}
		return append(make([]byte, 0, len(o.row)), o.row...), o.seq, true, nil
	}
	r, ok, err := x.engineRow(inst, key)
	return r.Bytes, r.Seq, ok, err
}

// GetMany looks many keys up as of one state, and calls fn for each of them, in
// any order, with a nil row when there is none. The row is fn's until it returns.
// It stops when ctx ends.
func (x *Index) GetMany(ctx context.Context, inst schema.Instance, keys [][]byte, fn func(i int, row []byte)) error {
	return x.GetManyRows(ctx, inst, keys, func(i int, r Row, ok bool) {
		if ok && r.Bytes == nil {
			r.Bytes = []byte{}
		}
		fn(i, r.Bytes)
	})
}

// GetManyRows is GetMany with the versions' seqs and commit times.
func (x *Index) GetManyRows(ctx context.Context, inst schema.Instance, keys [][]byte, fn func(i int, row Row, ok bool)) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	v := x.pin()
	defer x.unpin(v)
	dropped := x.isDropped(inst)
	var rowKey, buf []byte
	for _, i := range inOrder(keys) {
		key := keys[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if dropped {
			fn(i, Row{}, false)
			continue
		}
		if o, found := lookup(v.tree, inst, key, v.durable); found {
			fn(i, o.value(), !o.gone)
			continue
		}
		rowKey = appendKey(rowKey[:0], spaceRow, inst, key)
		r, val, ok, err := x.rowAt(v.ts, buf[:0], inst, rowKey)
		if err != nil {
			return fmt.Errorf("get row of instance %d: %w", inst, err)
		}
		buf = val
		fn(i, r, ok)
	}
	return nil
}

// engineRow reads the newest committed version of a row, in memory of its own.
func (x *Index) engineRow(inst schema.Instance, key []byte) (Row, bool, error) {
	var stack [128]byte
	rowKey := appendKey(stack[:0], spaceRow, inst, key)
	val, ok, err := x.eng.get(latest, nil, rowKey)
	if err != nil {
		return Row{}, false, corrupt(fmt.Sprintf("get row of instance %d", inst), err)
	}
	if !ok {
		return Row{}, false, nil
	}
	r, err := decodeRow(val)
	if err != nil {
		return Row{}, false, fmt.Errorf("get row of instance %d: %w", inst, err)
	}
	if r.num == 0 {
		return r.Row, true, nil
	}
	// The newest row may come into sight before its parts do: a view has both.
	v := x.pin()
	defer x.unpin(v)
	if o, found := lookup(v.tree, inst, key, v.durable); found {
		return o.value(), !o.gone, nil
	}
	row, _, ok, err := x.rowAt(v.ts, nil, inst, rowKey)
	if err != nil {
		err = fmt.Errorf("get row of instance %d: %w", inst, err)
	}
	return row, ok, err
}

// rowAt reads a row as of a pinned timestamp. The row is in buf or in its
// successor, which is returned for reuse.
func (x *Index) rowAt(ts uint64, buf []byte, inst schema.Instance, rowKey []byte) (Row, []byte, bool, error) {
	val, ok, err := x.eng.get(ts, buf, rowKey)
	if err != nil {
		return Row{}, buf, false, corrupt("read row", err)
	}
	if !ok {
		return Row{}, val, false, nil
	}
	r, err := decodeRow(val)
	if err != nil || r.num == 0 {
		return r.Row, val, err == nil, err
	}
	row, err := x.join(ts, inst, r)
	return row, val, err == nil, err
}

// join reads the parts of a long row as of a pinned timestamp.
func (x *Index) join(ts uint64, inst schema.Instance, r storedRow) (Row, error) {
	row := r.Row
	row.Bytes = make([]byte, 0, r.length)
	key := make([]byte, 0, partKeyLen)
	for i := range r.num {
		val, ok, err := x.eng.get(ts, row.Bytes, appendPartKey(key, inst, r.Seq, i))
		if err != nil {
			return Row{}, corrupt("read part of a row", err)
		}
		if !ok {
			return Row{}, fmt.Errorf("part %d of %d of the row at seq %d is missing: %w", i, r.num, r.Seq, schema.ErrCorrupt)
		}
		row.Bytes = val
	}
	if len(row.Bytes) != r.length {
		return Row{}, fmt.Errorf("row at seq %d has %d bytes, want %d: %w", r.Seq, len(row.Bytes), r.length, schema.ErrCorrupt)
	}
	return row, nil
}

// inOrder are the places of keys by key: what lies together in a table is read
// together.
func inOrder(keys [][]byte) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(keys[a], keys[b]) })
	return order
}
