package rowjson

import "github.com/trinedb/trine/schema"

// MaxDepth is how deep objects and arrays of a record may nest, the record
// itself counted.
const MaxDepth = 64

// A Decoder decodes records of one schema, reusing its memory. The Values of a
// row alias the record's bytes and the Decoder; they are good until the bytes
// change or the next call. It is not safe for concurrent use.
type Decoder struct {
	schema *schema.Schema
}

// NewDecoder makes a Decoder for records of s.
func NewDecoder(s *schema.Schema) *Decoder { return &Decoder{schema: s} }

// Decode reads one record object. The row, one Value per field of the schema,
// is written over dst, grown as needed, and returned. What is wrong is added
// to errs, up to schema.MaxFieldErrors, with line; false tells that there was
// something.
func (d *Decoder) Decode(data []byte, dst []schema.Value, errs *schema.FieldErrors, line int) ([]schema.Value, bool) {
	panic("TODO")
}

// DecodePatch is Decode for a record that need not have all fields: present[i]
// tells whether field i was given. The key's fields must be; a required field
// may be absent but not null. It serves deletes too.
func (d *Decoder) DecodePatch(data []byte, dst []schema.Value, present []bool, errs *schema.FieldErrors, line int) ([]schema.Value, []bool, bool) {
	panic("TODO")
}

// Decode is Decoder.Decode for one record; a batch wants a Decoder.
func Decode(s *schema.Schema, data []byte, dst []schema.Value, errs *schema.FieldErrors, line int) ([]schema.Value, bool) {
	return NewDecoder(s).Decode(data, dst, errs, line)
}

// DecodePatch is Decoder.DecodePatch for one record.
func DecodePatch(s *schema.Schema, data []byte, dst []schema.Value, present []bool, errs *schema.FieldErrors, line int) ([]schema.Value, []bool, bool) {
	return NewDecoder(s).DecodePatch(data, dst, present, errs, line)
}

// DecodeValue reads one value of type t, and nothing after it. The error is a
// *schema.FieldError.
func DecodeValue(t schema.Type, data []byte) (schema.Value, error) {
	panic("TODO")
}
