package schema

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

const (
	wantUTF8 = "is not valid UTF-8"
	wantJSON = "is not valid JSON"
)

func wantBytes(want, got int) string {
	return "has " + strconv.Itoa(got) + " bytes, want " + strconv.Itoa(want)
}

// CheckRow reports the first thing that is wrong with row, or nil: a required
// field that is null, a number out of its type's range or precision, a wrong
// length, text that is not UTF-8 or JSON. A row that passes can be encoded.
// The error has no Line.
func (s *Schema) CheckRow(row []Value) *FieldError {
	if len(row) != len(s.Fields) {
		return &FieldError{Rule: "row has " + strconv.Itoa(len(row)) + " values, the schema " + strconv.Itoa(len(s.Fields)) + " fields"}
	}
	c := checker{budget: MaxRowValues}
	for i := range s.Fields {
		if rule, ok := c.field(&s.Fields[i], &row[i]); !ok {
			return c.failure(&s.Fields[i], &row[i], rule)
		}
	}
	for _, f := range s.Key {
		if !row[f].valid {
			return &FieldError{Field: s.Fields[f].Name, Value: "null", Rule: "is part of the key, which cannot be null"}
		}
	}
	return nil
}

// checker carries what is left of the row's allowance and, on the way back
// from a failure, the path to it.
type checker struct {
	budget int
	path   []string // of nested fields, innermost first
	t      *Type    // of the value at fault, when it is nested
	v      *Value
}

func (c *checker) failure(f *Field, v *Value, rule string) *FieldError {
	e := &FieldError{Field: f.Name, Rule: rule}
	for i := len(c.path) - 1; i >= 0; i-- {
		e.Field += "." + c.path[i]
	}
	t := &f.Type
	if c.v != nil {
		t, v = c.t, c.v
	}
	e.Value = describe(t, v)
	return e
}

// describe is a value as an error tells it, whatever is wrong with it.
func describe(t *Type, v *Value) string {
	switch {
	case !v.valid:
		return "null"
	case t.Nested():
		return ""
	case t.Kind == KindDecimal && len(v.bytes) != 16, t.Kind == KindUUID && len(v.bytes) != 16:
		return ""
	case t.Kind == KindTime && !inRange(t.Kind, v.Int()), t.Kind == KindDate && !inRange(t.Kind, v.Int()):
		return strconv.FormatInt(v.Int(), 10)
	case t.Kind == KindFloat:
		return string(appendFloat(nil, v.Float(), 64))
	case len(v.bytes) > 256:
		short := Bytes(v.bytes[:256])
		return cut(string(appendText(nil, t, &short)))
	}
	return cut(string(appendText(nil, t, v)))
}

// field checks one field of a row or struct.
func (c *checker) field(f *Field, v *Value) (rule string, ok bool) {
	if !v.valid {
		return "is required", !f.Required
	}
	return c.value(&f.Type, v)
}

// value checks a value that is not null.
func (c *checker) value(t *Type, v *Value) (rule string, ok bool) {
	switch t.Kind {
	case KindBoolean:
		return "want true or false", v.bits <= 1
	case KindInt, KindDate, KindTime:
		return outOfRange, inRange(t.Kind, v.Int())
	case KindLong, KindTimestamp, KindTimestamptz, KindDouble, KindBinary:
		return "", true
	case KindFloat:
		f := v.Float()
		return outOfRange, math.Abs(f) <= math.MaxFloat32 || math.IsInf(f, 0) || math.IsNaN(f)
	case KindDecimal:
		if len(v.bytes) != 16 {
			return wantBytes(16, len(v.bytes)), false
		}
		if !fitsPrecision(v.Decimal(), t.Precision) {
			return "does not fit " + t.String(), false
		}
		return "", true
	case KindString:
		return wantUTF8, utf8.Valid(v.bytes)
	case KindJSON:
		return wantJSON, utf8.Valid(v.bytes) && json.Valid(v.bytes)
	case KindUUID:
		if len(v.bytes) != 16 {
			return wantBytes(16, len(v.bytes)), false
		}
		return "", true
	case KindFixed:
		if len(v.bytes) != t.Length {
			return wantBytes(t.Length, len(v.bytes)), false
		}
		return "", true
	default:
		return c.nested(t, v)
	}
}

// nested checks a struct, list or map.
func (c *checker) nested(t *Type, v *Value) (rule string, ok bool) {
	per := len(t.Fields)
	switch {
	case t.Kind == KindStruct && len(v.elems) != per, t.Kind == KindMap && len(v.elems)%2 != 0:
		return "has " + strconv.Itoa(len(v.elems)) + " values, its type " + strconv.Itoa(per), false
	case t.Kind != KindStruct && t.Kind != KindList && t.Kind != KindMap:
		return "has a type that is not known", false
	}
	if c.budget -= len(v.elems); c.budget < 0 {
		return "has too many values: at most " + strconv.Itoa(MaxRowValues) + " in a record's nested fields", false
	}
	for i := range v.elems {
		f := &t.Fields[i%per]
		elem := &v.elems[i]
		if t.Kind == KindMap && i%2 == 0 && !elem.valid {
			rule, ok = "is a map's key, which cannot be null", false
		} else {
			rule, ok = c.field(f, elem)
		}
		if !ok {
			if c.v == nil {
				c.t, c.v = &f.Type, elem
			}
			c.path = append(c.path, stepName(t, i))
			return rule, false
		}
	}
	return "", true
}

// stepName is how a path names the i-th element of a value of type t.
func stepName(t *Type, i int) string {
	switch t.Kind {
	case KindStruct:
		return t.Fields[i].Name
	case KindMap:
		return [...]string{"key", "value"}[i%2]
	default:
		return strconv.Itoa(i)
	}
}
