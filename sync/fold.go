package sync

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// latest is what a stretch of log leaves of one key.
type latest struct {
	seq     schema.Seq
	micros  int64
	row     []byte
	deleted bool
}

// fold is a stretch of a keyed collection's log reduced to the last change of
// each key.
type fold struct {
	rows  map[string]*latest
	bytes int64
	next  schema.Seq // the seq after the last change folded
}

// foldChanges folds the changes with from ≤ seq < to. It stops early, after a
// whole change, once it holds limit bytes; next tells where.
func (e *Engine) foldChanges(ctx context.Context, inst schema.Instance, from, to schema.Seq, limit int64) (*fold, error) {
	f := &fold{rows: map[string]*latest{}}
	var err error
	f.next, err = e.changes(ctx, inst, from, to, func(c schema.Change) (bool, error) {
		f.add(c)
		return f.bytes < limit, nil
	})
	if err != nil {
		return nil, fmt.Errorf("fold changes of instance %d from seq %d: %w", inst, from, err)
	}
	return f, nil
}

// foldOverhead is about what a key takes in a fold beside its bytes and its
// row's: a place in the map, and later one among the sorted keys.
const foldOverhead = 160

// add takes a change. It copies the row, over the one before if there is one:
// a row that stayed where it is would keep all of its chunk's group in memory.
func (f *fold) add(c schema.Change) {
	l := f.rows[string(c.Key)]
	if l == nil {
		l = &latest{}
		f.rows[string(c.Key)] = l
		f.bytes += int64(len(c.Key)) + foldOverhead
	}
	f.bytes += int64(len(c.Row) - len(l.row))
	l.seq, l.micros, l.deleted = c.Seq, c.TimeMicros, c.Op == schema.OpDelete
	l.row = append(l.row[:0], c.Row...)
}

// sortedKeys are the folded keys in key order.
func (f *fold) sortedKeys() [][]byte {
	keys := make([][]byte, 0, len(f.rows))
	for k := range f.rows {
		keys = append(keys, []byte(k))
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys
}

// rowReader decodes rows of any schema of a collection's past into the shape
// of one. It is for one goroutine; a row's values are valid until the next.
type rowReader struct {
	catalog  Catalog
	to       *schema.Schema
	decoders map[schema.SchemaID]*schema.RowDecoder
	values   []schema.Value
}

func newRowReader(catalog Catalog, to *schema.Schema) *rowReader {
	return &rowReader{catalog: catalog, to: to, decoders: map[schema.SchemaID]*schema.RowDecoder{}}
}

func (r *rowReader) decode(ctx context.Context, row []byte) ([]schema.Value, error) {
	id, err := schema.RowSchemaID(row)
	if err != nil {
		return nil, err
	}
	d, ok := r.decoders[id]
	if !ok {
		from, err := r.catalog.Schema(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("schema %d of a row: %w", id, err)
		}
		d = schema.NewRowDecoder(from, r.to)
		r.decoders[id] = d
	}
	r.values, err = d.Decode(row, r.values[:0])
	return r.values, err
}
