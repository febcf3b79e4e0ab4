package schema

import "math"

// Value is one value of a row, without its type: a Type says how to read it.
// It is the form that every decoder produces and every store consumes.
//
//	boolean                          Int: 0 or 1
//	int, long                        Int
//	date                             Int: days since 1970-01-01
//	time                             Int: microseconds since midnight
//	timestamp, timestamptz           Int: microseconds since 1970-01-01 (UTC)
//	float, double                    Float
//	decimal(p,s)                     Bytes: 16, two's complement, big endian, unscaled
//	string, json                     Bytes: UTF-8
//	uuid                             Bytes: 16
//	fixed(n), binary                 Bytes
//	struct                           Elems: one per field, in the type's order
//	list                             Elems
//	map                              Elems: key, value, key, value, …
//
// The zero Value is null. A Value may alias the buffer that it was decoded
// from; who decodes says for how long that holds.
type Value struct {
	valid bool
	bits  uint64
	bytes []byte
	elems []Value
}

// Null is the absent value.
var Null = Value{}

// Bool is a boolean Value.
func Bool(b bool) Value {
	if b {
		return Value{valid: true, bits: 1}
	}
	return Value{valid: true}
}

// Int is the Value of a boolean, whole number, date, time or timestamp.
func Int(i int64) Value { return Value{valid: true, bits: uint64(i)} }

// Float is the Value of a float or double.
func Float(f float64) Value { return Value{valid: true, bits: math.Float64bits(f)} }

// Bytes is the Value of a string, json, uuid, fixed, binary or decimal. It
// keeps b, which may be nil for an empty one.
func Bytes(b []byte) Value { return Value{valid: true, bytes: b} }

// String is Bytes of a string.
func String(s string) Value { return Value{valid: true, bytes: []byte(s)} }

// Elems is the Value of a struct, list or map. It keeps vs.
func Elems(vs []Value) Value { return Value{valid: true, elems: vs} }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return !v.valid }

// Bool reads a boolean.
func (v Value) Bool() bool { return v.bits != 0 }

// Int reads a boolean, whole number, date, time or timestamp.
func (v Value) Int() int64 { return int64(v.bits) }

// Float reads a float or double.
func (v Value) Float() float64 { return math.Float64frombits(v.bits) }

// Bytes reads a string, json, uuid, fixed, binary or decimal; the caller must
// not change them.
func (v Value) Bytes() []byte { return v.bytes }

// Elems reads a struct, list or map; the caller must not change them.
func (v Value) Elems() []Value { return v.elems }
