package schema_test

import (
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
)

// Generators of types, schemas and values that pass CheckRow.

// keyTypes are the types that a primary key can have, each once.
var keyTypes = []schema.Type{
	{Kind: schema.KindBoolean}, {Kind: schema.KindInt}, {Kind: schema.KindLong}, {Kind: schema.KindDate},
	{Kind: schema.KindTime}, {Kind: schema.KindTimestamp}, {Kind: schema.KindTimestamptz},
	{Kind: schema.KindString}, {Kind: schema.KindUUID}, {Kind: schema.KindFixed, Length: 5},
	{Kind: schema.KindBinary}, {Kind: schema.KindDecimal, Precision: 38, Scale: 10},
}

// flatTypes are the types that are not nested, each once.
var flatTypes = append([]schema.Type{
	{Kind: schema.KindFloat}, {Kind: schema.KindDouble}, {Kind: schema.KindJSON},
	{Kind: schema.KindDecimal, Precision: 9, Scale: 2},
}, keyTypes...)

// fieldsOf makes optional fields of those types, with names and ids by place.
func fieldsOf(firstID int, types ...schema.Type) []schema.Field {
	fields := make([]schema.Field, len(types))
	for i, t := range types {
		fields[i] = schema.Field{ID: firstID + i, Name: "f" + strconv.Itoa(firstID+i), Type: t}
	}
	return fields
}

func listOf(t schema.Type) schema.Type {
	return schema.Type{Kind: schema.KindList, Fields: []schema.Field{{ID: 900, Name: "element", Type: t}}}
}

func mapOf(k, v schema.Type) schema.Type {
	return schema.Type{Kind: schema.KindMap, Fields: []schema.Field{
		{ID: 901, Name: "key", Type: k, Required: true}, {ID: 902, Name: "value", Type: v}}}
}

func structOf(types ...schema.Type) schema.Type {
	return schema.Type{Kind: schema.KindStruct, Fields: fieldsOf(100, types...)}
}

// genType draws a type that nests at most depth levels.
func genType(depth int) *rapid.Generator[schema.Type] {
	return rapid.Custom(func(t *rapid.T) schema.Type {
		n := len(flatTypes)
		if depth > 0 {
			n += 3
		}
		switch i := rapid.IntRange(0, n-1).Draw(t, "type"); i - len(flatTypes) {
		case 0:
			types := rapid.SliceOfN(genType(depth-1), 1, 10).Draw(t, "fields")
			return structOf(types...)
		case 1:
			return listOf(genType(depth-1).Draw(t, "element"))
		case 2:
			return mapOf(genType(0).Draw(t, "key"), genType(depth-1).Draw(t, "value"))
		default:
			return flatTypes[i]
		}
	})
}

// genSchema draws a schema without a key, of up to 12 optional fields.
func genSchema() *rapid.Generator[*schema.Schema] {
	return rapid.Custom(func(t *rapid.T) *schema.Schema {
		types := rapid.SliceOfN(genType(2), 1, 12).Draw(t, "types")
		return &schema.Schema{ID: schema.SchemaID(rapid.Uint32().Draw(t, "id")), Fields: fieldsOf(1, types...)}
	})
}

func genRow(s *schema.Schema) *rapid.Generator[[]schema.Value] {
	return rapid.Custom(func(t *rapid.T) []schema.Value {
		row := make([]schema.Value, len(s.Fields))
		for i, f := range s.Fields {
			row[i] = genMaybe(f.Type).Draw(t, f.Name)
		}
		return row
	})
}

// genMaybe draws a value or null.
func genMaybe(typ schema.Type) *rapid.Generator[schema.Value] {
	return rapid.OneOf(rapid.Just(schema.Null), genValue(typ), genValue(typ), genValue(typ))
}

// genValue draws a value that is not null.
func genValue(typ schema.Type) *rapid.Generator[schema.Value] {
	return rapid.Custom(func(t *rapid.T) schema.Value {
		switch typ.Kind {
		case schema.KindBoolean:
			return schema.Bool(rapid.Bool().Draw(t, "v"))
		case schema.KindInt, schema.KindDate:
			return schema.Int(int64(rapid.Int32().Draw(t, "v")))
		case schema.KindLong, schema.KindTimestamp, schema.KindTimestamptz:
			return schema.Int(rapid.Int64().Draw(t, "v"))
		case schema.KindTime:
			return schema.Int(rapid.Int64Range(0, 86_400_000_000-1).Draw(t, "v"))
		case schema.KindFloat:
			return schema.Float(float64(rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{
				float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1))})).Draw(t, "v")))
		case schema.KindDouble:
			return schema.Float(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
				math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)})).Draw(t, "v"))
		case schema.KindDecimal:
			return schema.Decimal(genDecimal(typ.Precision).Draw(t, "v"))
		case schema.KindString:
			return schema.String(rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 'a', 0xff}))).Draw(t, "v"))
		case schema.KindJSON:
			return schema.String(rapid.SampledFrom([]string{"null", `{"a":[1,2]}`, `"x"`, "[]", "1.50"}).Draw(t, "v"))
		case schema.KindUUID:
			return schema.Bytes(genBytes(16, 16).Draw(t, "v"))
		case schema.KindFixed:
			return schema.Bytes(genBytes(typ.Length, typ.Length).Draw(t, "v"))
		case schema.KindBinary:
			return schema.Bytes(genBytes(0, 8).Draw(t, "v"))
		default:
			return genNested(typ).Draw(t, "v")
		}
	})
}

func genNested(typ schema.Type) *rapid.Generator[schema.Value] {
	return rapid.Custom(func(t *rapid.T) schema.Value {
		var elems []schema.Value
		switch typ.Kind {
		case schema.KindStruct:
			for _, f := range typ.Fields {
				elems = append(elems, genMaybe(f.Type).Draw(t, f.Name))
			}
		case schema.KindList:
			elems = rapid.SliceOfN(genMaybe(typ.Element().Type), 0, 10).Draw(t, "elems")
		case schema.KindMap:
			for range rapid.IntRange(0, 10).Draw(t, "entries") {
				elems = append(elems, genValue(typ.MapKey().Type).Draw(t, "key"), genMaybe(typ.MapValue().Type).Draw(t, "value"))
			}
		}
		return schema.Elems(elems)
	})
}

// genBytes draws bytes among which those that keys escape are common.
func genBytes(least, most int) *rapid.Generator[[]byte] {
	return rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{0, 1, 0xfe, 0xff})), least, most)
}

// genDecimal draws an unscaled value of up to that many digits.
func genDecimal(precision int) *rapid.Generator[decimal128.Num] {
	return rapid.Custom(func(t *rapid.T) decimal128.Num {
		n := decimal128.New(rapid.Int64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")).BigInt()
		limit := decimal128.GetScaleMultiplier(rapid.IntRange(0, precision).Draw(t, "digits")).BigInt()
		return decimal128.FromBigInt(n.Rem(n, limit)) // Num.Div panics at -2^127
	})
}

// equalRows compares by Compare and, beyond it, floats by their bits unless NaN.
func equalRows(fields []schema.Field, a, b []schema.Value) bool {
	if len(a) != len(fields) || len(b) != len(fields) {
		return false
	}
	for i, f := range fields {
		if !schema.Equal(f.Type, a[i], b[i]) {
			return false
		}
		if (f.Type.Kind == schema.KindFloat || f.Type.Kind == schema.KindDouble) && math.Signbit(a[i].Float()) != math.Signbit(b[i].Float()) && !math.IsNaN(a[i].Float()) {
			return false
		}
	}
	return true
}
