package lakehouse

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// arranger brings rows into the order of a layout: by partition, then by its sort
// order. It holds them encoded, up to a bound; what is more begins a further run,
// so that a partition gets a data file of each run. One file is open at a time,
// however many partitions there are.
type arranger struct {
	w      *dataWriter
	layout *rowLayout
	limit  int64
	placed func(tag uint64) // told of each row as it is written, in order

	decoder *schema.RowDecoder
	rows    []arrangedRow
	arena   []byte // of each row its partition, its place in the order, and itself
	order   []uint32
	values  []schema.Value
}

// arrangedRow is a row that waits to be written.
type arrangedRow struct {
	row             Row // without its values
	tag             uint64
	at              uint64 // in the arena
	part, key, size uint32 // where its partition, its key and its bytes end, from at
}

// arrangedRowBytes is what a row takes beside what is in the arena.
const arrangedRowBytes = 256

// maxArrangedRow bounds a row's bytes, so that their ends fit.
const maxArrangedRow = 1 << 31

func newArranger(w *dataWriter, placed func(tag uint64)) *arranger {
	return &arranger{
		w: w, layout: w.layout, limit: w.lake.opts.ArrangeBytes, placed: placed,
		decoder: schema.NewRowDecoder(w.schema, w.schema),
	}
}

// add takes a row. The tag is the caller's name for it.
func (a *arranger) add(ctx context.Context, row Row, tag uint64) error {
	at := len(a.arena)
	a.arena = a.layout.appendPartition(a.arena, &row)
	part := len(a.arena) - at
	a.arena = a.layout.appendOrder(a.arena, &row)
	key := len(a.arena) - at
	a.arena = a.layout.schema.AppendRow(a.arena, row.Values)
	size := len(a.arena) - at
	if size > maxArrangedRow {
		return fmt.Errorf("row at seq %d takes %d bytes: %w", row.Seq, size, schema.ErrTooLarge)
	}
	row.Values = nil
	a.rows = append(a.rows, arrangedRow{row: row, tag: tag, at: uint64(at), part: uint32(part), key: uint32(key), size: uint32(size)})
	if int64(len(a.arena))+arrangedRowBytes*int64(len(a.rows)) < a.limit {
		return nil
	}
	return a.flush(ctx)
}

// flush writes what waits. Rows of one partition and place in the order keep the
// order in which they came.
func (a *arranger) flush(ctx context.Context) error {
	a.order = a.order[:0]
	for i := range a.rows {
		a.order = append(a.order, uint32(i))
	}
	slices.SortFunc(a.order, func(x, y uint32) int { // a stable sort takes several times as long
		if c := bytes.Compare(a.sortKey(x), a.sortKey(y)); c != 0 {
			return c
		}
		return cmp.Compare(x, y)
	})
	var last []byte
	for n, i := range a.order {
		r := &a.rows[i]
		whole := a.arena[r.at : r.at+uint64(r.size)]
		var err error
		if a.values, err = a.decoder.Decode(whole[r.key:], a.values); err != nil {
			return fmt.Errorf("read a row back: %w", err)
		}
		row := r.row
		row.Values = a.values
		if part := whole[:r.part]; n == 0 || !bytes.Equal(part, last) {
			if err := a.w.begin(a.layout.tuple(&row).clone()); err != nil {
				return err
			}
			last = part
		}
		if err := a.w.writeKeyed(ctx, row, whole[r.part:r.key]); err != nil {
			return err
		}
		a.placed(r.tag)
	}
	a.rows, a.arena = a.rows[:0], a.arena[:0]
	return a.w.close()
}

// sortKey is a waiting row's partition and its place in the order.
func (a *arranger) sortKey(i uint32) []byte {
	r := &a.rows[i]
	return a.arena[r.at : r.at+uint64(r.key)]
}
