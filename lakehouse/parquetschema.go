package lakehouse

import (
	"fmt"
	"reflect"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"

	"github.com/trinedb/trine/schema"
)

// systemFields are the columns that every table has after its own.
var systemFields = []schema.Field{
	{ID: schema.SeqColumnID, Name: schema.SeqColumn, Type: schema.Type{Kind: schema.KindLong}, Required: true},
	{ID: schema.TimeColumnID, Name: schema.TimeColumn, Type: schema.Type{Kind: schema.KindTimestamptz}, Required: true},
}

// systemField is the one of that name.
func systemField(name string) (schema.Field, bool) {
	for _, f := range systemFields {
		if f.Name == name {
			return f, true
		}
	}
	return schema.Field{}, false
}

// tableFields are a schema's fields and the system columns, as they stand in a
// data file and in the table's Iceberg schema.
func tableFields(s *schema.Schema) []schema.Field {
	fields := make([]schema.Field, 0, len(s.Fields)+len(systemFields))
	return append(append(fields, s.Fields...), systemFields...)
}

// parquetSchema is the Parquet schema of a data file: fields in the order
// given, a field id on every node that has one.
func parquetSchema(fields []schema.Field, dictionary func(schema.Field) bool) (*parquet.Schema, error) {
	root := &group{typ: groupType}
	for _, f := range fields {
		node, err := fieldNode(f, dictionary)
		if err != nil {
			return nil, err
		}
		root.fields = append(root.fields, &groupField{Node: node, name: f.Name})
	}
	return parquet.NewSchema("table", root), nil
}

func fieldNode(f schema.Field, dictionary func(schema.Field) bool) (parquet.Node, error) {
	var node parquet.Node
	switch f.Type.Kind {
	case schema.KindStruct:
		if len(f.Type.Fields) == 0 {
			return nil, fmt.Errorf("field %s: Parquet has no struct without fields: %w", f.Name, schema.ErrUnsupported)
		}
		g := &group{typ: groupType}
		for _, child := range f.Type.Fields {
			n, err := fieldNode(child, dictionary)
			if err != nil {
				return nil, err
			}
			g.fields = append(g.fields, &groupField{Node: n, name: child.Name})
		}
		node = g
	case schema.KindList:
		element, err := fieldNode(f.Type.Element(), dictionary)
		if err != nil {
			return nil, err
		}
		node = &group{typ: listType, fields: []parquet.Field{
			&groupField{name: "list", Node: parquet.Repeated(&group{typ: groupType, fields: []parquet.Field{
				&groupField{name: "element", Node: element},
			}})},
		}}
	case schema.KindMap:
		key := f.Type.MapKey()
		key.Required = true
		keyNode, err := fieldNode(key, dictionary)
		if err != nil {
			return nil, err
		}
		valueNode, err := fieldNode(f.Type.MapValue(), dictionary)
		if err != nil {
			return nil, err
		}
		node = &group{typ: mapType, fields: []parquet.Field{
			&groupField{name: "key_value", Node: parquet.Repeated(&group{typ: groupType, fields: []parquet.Field{
				&groupField{name: "key", Node: keyNode},
				&groupField{name: "value", Node: valueNode},
			}})},
		}}
	default:
		leaf, err := leafNode(f.Type)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		var enc encoding.Encoding = &parquet.Plain
		if dictionary(f) {
			enc = &parquet.RLEDictionary
		}
		node = parquet.Encoded(leaf, enc)
	}
	if !f.Required {
		node = parquet.Optional(node)
	}
	return parquet.FieldID(node, f.ID), nil
}

func leafNode(t schema.Type) (parquet.Node, error) {
	switch t.Kind {
	case schema.KindBoolean:
		return parquet.Leaf(parquet.BooleanType), nil
	case schema.KindInt:
		return parquet.Leaf(parquet.Int32Type), nil
	case schema.KindLong:
		return parquet.Leaf(parquet.Int64Type), nil
	case schema.KindFloat:
		return parquet.Leaf(parquet.FloatType), nil
	case schema.KindDouble:
		return parquet.Leaf(parquet.DoubleType), nil
	case schema.KindDecimal:
		return decimalNode(t), nil
	case schema.KindDate:
		return parquet.Date(), nil
	case schema.KindTime:
		return parquet.TimeAdjusted(parquet.Microsecond, false), nil
	case schema.KindTimestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, false), nil
	case schema.KindTimestamptz:
		return parquet.TimestampAdjusted(parquet.Microsecond, true), nil
	case schema.KindString, schema.KindJSON:
		return parquet.String(), nil
	case schema.KindUUID:
		return parquet.UUID(), nil
	case schema.KindFixed:
		return parquet.Leaf(parquet.FixedLenByteArrayType(t.Length)), nil
	case schema.KindBinary:
		return parquet.Leaf(parquet.ByteArrayType), nil
	default:
		return nil, fmt.Errorf("a table cannot hold type %s: %w", t, schema.ErrUnsupported)
	}
}

// Precisions up to which a decimal is held as an integer.
const (
	maxInt32Precision = 9
	maxInt64Precision = 18
)

func decimalNode(t schema.Type) parquet.Node {
	switch {
	case t.Precision <= maxInt32Precision:
		return parquet.Decimal(t.Scale, t.Precision, parquet.Int32Type)
	case t.Precision <= maxInt64Precision:
		return parquet.Decimal(t.Scale, t.Precision, parquet.Int64Type)
	default:
		n := decimalBytes(t.Precision)
		node := parquet.Decimal(t.Scale, t.Precision, parquet.FixedLenByteArrayType(n))
		return parquet.Leaf(signedType{Type: node.Type(), size: n})
	}
}

// decimalBytes is the fewest bytes whose two's complement holds any decimal of
// a precision: the least n with 10^precision ≤ 2^(8n−1).
func decimalBytes(precision int) int {
	return decimalSizes[precision]
}

var decimalSizes = func() [39]int {
	var sizes [39]int
	for p := 1; p <= 38; p++ {
		bits := float64(p)*3.3219280948873626 + 1 // log2(10)
		sizes[p] = (int(bits) + 8) / 8
	}
	return sizes
}()

// signedType makes the page index of a wide decimal column exclude nothing.
// The writer orders fixed-length values as unsigned bytes, and an index by that
// order would make readers skip pages that hold what they look for. The
// column's bounds must be skipped as well (parquet.SkipPageBounds).
type signedType struct {
	parquet.Type
	size int
}

func (t signedType) NewColumnIndexer(int) parquet.ColumnIndexer { return &wideIndexer{size: t.size} }

type wideIndexer struct {
	size  int
	index format.ColumnIndex
}

func (x *wideIndexer) Reset() { x.index = format.ColumnIndex{} }

func (x *wideIndexer) IndexPage(numValues, numNulls int64, _, _ parquet.Value) {
	lo, hi := make([]byte, x.size), make([]byte, x.size)
	lo[0], hi[0] = 0x80, 0x7f
	for i := 1; i < x.size; i++ {
		hi[i] = 0xff
	}
	x.index.NullPages = append(x.index.NullPages, numValues == numNulls)
	x.index.NullCounts = append(x.index.NullCounts, numNulls)
	x.index.MinValues = append(x.index.MinValues, lo)
	x.index.MaxValues = append(x.index.MaxValues, hi)
}

func (x *wideIndexer) ColumnIndex() format.ColumnIndex { return x.index }

// group is a Parquet group that keeps its fields' order; parquet.Group sorts
// them by name.
type group struct {
	fields []parquet.Field
	typ    parquet.Type
}

var (
	groupType = parquet.Group{}.Type()
	listType  = parquet.List(parquet.Leaf(parquet.Int32Type)).Type()
	mapType   = parquet.Map(parquet.Leaf(parquet.Int32Type), parquet.Leaf(parquet.Int32Type)).Type()
)

func (g *group) ID() int                     { return 0 }
func (g *group) String() string              { return "group" }
func (g *group) Type() parquet.Type          { return g.typ }
func (g *group) Optional() bool              { return false }
func (g *group) Repeated() bool              { return false }
func (g *group) Required() bool              { return true }
func (g *group) Leaf() bool                  { return false }
func (g *group) Fields() []parquet.Field     { return g.fields }
func (g *group) Encoding() encoding.Encoding { return nil }
func (g *group) Compression() compress.Codec { return nil }
func (g *group) GoType() reflect.Type        { return reflect.TypeFor[struct{}]() }

// groupField is a named member of a group. Rows are never mapped to Go values,
// so Value is not used.
type groupField struct {
	parquet.Node
	name string
}

func (f *groupField) Name() string                           { return f.name }
func (f *groupField) Value(base reflect.Value) reflect.Value { return reflect.Value{} }
