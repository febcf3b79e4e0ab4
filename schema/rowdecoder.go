package schema

import (
	"fmt"
)

// RowDecoder reads rows that were written with one schema as rows of another,
// or of the same. It is immutable and safe for concurrent use; one is worth
// keeping for each pair of schemas.
type RowDecoder struct {
	id       SchemaID
	root     plan
	decimals int // among the top-level fields that are read
	err      error
}

// plan says how to read a value: the writer's type, and where its parts go in
// the reader's.
type plan struct {
	kind   Kind
	length int // fixed
	fields []planField
	width  int   // struct: fields of the reader
	absent []int // struct: fields of the reader that the writer lacks
}

type planField struct {
	plan
	name string
	dst  int // the field's place at the reader; -1: skipped
}

// NewRowDecoder makes a decoder of rows of from that gives rows of to. If from
// could not have evolved into to, Decode answers ErrIncompatible.
func NewRowDecoder(from, to *Schema) *RowDecoder {
	d := &RowDecoder{id: from.ID}
	d.root, d.err = planStruct(from.Fields, to.Fields, 1)
	if d.err != nil {
		d.err = fmt.Errorf("read rows of schema %d as schema %d: %w", from.ID, to.ID, d.err)
	}
	for i := range d.root.fields {
		if f := &d.root.fields[i]; f.kind == KindDecimal && f.dst >= 0 {
			d.decimals++
		}
	}
	return d
}

// Decode reads row into dst, which it grows as needed, and returns one Value
// for each field of the reader's schema; what dst held is overwritten. Values
// alias row, but decimals and nested values, which are newly allocated. A row
// that is not exactly of the format is ErrCorrupt.
func (d *RowDecoder) Decode(row []byte, dst []Value) ([]Value, error) {
	if d.err != nil {
		return dst[:0], d.err
	}
	id, n := uvarint(row)
	if n == 0 || id != uint64(d.id) {
		return dst[:0], fmt.Errorf("row of schema %d: want schema %d: %w", id, d.id, ErrCorrupt)
	}
	if cap(dst) < d.root.width {
		dst = make([]Value, d.root.width)
	}
	dst = dst[:d.root.width]
	for _, i := range d.root.absent {
		dst[i] = Value{}
	}
	r := rowReader{b: row[n:], budget: MaxRowValues, decimals: d.decimals}
	if bad := r.fields(&d.root, dst); bad >= 0 {
		name := "null bitmap"
		if bad < len(d.root.fields) {
			name = "field " + d.root.fields[bad].name
		}
		return dst[:0], fmt.Errorf("row of schema %d, %s: %w", d.id, name, ErrCorrupt)
	}
	if len(r.b) != 0 {
		return dst[:0], fmt.Errorf("row of schema %d: %d bytes follow it: %w", d.id, len(r.b), ErrCorrupt)
	}
	return dst, nil
}

// planStruct pairs the fields of two rows or structs by id.
func planStruct(from, to []Field, depth int) (plan, error) {
	p := plan{kind: KindStruct, width: len(to), fields: make([]planField, len(from))}
	if depth > MaxDepth {
		return p, fmt.Errorf("nested deeper than %d: %w", MaxDepth, ErrIncompatible)
	}
	met := make([]bool, len(to))
	next := 0 // fields mostly come in the same order: look there first
	for i := range from {
		f := &p.fields[i]
		f.name, f.dst = from[i].Name, -1
		target := from[i].Type
		for n := range to {
			j := (next + n) % len(to)
			if to[j].ID == from[i].ID && !met[j] {
				f.dst, met[j], target, next = j, true, to[j].Type, j+1
				break
			}
		}
		var err error
		if f.plan, err = planType(from[i].Type, target, depth); err != nil {
			return p, fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	for j := range met {
		if !met[j] {
			p.absent = append(p.absent, j)
		}
	}
	return p, nil
}

// planType says how to read a value of type from as one of type to.
func planType(from, to Type, depth int) (plan, error) {
	p := plan{kind: from.Kind, length: from.Length}
	if !readableAs(from, to) {
		return p, fmt.Errorf("%s cannot be read as %s: %w", from, to, ErrIncompatible)
	}
	switch from.Kind {
	case KindStruct:
		return planStruct(from.Fields, to.Fields, depth+1)
	case KindList, KindMap:
		if depth >= MaxDepth {
			return p, fmt.Errorf("nested deeper than %d: %w", MaxDepth, ErrIncompatible)
		}
		p.fields = make([]planField, len(from.Fields))
		for i := range from.Fields {
			var err error
			f := &p.fields[i]
			if f.plan, err = planType(from.Fields[i].Type, to.Fields[i].Type, depth+1); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// readableAs reports whether a value of from is one of to as it stands; all of
// Iceberg's widenings are, in a Value.
func readableAs(from, to Type) bool {
	switch {
	case from.Kind == KindInt && to.Kind == KindLong,
		from.Kind == KindFloat && to.Kind == KindDouble:
		return true
	case from.Kind != to.Kind:
		return false
	case from.Kind == KindDecimal:
		return from.Scale == to.Scale && from.Precision <= to.Precision
	case from.Kind == KindFixed:
		return from.Length == to.Length
	default:
		return len(from.Fields) == len(to.Fields) || from.Kind == KindStruct
	}
}
