package schema

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// bind finds how cells of an Arrow type are read as t. path names the
// column and, below it, the nested field.
func (m ArrowMatch) bind(t *Type, in arrow.DataType, path string, depth int) (binder, error) {
	if depth > MaxDepth {
		return nil, &FieldError{Field: path, Rule: fmt.Sprintf("is nested deeper than %d", MaxDepth)}
	}
	switch in := in.(type) {
	case *arrow.NullType:
		return bindNull, nil
	case *arrow.DictionaryType:
		return m.dictionary(t, in, path, depth)
	case *arrow.RunEndEncodedType:
		return m.runs(t, in, path, depth)
	case arrow.ExtensionType:
		inner, err := m.bind(t, in.StorageType(), path, depth+1)
		if err != nil {
			return nil, err
		}
		return func(a arrow.Array, state *batchState) cells {
			return inner(a.(array.ExtensionArray).Storage(), state)
		}, nil
	}
	switch t.Kind {
	case KindStruct:
		if in, ok := in.(*arrow.StructType); ok {
			return m.structs(t, in, path, depth)
		}
	case KindList:
		if in, ok := in.(arrow.ListLikeType); ok && in.ID() != arrow.MAP {
			return m.lists(t, in, path, depth)
		}
	case KindMap:
		if in, ok := in.(*arrow.MapType); ok {
			return m.maps(t, in, path, depth)
		}
	default:
		if bind := flatBinder(t, in); bind != nil {
			return bind, nil
		}
	}
	return nil, &FieldError{
		Field: path,
		Rule:  fmt.Sprintf("the column's Arrow type is %s, and the field is %s: send %s", in, t, wantedArrow(t)),
	}
}

// wantedArrow tells which Arrow types are read as t, the best first.
func wantedArrow(t *Type) string {
	switch t.Kind {
	case KindBoolean:
		return "bool"
	case KindInt, KindLong:
		return arrowType(*t).String() + " or another integer type"
	case KindFloat:
		return "float32, or an integer type of up to 16 bits"
	case KindDouble:
		return "float64, float32 or an integer type"
	case KindDecimal:
		return arrowType(*t).String() + ", another decimal or an integer type"
	case KindDate:
		return "date32 or date64"
	case KindTime:
		return "time64[us] or another time type"
	case KindTimestamp:
		return "timestamp[us], of any unit but without a timezone"
	case KindTimestamptz:
		return "timestamp[us, tz=UTC], of any unit but with a timezone"
	case KindString, KindJSON:
		return "utf8, large_utf8 or utf8_view"
	case KindUUID:
		return "fixed_size_binary[16], or utf8"
	case KindFixed:
		return fmt.Sprintf("fixed_size_binary[%d] or binary", t.Length)
	case KindBinary:
		return "binary, large_binary, binary_view or fixed_size_binary"
	default:
		return arrowType(*t).String()
	}
}

const badOffsets = "has offsets that point nowhere: the batch is not valid"

func bindNull(a arrow.Array, _ *batchState) cells {
	return cells{array: a, get: func(_ int, out *Value) string { *out = Value{}; return "" }}
}

func (m ArrowMatch) dictionary(t *Type, in *arrow.DictionaryType, path string, depth int) (binder, error) {
	inner, err := m.bind(t, in.ValueType, path, depth+1)
	if err != nil {
		return nil, err
	}
	return func(a arrow.Array, state *batchState) cells {
		d := a.(*array.Dictionary)
		values := inner(d.Dictionary(), state)
		return newCells(a, func(i int, out *Value) string { return values.read(d.GetValueIndex(i), out) })
	}, nil
}

func (m ArrowMatch) runs(t *Type, in *arrow.RunEndEncodedType, path string, depth int) (binder, error) {
	inner, err := m.bind(t, in.Encoded(), path, depth+1)
	if err != nil {
		return nil, err
	}
	return func(a arrow.Array, state *batchState) cells {
		r := a.(*array.RunEndEncoded)
		values := inner(r.Values(), state)
		return cells{array: a, get: func(i int, out *Value) string { return values.read(r.GetPhysicalIndex(i), out) }}
	}, nil
}

func (m ArrowMatch) structs(t *Type, in *arrow.StructType, path string, depth int) (binder, error) {
	type child struct {
		input, field int
		bind         binder
	}
	var children []child
	met := make([]bool, len(t.Fields))
	for i, f := range in.Fields() {
		name := path + "." + f.Name
		at, rule := m.find(t.Fields, f)
		switch {
		case rule != "":
			return nil, &FieldError{Field: name, Rule: rule}
		case met[at]:
			return nil, &FieldError{Field: name, Rule: m.twice()}
		}
		met[at] = true
		bind, err := m.bind(&t.Fields[at].Type, f.Type, name, depth+1)
		if err != nil {
			return nil, err
		}
		children = append(children, child{i, at, bind})
	}
	return func(a arrow.Array, state *batchState) cells {
		s := a.(*array.Struct)
		fields := make([]cells, len(children))
		for n, c := range children {
			fields[n] = c.bind(s.Field(c.input), state)
		}
		return newCells(a, func(i int, out *Value) string {
			elems, rule := state.elems(int64(len(t.Fields)), out)
			for n := range fields {
				if rule != "" {
					return rule
				}
				rule = fields[n].read(i, &elems[children[n].field])
			}
			return rule
		})
	}, nil
}

func (m ArrowMatch) lists(t *Type, in arrow.ListLikeType, path string, depth int) (binder, error) {
	inner, err := m.bind(&t.Fields[0].Type, in.Elem(), path+".element", depth+1)
	if err != nil {
		return nil, err
	}
	return func(a arrow.Array, state *batchState) cells {
		l := a.(array.ListLike)
		values := inner(l.ListValues(), state)
		return newCells(a, func(i int, out *Value) string {
			start, end := l.ValueOffsets(i)
			if start < 0 || end > int64(values.array.Len()) {
				return badOffsets
			}
			elems, rule := state.elems(end-start, out)
			for n := 0; n < len(elems) && rule == ""; n++ {
				rule = values.read(int(start)+n, &elems[n])
			}
			return rule
		})
	}, nil
}

func (m ArrowMatch) maps(t *Type, in *arrow.MapType, path string, depth int) (binder, error) {
	key, err := m.bind(&t.Fields[0].Type, in.KeyType(), path+".key", depth+1)
	if err != nil {
		return nil, err
	}
	value, err := m.bind(&t.Fields[1].Type, in.ItemType(), path+".value", depth+1)
	if err != nil {
		return nil, err
	}
	return func(a arrow.Array, state *batchState) cells {
		m := a.(*array.Map)
		keys, values := key(m.Keys(), state), value(m.Items(), state)
		return newCells(a, func(i int, out *Value) string {
			start, end := m.ValueOffsets(i)
			if start < 0 || end > int64(keys.array.Len()) {
				return badOffsets
			}
			elems, rule := state.elems(2*(end-start), out)
			for n := 0; n < len(elems) && rule == ""; n += 2 {
				at := int(start) + n/2
				if rule = keys.read(at, &elems[n]); rule == "" {
					rule = values.read(at, &elems[n+1])
				}
			}
			return rule
		})
	}, nil
}

// elems makes out a nested value of n elements and returns them. A list's
// offsets may say anything: what they ask for is bounded for each row.
func (s *batchState) elems(n int64, out *Value) (elems []Value, rule string) {
	*out = Value{}
	if n < 0 {
		return nil, badOffsets
	}
	if n > int64(s.budget) {
		return nil, fmt.Sprintf("has too many values: at most %d in a record's nested fields", MaxRowValues)
	}
	s.budget -= int(n)
	elems = make([]Value, n)
	*out = Elems(elems)
	return elems, ""
}
