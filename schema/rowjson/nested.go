package rowjson

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trinedb/trine/schema"
)

// nested reads a struct, list or map whose first bracket is next.
func (d *Decoder) nested(s *shape, open jsontext.Kind) (schema.Value, error) {
	if d.tok.StackDepth() >= MaxDepth {
		d.fail(nil, fmt.Sprintf("nests more than %d levels deep, the record counted", MaxDepth))
		return schema.Null, errTold
	}
	if s.t.Kind == schema.KindStruct {
		return d.structure(s)
	}
	if _, err := d.tok.ReadToken(); err != nil {
		return schema.Null, err
	}
	base := len(d.stack)
	for n := 0; ; n++ {
		if k := d.tok.PeekKind(); k == ']' || k == '}' {
			break
		}
		d.path = append(d.path, step{index: n})
		if err := d.entry(s, open); err != nil {
			return schema.Null, err
		}
		d.path = d.path[:len(d.path)-1]
	}
	if _, err := d.tok.ReadToken(); err != nil {
		return schema.Null, err
	}
	elems := d.stack[base:]
	if s.t.Kind == schema.KindMap && open == '[' {
		d.distinct(s, elems)
	}
	out := d.take(len(elems))
	copy(out, elems)
	d.stack = d.stack[:base]
	return schema.Elems(out), nil
}

func (d *Decoder) structure(s *shape) (schema.Value, error) {
	if err := d.count(len(s.inner)); err != nil {
		return schema.Null, err
	}
	out := d.take(len(s.inner))
	if err := d.object(s, out, nil); err != nil {
		return schema.Null, err
	}
	for i := range out {
		d.demand(&s.t.Fields[i], &out[i], s.t.Fields[i].Name)
	}
	return schema.Elems(out), nil
}

// entry reads one element of a list, or one key and value of a map, to the
// stack.
func (d *Decoder) entry(s *shape, open jsontext.Kind) error {
	if err := d.count(len(s.inner)); err != nil {
		return err
	}
	if s.t.Kind == schema.KindMap && open == '[' {
		return d.pair(s)
	}
	value := len(s.inner) - 1
	if s.t.Kind == schema.KindMap {
		raw, err := d.tok.ReadValue()
		if err != nil {
			return err
		}
		key := d.unquote(raw)
		d.stack = append(d.stack, schema.Bytes(key))
		// The path is not used beyond the key's bytes.
		d.path[len(d.path)-1] = step{name: unsafe.String(unsafe.SliceData(key), len(key))}
	}
	v, err := d.value(&s.inner[value])
	if err != nil {
		return err
	}
	d.demand(&s.t.Fields[value], &v, "")
	d.stack = append(d.stack, v)
	return nil
}

// pair reads {"key": …, "value": …}.
func (d *Decoder) pair(s *shape) error {
	if d.tok.PeekKind() != '{' {
		raw, err := d.tok.ReadValue()
		if err == nil {
			d.fail(raw, `expects {"key": …, "value": …}`)
		}
		return err
	}
	out := d.take(2)
	var given [2]bool
	if err := d.object(s, out, given[:]); err != nil {
		return err
	}
	key := &s.t.Fields[0]
	if out[0].IsNull() {
		d.path = append(d.path, step{name: key.Name})
		d.fail(nil, "a map's key is never null: give it a value")
		d.path = d.path[:len(d.path)-1]
	}
	d.demand(&s.t.Fields[1], &out[1], s.t.Fields[1].Name)
	d.stack = append(d.stack, out[0], out[1])
	return nil
}

// demand tells a null in a nested field that is required.
func (d *Decoder) demand(f *schema.Field, v *schema.Value, name string) {
	if !f.Required || !v.IsNull() {
		return
	}
	if name == "" {
		d.fail([]byte("null"), "is required: give it a value")
	} else {
		d.required(name, false, "is required: give it a value")
	}
}

// distinct tells a key that a map has twice.
func (d *Decoder) distinct(s *shape, elems []schema.Value) {
	if len(elems) <= 2 || d.bad {
		return
	}
	t := s.t.Fields[0].Type
	keys := make([]schema.Value, 0, len(elems)/2)
	for i := 0; i < len(elems); i += 2 {
		keys = append(keys, elems[i])
	}
	slices.SortFunc(keys, func(a, b schema.Value) int { return schema.Compare(t, a, b) })
	for i := 1; i < len(keys); i++ {
		if schema.Equal(t, keys[i-1], keys[i]) {
			d.fail(AppendValue(nil, t, keys[i]), "is a key that the map has twice: remove one")
			return
		}
	}
}

// count bounds the nested values of a record.
func (d *Decoder) count(n int) error {
	if d.values += n; d.values > schema.MaxRowValues {
		d.fail(nil, fmt.Sprintf("has too many values: at most %d in a record's nested fields", schema.MaxRowValues))
		return errTold
	}
	return nil
}

// take is room for n nulls, good until the next record.
func (d *Decoder) take(n int) []schema.Value {
	if len(d.elems)+n > cap(d.elems) {
		// What was taken before stays where it is.
		d.elems = make([]schema.Value, 0, max(64, 2*cap(d.elems), n))
	}
	at := len(d.elems)
	d.elems = d.elems[:at+n]
	out := d.elems[at : at+n : at+n]
	clear(out)
	return out
}
