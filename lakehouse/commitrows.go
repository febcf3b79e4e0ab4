package lakehouse

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/trinedb/trine/schema"
)

// writeRows writes the commit's rows to data files, and tells where they went.
func (t *commitTask) writeRows(ctx context.Context, rows iter.Seq2[Row, error]) ([]Written, error) {
	if rows == nil {
		return nil, nil
	}
	layout, err := t.layout.of(t.collection.Schema)
	if err != nil {
		return nil, err
	}
	w, err := newDataWriter(t.lake, t.path, layout, t.progress.nextFile, false)
	if err != nil {
		return nil, err
	}
	defer w.abort()
	w.wrote = t.wrote
	write := writeInOrder
	if layout.arranges() {
		write = writeArranged
	}
	if err := write(ctx, w, rows); err != nil {
		return nil, err
	}
	if w.next > rewriteOrdinals {
		return nil, fmt.Errorf("table has had %d data files: %w", w.next, schema.ErrTooLarge)
	}
	t.added, t.progress.nextFile = w.files, w.next
	return w.counts, nil
}

// writeInOrder writes rows as they come.
func writeInOrder(ctx context.Context, w *dataWriter, rows iter.Seq2[Row, error]) error {
	var key []byte
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		key = w.layout.appendOrder(key[:0], &row)
		if err := w.writeKeyed(ctx, row, key); err != nil {
			return err
		}
	}
	return w.close()
}

// writeArranged writes rows by partition and in the layout's order.
func writeArranged(ctx context.Context, w *dataWriter, rows iter.Seq2[Row, error]) error {
	var order []uint32
	a := newArranger(w, func(tag uint64) { order = append(order, uint32(tag)) })
	n := uint64(0)
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		if n == math.MaxUint32 {
			return fmt.Errorf("more than %d rows: %w", n, schema.ErrTooLarge)
		}
		if err := a.add(ctx, row, n); err != nil {
			return err
		}
		n++
	}
	if err := a.flush(ctx); err != nil {
		return err
	}
	for i := range w.counts {
		c := &w.counts[i]
		c.Order, order = order[:c.Rows:c.Rows], order[c.Rows:]
	}
	return nil
}
