package arrowhttp

import (
	"context"
	"slices"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

// rowReader reads encoded rows, whichever schema they were written with, as
// rows of a collection's current one. It is for one goroutine.
type rowReader struct {
	decoders *rowDecoders
	schema   *schema.Schema
	last     *schema.RowDecoder
	lastID   schema.SchemaID
	met      map[schema.SchemaID]*schema.RowDecoder // before the last, if there were others
	row      []schema.Value
	before   []schema.Value // the row before a change
}

func newRowReader(decoders *rowDecoders, current *schema.Schema) *rowReader {
	return &rowReader{decoders: decoders, schema: current}
}

// decode reads a row; it is valid until the next, and while encoded is.
func (d *rowReader) decode(ctx context.Context, encoded []byte) (_ []schema.Value, err error) {
	d.row, err = d.append(ctx, d.row[:0], encoded)
	return d.row, err
}

// change reads the row of a change, of a delete its key, and the row before it,
// which is nil if there is none. They are valid as decode's is.
func (d *rowReader) change(ctx context.Context, ch *schema.Change) (row, before []schema.Value, err error) {
	if len(ch.Before) > 0 {
		if d.before, err = d.append(ctx, d.before[:0], ch.Before); err != nil {
			return nil, nil, err
		}
		before = d.before
	}
	if ch.Op == schema.OpDelete {
		row, err = d.key(ch.Key)
	} else {
		row, err = d.decode(ctx, ch.Row)
	}
	return row, before, err
}

func (d *rowReader) append(ctx context.Context, dst []schema.Value, encoded []byte) ([]schema.Value, error) {
	id, err := schema.RowSchemaID(encoded)
	if err != nil {
		return nil, err
	}
	if d.last == nil || id != d.lastID {
		if err := d.turn(ctx, id); err != nil {
			return nil, err
		}
	}
	return d.last.Decode(encoded, dst)
}

// turn makes the decoder of rows of a schema the last one used.
func (d *rowReader) turn(ctx context.Context, id schema.SchemaID) (err error) {
	next := d.met[id]
	if next == nil {
		if next, err = d.decoders.get(ctx, id, d.schema); err != nil {
			return err
		}
	}
	if d.last != nil {
		if d.met == nil {
			d.met = make(map[schema.SchemaID]*schema.RowDecoder)
		}
		d.met[d.lastID] = d.last
	}
	d.last, d.lastID = next, id
	return nil
}

// knows reports whether rows like this one were met before, or are of the
// current schema, or whether it is none.
func (d *rowReader) knows(encoded []byte) bool {
	id, err := schema.RowSchemaID(encoded)
	return err != nil || id == d.schema.ID || d.met[id] != nil || d.last != nil && id == d.lastID
}

// key reads an encoded key as a row in which all but the key is null.
func (d *rowReader) key(encoded []byte) ([]schema.Value, error) {
	parts, err := d.schema.DecodeKey(encoded, nil)
	if err != nil {
		return nil, err
	}
	d.row = d.row[:0]
	for range d.schema.Fields {
		d.row = append(d.row, schema.Null)
	}
	for i, field := range d.schema.Key {
		d.row[field] = parts[i]
	}
	return d.row, nil
}

// rowWriter writes rows of a schema as JSON objects of some of its columns.
type rowWriter struct {
	shape *schema.Schema // of what is written
	cols  []int          // of the row that is given; nil: all
	row   []schema.Value
}

// newRowWriter projects s to the named columns, in that order; nil means all.
// _seq and _time are columns that appendRow knows.
func newRowWriter(s *schema.Schema, columns []string) (*rowWriter, error) {
	if columns == nil {
		return &rowWriter{shape: s}, nil
	}
	all := *s
	all.Fields = append(slices.Clip(s.Fields), schema.Field{Name: schema.SeqColumn, Type: schema.Type{Kind: schema.KindLong}},
		schema.Field{Name: schema.TimeColumn, Type: schema.Type{Kind: schema.KindTimestamptz}})
	cols := make([]int, len(columns))
	for i, name := range columns {
		if cols[i] = all.Index(name); cols[i] < 0 {
			return nil, invalid("parameter columns: %q is not a field; the fields are %s", name, fieldNames(s))
		}
	}
	return projectRows(&all, cols), nil
}

func projectRows(s *schema.Schema, cols []int) *rowWriter {
	shape := &schema.Schema{ID: s.ID}
	for _, i := range cols {
		shape.Fields = append(shape.Fields, s.Fields[i])
	}
	return &rowWriter{shape: shape, cols: cols, row: make([]schema.Value, len(cols))}
}

func (w *rowWriter) append(dst []byte, row []schema.Value) []byte {
	if w.cols == nil {
		return rowjson.AppendRow(dst, w.shape, row)
	}
	for i, col := range w.cols {
		w.row[i] = row[col]
	}
	return rowjson.AppendRow(dst, w.shape, w.row)
}

// appendRow is append of a row with the columns that are not its own.
func (w *rowWriter) appendRow(dst []byte, row []schema.Value, of Row) []byte {
	if w.cols != nil {
		row = append(slices.Clip(row), schema.Int(int64(of.Seq)), schema.Int(of.TimeMicros))
	}
	return w.append(dst, row)
}

// fieldNames lists a schema's fields for a message, cut where it gets long.
func fieldNames(s *schema.Schema) string {
	const most = 40
	var b []byte
	for i, f := range s.Fields {
		if i == most {
			return string(b) + ", …"
		}
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, f.Name...)
	}
	return string(b)
}
