package kvindex

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// SecondaryLookup finds the first row of each of many values of a secondary
// index, as of one state, and calls fn for those that there are, in any order.
// Each of fields is all of the index's fields in the key format. The row is fn's
// until it returns; its error ends the lookup. Otherwise it is as
// SecondaryRange.
func (x *Index) SecondaryLookup(ctx context.Context, inst schema.Instance, id schema.IndexID, fields [][]byte, fn func(i int, row Row) error) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	v, err := x.pinReadable(ctx, inst, id)
	if err != nil {
		return err
	}
	defer x.unpin(v)
	w := x.walkEntries(v, inst, id)
	defer w.close()
	var buf []byte
	for _, i := range inOrder(fields) {
		if err := x.gate.alive(ctx); err != nil {
			return err
		}
		r := KeyRange{From: fields[i], To: schema.PrefixEnd(fields[i])}
		err := w.each(r, func(e found) (more bool, err error) {
			row, val, err := w.row(e, buf[:0])
			if err != nil {
				return false, fmt.Errorf("lookup of instance %d by index %d: %w", inst, id, err)
			}
			buf = val
			return false, fn(i, row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
