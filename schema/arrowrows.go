package schema

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// ArrowRows reads Arrow record batches that others made as rows of a schema.
// Columns and nested fields are matched by name, or by id. What is read for each type is
// what loses nothing: any integer whose value fits, any encoding of a string
// or list, any unit of time that comes out in whole microseconds, dictionaries
// and runs, and Arrow's extension types as what they are stored in.
//
// It trusts no batch: one that contradicts itself is an error, not a panic.
// It is immutable and safe for concurrent use.
type ArrowRows struct {
	schema  *Schema
	columns []arrowColumn
	inputs  int
}

type arrowColumn struct {
	input int // place in the batch
	field int // place in the row
	bind  binder
}

// NewArrowRows matches the columns of in to those of s by name.
func NewArrowRows(s *Schema, in *arrow.Schema) (*ArrowRows, error) { return MatchNames.Rows(s, in) }

// Rows matches the columns of in to those of s. A column that s lacks, one that
// comes twice or one whose type is not read as its field's is a *FieldError.
func (m ArrowMatch) Rows(s *Schema, in *arrow.Schema) (*ArrowRows, error) {
	r := &ArrowRows{schema: s, inputs: in.NumFields()}
	met := make([]bool, len(s.Fields))
	for i, f := range in.Fields() {
		at, rule := m.find(s.Fields, f)
		switch {
		case rule != "":
			return nil, &FieldError{Field: f.Name, Rule: rule}
		case met[at]:
			return nil, &FieldError{Field: f.Name, Rule: m.twice()}
		}
		met[at] = true
		bind, err := m.bind(&s.Fields[at].Type, f.Type, f.Name, 1)
		if err != nil {
			return nil, err
		}
		r.columns = append(r.columns, arrowColumn{input: i, field: at, bind: bind})
	}
	return r, nil
}

// Fields tells which fields of the schema the columns are of.
func (r *ArrowRows) Fields() []bool {
	present := make([]bool, len(r.schema.Fields))
	for _, c := range r.columns {
		present[c.field] = true
	}
	return present
}

// Rows calls fn for each row of batch, in order, until it answers an error,
// which Rows then returns. A value that its field cannot hold ends it with a
// *FieldError whose Line is the row's number from 1. Fields that the batch
// lacks are null. row is used again for the next call; its Values stay good
// as long as batch does.
func (r *ArrowRows) Rows(batch arrow.RecordBatch, fn func(i int, row []Value) error) error {
	return r.Each(batch, func(i int, row []Value, bad *FieldError) error {
		if bad != nil {
			return bad
		}
		return fn(i, row)
	})
}

// Each is Rows for who goes on after a bad row: fn is told what is wrong with
// it, and the row's other values cannot be relied on.
func (r *ArrowRows) Each(batch arrow.RecordBatch, fn func(i int, row []Value, bad *FieldError) error) (err error) {
	i, ours := 0, true // ours: not in fn, whose panics are its own
	defer func() {
		if !ours {
			return
		}
		if p := recover(); p != nil { // Arrow checks offsets and lengths by the runtime's bounds
			err = &FieldError{Line: i + 1, Rule: fmt.Sprintf("is not a valid Arrow record batch: %v", p)}
		}
	}()
	if int(batch.NumCols()) != r.inputs {
		return &FieldError{Rule: fmt.Sprintf("batch has %d columns, its schema %d", batch.NumCols(), r.inputs)}
	}
	state := &batchState{}
	cells := make([]cells, len(r.columns))
	for n := range r.columns {
		a := batch.Column(r.columns[n].input)
		if int64(a.Len()) < batch.NumRows() {
			return &FieldError{Rule: fmt.Sprintf("batch has %d rows, its column %s %d", batch.NumRows(), batch.ColumnName(r.columns[n].input), a.Len())}
		}
		cells[n] = r.columns[n].bind(a, state)
	}
	row := make([]Value, len(r.schema.Fields))
	for i = range int(batch.NumRows()) {
		state.budget = MaxRowValues
		var bad *FieldError
		for n := range cells {
			field := r.columns[n].field
			if rule := cells[n].read(i, &row[field]); rule != "" && bad == nil {
				bad = &FieldError{
					Line: i + 1, Field: r.schema.Fields[field].Name,
					Value: cells[n].describe(i), Rule: rule,
				}
			}
		}
		ours = false
		err := fn(i, row, bad)
		ours = true
		if err != nil {
			return err
		}
	}
	return nil
}

// batchState is what the cells of one batch share.
type batchState struct {
	budget int    // nested Values that the row may still have
	block  []byte // room for decimals
}

// decimal is 16 bytes that stay good as long as the batch.
func (s *batchState) decimal() []byte {
	if len(s.block) < 16 {
		s.block = make([]byte, 256*16)
	}
	b := s.block[:16:16]
	s.block = s.block[16:]
	return b
}

// binder resolves, once for each batch, how the cells of a column are read.
type binder func(a arrow.Array, state *batchState) cells

// getter reads a cell that is not null into out; rule is empty, or why the
// field cannot hold it.
type getter func(i int, out *Value) (rule string)

// cells are a column of a batch, or the child of one.
type cells struct {
	array arrow.Array
	nulls bool
	get   getter
}

func newCells(a arrow.Array, get getter) cells {
	return cells{array: a, nulls: a.NullN() != 0, get: get}
}

func (c *cells) read(i int, out *Value) (rule string) {
	if c.nulls && c.array.IsNull(i) {
		*out = Value{}
		return ""
	}
	return c.get(i, out)
}

// describe is a cell as an error tells it.
func (c *cells) describe(i int) string {
	if arrow.IsNested(c.array.DataType().ID()) {
		return ""
	}
	return cut(c.array.ValueStr(i))
}
