package arrowhttp

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

// scanText streams a scan as NDJSON, one record a line, or as CSV with a line
// of names first. It is for a look at the data; programs read Arrow, which
// cannot be cut short unseen.
func scanText(q *request, form string) error {
	encoding, err := negotiateEncoding(q.r.Header)
	if err != nil {
		return err
	}
	c, sc, err := q.openScan()
	if err != nil {
		return err
	}
	defer q.closeScan(sc)
	shape, err := scanShape(c.Schema, sc.Schema)
	if err != nil {
		return err
	}
	rows, err := schema.NewArrowRows(shape, sc.Schema)
	if err != nil {
		return fmt.Errorf("scan %s: %w: %v", c, schema.ErrCorrupt, err)
	}
	q.scanHeader(sc)
	if q.notModified(q.tagOf(c, sc, form, coding{http: encoding})) {
		return nil
	}
	out, err := newStream(q.w, form, encoding)
	if err != nil {
		return err
	}
	if q.r.Method == http.MethodHead {
		q.w.WriteHeader(http.StatusOK)
		return nil
	}
	t := &textScan{out: out, shape: shape, csv: form == typeCSV}
	if err := q.eachBatch(sc, func(b arrow.RecordBatch) error { return t.write(rows, b) }); err != nil {
		return q.abort(err, &textSink{out: out})
	}
	if err := t.header(); err != nil { // of a CSV without rows
		return err
	}
	return out.end(statusComplete)
}

// scanShape is the schema of a scan's rows: fields and system columns, in the
// order of its columns.
func scanShape(s *schema.Schema, in *arrow.Schema) (*schema.Schema, error) {
	shape := &schema.Schema{ID: s.ID}
	for _, f := range in.Fields() {
		switch i := s.Index(f.Name); {
		case i >= 0:
			shape.Fields = append(shape.Fields, s.Fields[i])
		case f.Name == schema.SeqColumn:
			shape.Fields = append(shape.Fields, schema.Field{ID: schema.SeqColumnID, Name: f.Name, Type: schema.Type{Kind: schema.KindLong}})
		case f.Name == schema.TimeColumn:
			shape.Fields = append(shape.Fields, schema.Field{ID: schema.TimeColumnID, Name: f.Name, Type: timestamptz})
		default:
			return nil, fmt.Errorf("scan: column %q is not of the schema: %w", f.Name, schema.ErrCorrupt)
		}
	}
	return shape, nil
}

// textScan writes rows as text.
type textScan struct {
	out    *stream
	shape  *schema.Schema
	csv    bool
	headed bool
	line   []byte
	cell   []byte
}

func (t *textScan) write(rows *schema.ArrowRows, batch arrow.RecordBatch) error {
	if err := t.header(); err != nil {
		return err
	}
	err := rows.Rows(batch, func(_ int, row []schema.Value) error {
		if t.csv {
			t.line = t.appendCSV(t.line[:0], row)
		} else {
			t.line = append(rowjson.AppendRow(t.line[:0], t.shape, row), '\n')
		}
		t.out.w.rows++
		_, err := t.out.Write(t.line)
		return err
	})
	if err != nil {
		return err
	}
	return t.out.flush()
}

// header writes the line of names, once.
func (t *textScan) header() error {
	if !t.csv || t.headed {
		return nil
	}
	t.headed = true
	for i, f := range t.shape.Fields {
		if i > 0 {
			t.line = append(t.line, ',')
		}
		t.line = appendCSVCell(t.line, []byte(f.Name))
	}
	_, err := t.out.Write(append(t.line, '\n'))
	return err
}

// appendCSV appends a line: null is nothing at all, an empty text is "".
func (t *textScan) appendCSV(dst []byte, row []schema.Value) []byte {
	for i := range row {
		if i > 0 {
			dst = append(dst, ',')
		}
		if row[i].IsNull() {
			continue
		}
		t.cell = schema.AppendText(t.cell[:0], t.shape.Fields[i].Type, row[i])
		dst = appendCSVCell(dst, t.cell)
	}
	return append(dst, '\n')
}

// appendCSVCell quotes a cell where RFC 4180 wants it, and where it would be
// taken for null or trimmed.
func appendCSVCell(dst, cell []byte) []byte {
	if len(cell) > 0 && !bytes.ContainsAny(cell, "\",\r\n") && cell[0] != ' ' && cell[len(cell)-1] != ' ' {
		return append(dst, cell...)
	}
	dst = append(dst, '"')
	for _, b := range cell {
		if b == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}
