package rowjson

import "github.com/trinedb/trine/schema"

// AppendRow appends row as one JSON object with every field of s in order,
// nulls written out.
func AppendRow(dst []byte, s *schema.Schema, row []schema.Value) []byte {
	panic("TODO")
}

// AppendValue appends v, a value of type t, as JSON.
func AppendValue(dst []byte, t schema.Type, v schema.Value) []byte {
	panic("TODO")
}
