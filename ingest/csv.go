package ingest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/rowjson"
)

// csvReader reads CSV (RFC 4180) whose first row names the columns. An empty
// cell is null, but in a required string, where it is the empty string. Nested
// values are cells of JSON.
type csvReader struct {
	b       *builder
	op      schema.Op
	csv     *csv.Reader
	bounded *boundedReader
	line    int // where the last row begins

	columns []int // field of each column
	present []bool
	check   *schema.Schema // what rows are checked against
	row     []schema.Value
	text    []byte // the row's strings
}

func readCSV(r io.Reader, b *builder, op schema.Op, maxBytes int) error {
	bounded := &boundedReader{r: r, most: int64(maxBytes)}
	buffered := bufio.NewReaderSize(bounded, 64<<10)
	if head, _ := buffered.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		_, _ = buffered.Discard(len(byteOrderMark))
	}
	c := &csvReader{b: b, op: op, csv: csv.NewReader(buffered), bounded: bounded}
	c.csv.ReuseRecord, c.csv.FieldsPerRecord = true, -1
	header, err := c.csv.Read()
	if err == io.EOF {
		return b.findings.fatal(1, "", "the body is empty: the first row of CSV names the columns")
	}
	if err != nil {
		return c.failed(err)
	}
	c.line = 1
	if err := c.bind(header); err != nil {
		return err
	}
	for {
		bounded.mark = c.csv.InputOffset()
		cells, err := c.csv.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return c.failed(err)
		}
		c.line, _ = c.csv.FieldPos(0)
		if err := c.add(c.line, cells); err != nil {
			return err
		}
	}
}

// bind matches the header's names to fields.
func (c *csvReader) bind(header []string) error {
	s := c.b.schema
	c.present = make([]bool, len(s.Fields))
	wrong := func(name, rule string) {
		c.b.findings.skip = false
		c.b.findings.tell(&schema.FieldError{Line: 1, Field: cut(name), Rule: rule})
	}
	for _, name := range header {
		at := s.Index(name)
		switch {
		case at < 0:
			wrong(name, "the collection has no such field: leave the column out, or add the field")
			continue
		case c.present[at]:
			wrong(name, "there are two columns of this name")
		}
		c.present[at] = true
		c.columns = append(c.columns, at)
	}
	c.check = s
	if partial(c.op) {
		c.check = relaxed(s, c.present)
	} else {
		for i, f := range s.Fields {
			if f.Required && !c.present[i] {
				wrong(f.Name, "is required, and there is no such column")
			}
		}
	}
	if e := missingKey(s, c.present, 1); e != nil && partial(c.op) {
		c.b.findings.skip = false
		c.b.findings.tell(e)
	}
	if len(c.b.findings.errs) > 0 {
		return errStop
	}
	c.row = make([]schema.Value, len(s.Fields))
	return nil
}

// add decodes one row.
func (c *csvReader) add(line int, cells []string) error {
	f := c.b.findings
	if len(cells) != len(c.columns) {
		f.tell(&schema.FieldError{Line: line, Rule: fmt.Sprintf("the row has %d cells, the header %d", len(cells), len(c.columns))})
		return f.refused()
	}
	clear(c.row)
	c.text = c.text[:0]
	ok := true
	for i, cell := range cells {
		field := &c.b.schema.Fields[c.columns[i]]
		v, err := c.cell(field, cell)
		if err != nil {
			f.tell(&schema.FieldError{Line: line, Field: field.Name, Value: cut(cell), Rule: ruleOf(err)})
			ok = false
			continue
		}
		c.row[c.columns[i]] = v
	}
	if !ok {
		return f.refused()
	}
	if e := c.check.CheckRow(c.row); e != nil {
		e.Line = line
		f.tell(e)
		return f.refused()
	}
	return c.b.add(line, c.op, c.row, c.present)
}

// cell decodes one cell. A string is copied to the row's text, where its
// encoding is checked with the rest of the row.
func (c *csvReader) cell(f *schema.Field, cell string) (schema.Value, error) {
	switch {
	case f.Type.Kind == schema.KindString && (cell != "" || f.Required):
		at := len(c.text)
		c.text = append(c.text, cell...)
		return schema.Bytes(c.text[at:len(c.text):len(c.text)]), nil
	case cell == "":
		return schema.Null, nil
	case f.Type.Nested():
		return rowjson.DecodeValue(f.Type, []byte(cell))
	default:
		return schema.ParseText(f.Type, cell)
	}
}

// failed is the error of a row that cannot be told from the next.
func (c *csvReader) failed(err error) error {
	var parse *csv.ParseError
	switch {
	case c.bounded.over:
		c.b.findings.skip = false
		c.b.findings.tooLarge(c.line+1, fmt.Sprintf("the record is longer than %d bytes; is a quote left open?", c.bounded.most))
		return errStop
	case errors.As(err, &parse):
		return c.b.findings.fatal(parse.StartLine, "", "the row is not CSV: "+strings.TrimPrefix(parse.Err.Error(), "parse error on "))
	default:
		return err
	}
}

// ruleOf is what a value breaks.
func ruleOf(err error) string {
	var e *schema.FieldError
	if errors.As(err, &e) {
		return e.Rule
	}
	return err.Error()
}
