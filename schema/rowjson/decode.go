package rowjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trinedb/trine/schema"
)

// MaxDepth is how deep objects and arrays of a record may nest, the record
// itself counted.
const MaxDepth = 64

// A Decoder decodes records of one schema, reusing its memory. The Values of a
// row alias the record's bytes and the Decoder; they are good until the bytes
// change or the next call. It is not safe for concurrent use.
type Decoder struct {
	schema *schema.Schema
	root   shape

	tok    *jsontext.Decoder
	buf    bytes.Buffer // what tok reads: the record, not copied
	data   []byte       // the record
	text   []byte       // strings that had escapes, without them
	stack  []schema.Value
	elems  []schema.Value // of nested values, taken from its front
	values int            // nested values of the record so far
	path   []step         // to the value being read
	errs   *schema.FieldErrors
	line   int
	bad    bool // an error was found in the record
	ended  bool // it could not be read to its end
	given  []bool

	beside      string // a member that is no field
	besideValue []byte // in the record
}

// NewDecoder makes a Decoder for records of s.
func NewDecoder(s *schema.Schema) *Decoder {
	d := &Decoder{schema: s}
	d.root = shapeOf(&schema.Type{Kind: schema.KindStruct, Fields: s.Fields})
	return d
}

// Beside makes records have one member that is no field, if they like: it is not
// decoded, and BesideValue gives it.
func (d *Decoder) Beside(name string) { d.beside = name }

// BesideValue is that member's value in the last record as it was sent, or nil.
// It is good as long as the record's bytes are.
func (d *Decoder) BesideValue() []byte { return d.besideValue }

// Decode reads one record object. The row, one Value per field of the schema,
// is written over dst, grown as needed, and returned. What is wrong is added
// to errs, up to schema.MaxFieldErrors, with line; false tells that there was
// something, and then the row means nothing. A row that is good passes
// schema.CheckRow.
func (d *Decoder) Decode(data []byte, dst []schema.Value, errs *schema.FieldErrors, line int) ([]schema.Value, bool) {
	row, given := d.record(data, dst, d.given, errs, line)
	d.given = given
	if d.ended {
		return row, false
	}
	for i := range row {
		if f := &d.schema.Fields[i]; f.Required && row[i].IsNull() {
			d.required(f.Name, given[i], "is required: give it a value")
		}
	}
	return row, !d.bad
}

// DecodePatch is Decode for a record that need not have all fields: present[i],
// written over what is handed in, tells whether field i was given. The key's
// fields must be; a required field may be absent but not null. It serves
// deletes too.
func (d *Decoder) DecodePatch(data []byte, dst []schema.Value, present []bool, errs *schema.FieldErrors, line int) ([]schema.Value, []bool, bool) {
	row, present := d.record(data, dst, present, errs, line)
	if d.ended {
		return row, present, false
	}
	for _, i := range d.schema.Key {
		if row[i].IsNull() {
			d.required(d.schema.Fields[i].Name, present[i], "is part of the key: give it to say which record is meant")
		}
	}
	for i := range row {
		f := &d.schema.Fields[i]
		if f.Required && present[i] && row[i].IsNull() && !slices.Contains(d.schema.Key, i) {
			d.required(f.Name, true, "is required: leave it out to keep its value")
		}
	}
	return row, present, !d.bad
}

// Decode is Decoder.Decode for one record; a batch wants a Decoder.
func Decode(s *schema.Schema, data []byte, dst []schema.Value, errs *schema.FieldErrors, line int) ([]schema.Value, bool) {
	return NewDecoder(s).Decode(data, dst, errs, line)
}

// DecodeValue reads one value of type t, and nothing after it. It may alias
// data. The error is a *schema.FieldError.
func DecodeValue(t schema.Type, data []byte) (schema.Value, error) {
	var errs schema.FieldErrors
	d := &Decoder{root: shapeOf(&t)}
	d.reset(data, &errs, 0)
	v, err := d.value(&d.root)
	if err == nil {
		err = d.end("value")
	}
	if err != nil {
		d.syntax(err)
	}
	if len(errs) > 0 {
		return schema.Null, errs[0]
	}
	return v, nil
}

// reset begins another record.
func (d *Decoder) reset(data []byte, errs *schema.FieldErrors, line int) {
	d.data, d.errs, d.line = data, errs, line
	d.bad, d.ended, d.besideValue = false, false, nil
	d.text, d.stack, d.path, d.values = d.text[:0], d.stack[:0], d.path[:0], 0
	d.elems = d.elems[:0]
	d.buf = *bytes.NewBuffer(data)
	if d.tok == nil {
		d.tok = jsontext.NewDecoder(&d.buf)
	} else {
		d.tok.Reset(&d.buf)
	}
}

// record reads one object and nothing after it.
func (d *Decoder) record(data []byte, dst []schema.Value, given []bool, errs *schema.FieldErrors, line int) ([]schema.Value, []bool) {
	d.reset(data, errs, line)
	dst = cleared(dst, len(d.schema.Fields))
	given = cleared(given, len(d.schema.Fields))
	if k := d.tok.PeekKind(); k != '{' && k != 0 {
		raw, err := d.tok.ReadValue()
		if err != nil {
			d.syntax(err)
		} else {
			d.ended = true
			d.fail(raw, `a record is a JSON object: {"field": value, …}`)
		}
		return dst, given
	}
	err := d.object(&d.root, dst, given)
	if err == nil {
		err = d.end("record")
	}
	if err != nil {
		d.syntax(err)
	}
	return dst, given
}

// cleared is s with n zero elements, in its memory if that is enough.
func cleared[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// end demands that nothing follows.
func (d *Decoder) end(what string) error {
	_, err := d.tok.ReadToken()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil || !errors.Is(err, jsontext.ErrDuplicateName) {
		rest := d.data[min(len(d.data), int(d.tok.InputOffset())):]
		d.fail(bytes.TrimSpace(rest), fmt.Sprintf("follows the %s: one line has one %s, and nothing after it", what, what))
		return nil
	}
	return err
}
