// Package schematest draws random schemas and rows for property tests.
package schematest

import (
	"math"
	"strings"
	"unicode"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
)

// Scalars are the kinds that are not nested.
var Scalars = []schema.Kind{
	schema.KindBoolean, schema.KindInt, schema.KindLong, schema.KindFloat, schema.KindDouble, schema.KindDecimal,
	schema.KindDate, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz, schema.KindString, schema.KindUUID,
	schema.KindFixed, schema.KindBinary, schema.KindJSON,
}

// keyable are the kinds of keys.
var keyable = []schema.Kind{
	schema.KindBoolean, schema.KindInt, schema.KindLong, schema.KindDate, schema.KindTime, schema.KindTimestamp,
	schema.KindTimestamptz, schema.KindString, schema.KindUUID, schema.KindFixed, schema.KindBinary, schema.KindDecimal,
}

// Schema draws a schema of all types, nested ones up to depth levels, with
// ids and, half of the time, a key.
func Schema(t *rapid.T, depth int) *schema.Schema {
	s := &schema.Schema{}
	s.Fields = fields(t, s, depth, 8)
	if rapid.Bool().Draw(t, "keyed") {
		for i := range min(len(s.Fields), rapid.IntRange(1, 3).Draw(t, "keyFields")) {
			f := &s.Fields[i]
			f.Required = true
			f.Type = scalar(t, rapid.SampledFrom(keyable).Draw(t, "keyKind"))
			s.Key = append(s.Key, i)
		}
	}
	return s
}

// fields draws the fields of a level.
func fields(t *rapid.T, s *schema.Schema, depth, most int) []schema.Field {
	out := make([]schema.Field, rapid.IntRange(1, most).Draw(t, "fields"))
	seen := map[string]bool{}
	for i := range out {
		name := Name().Filter(func(n string) bool { return !seen[fold(n)] }).Draw(t, "name")
		seen[fold(name)] = true
		out[i] = field(t, s, name, depth)
	}
	return out
}

func field(t *rapid.T, s *schema.Schema, name string, depth int) schema.Field {
	s.LastFieldID++
	f := schema.Field{ID: s.LastFieldID, Name: name, Required: rapid.Bool().Draw(t, "required")}
	if rapid.IntRange(0, 3).Draw(t, "documented") == 0 {
		f.Doc = rapid.StringN(0, 20, -1).Draw(t, "doc")
	}
	kind := rapid.IntRange(0, len(Scalars)+2)
	if depth <= 1 {
		kind = rapid.IntRange(0, len(Scalars)-1)
	}
	switch k := kind.Draw(t, "kind"); k - len(Scalars) {
	case 0:
		f.Type = schema.Type{Kind: schema.KindStruct, Fields: fields(t, s, depth-1, 3)}
	case 1:
		f.Type = schema.Type{Kind: schema.KindList, Fields: []schema.Field{field(t, s, "element", depth-1)}}
	case 2:
		key := field(t, s, "key", 1)
		key.Required = true
		if key.Type.Kind == schema.KindJSON {
			key.Type.Kind = schema.KindString
		}
		f.Type = schema.Type{Kind: schema.KindMap, Fields: []schema.Field{key, field(t, s, "value", depth-1)}}
	default:
		f.Type = scalar(t, Scalars[k])
	}
	return f
}

func scalar(t *rapid.T, k schema.Kind) schema.Type {
	ty := schema.Type{Kind: k}
	switch k {
	case schema.KindDecimal:
		ty.Precision = rapid.IntRange(1, 38).Draw(t, "precision")
		ty.Scale = rapid.IntRange(0, ty.Precision).Draw(t, "scale")
	case schema.KindFixed:
		ty.Length = rapid.IntRange(1, 20).Draw(t, "length")
	}
	return ty
}

// Name draws a field's name, an odd one now and then.
func Name() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z][a-z0-9_]{0,8}`),
		rapid.StringMatching(`[A-Za-z][ -~]{0,12}`),
		rapid.StringN(1, 12, 128).Filter(func(s string) bool { return s[0] != '_' && !strings.ContainsRune(s, unicode.ReplacementChar) }),
		rapid.SampledFrom([]string{"true", "null", "no", "~", "1", "1e3", "- a", "a: b", "#x", "'", `"`, "\x00", "\u2028", "2024-01-01", " ", "=", "<<", "*a", "0x1", "😀"}),
	)
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		low := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			low = min(low, o)
		}
		return low
	}, s)
}

// Row draws a valid row.
func Row(t *rapid.T, s *schema.Schema) []schema.Value {
	row := make([]schema.Value, len(s.Fields))
	for i := range row {
		row[i] = fieldValue(t, &s.Fields[i])
	}
	return row
}

func fieldValue(t *rapid.T, f *schema.Field) schema.Value {
	if !f.Required && rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		return schema.Null
	}
	return Value(t, f.Type)
}

// Value draws a value that is not null.
func Value(t *rapid.T, ty schema.Type) schema.Value {
	switch ty.Kind {
	case schema.KindBoolean:
		return schema.Bool(rapid.Bool().Draw(t, "bool"))
	case schema.KindInt:
		return schema.Int(int64(rapid.Int32().Draw(t, "int")))
	case schema.KindDate:
		return schema.Int(int64(rapid.Int32Range(-1_000_000, 3_000_000).Draw(t, "date")))
	case schema.KindTime:
		return schema.Int(rapid.Int64Range(0, 86_399_999_999).Draw(t, "time"))
	case schema.KindLong, schema.KindTimestamp, schema.KindTimestamptz:
		return schema.Int(rapid.Int64().Draw(t, "long"))
	case schema.KindFloat:
		return schema.Float(float64(rapid.OneOf(rapid.Float32(), rapid.SampledFrom(odd32)).Draw(t, "float")))
	case schema.KindDouble:
		return schema.Float(rapid.OneOf(rapid.Float64(), rapid.SampledFrom(odd64)).Draw(t, "double"))
	case schema.KindDecimal:
		return decimal(t, ty)
	case schema.KindString:
		return schema.String(rapid.String().Draw(t, "string"))
	case schema.KindUUID:
		return schema.Bytes(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
	case schema.KindFixed:
		return schema.Bytes(rapid.SliceOfN(rapid.Byte(), ty.Length, ty.Length).Draw(t, "fixed"))
	case schema.KindBinary:
		return schema.Bytes(rapid.SliceOf(rapid.Byte()).Draw(t, "binary"))
	case schema.KindJSON:
		return schema.String(rapid.SampledFrom([]string{`1`, `"a"`, `{"a":[1,2,{}],"b":"\u00e9"}`, `[]`, `true`, `-1.5e300`}).Draw(t, "json"))
	case schema.KindStruct:
		elems := make([]schema.Value, len(ty.Fields))
		for i := range elems {
			elems[i] = fieldValue(t, &ty.Fields[i])
		}
		return schema.Elems(elems)
	default:
		return entries(t, ty)
	}
}

var odd32 = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, math.SmallestNonzeroFloat32, 0}
var odd64 = []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1)}

func decimal(t *rapid.T, ty schema.Type) schema.Value {
	digits := rapid.StringMatching(`-?[0-9]{1,38}`).Draw(t, "decimal")
	n, err := decimal128.FromString(digits, 38, 0)
	limit := decimal128.GetScaleMultiplier(ty.Precision)
	if err != nil {
		return schema.Decimal(decimal128.FromI64(0))
	}
	if _, rem := n.Div(limit); true {
		n = rem
	}
	return schema.Decimal(n)
}

// entries draws a list, or a map without a key twice.
func entries(t *rapid.T, ty schema.Type) schema.Value {
	elems := []schema.Value{}
	seen := map[string]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		if ty.Kind == schema.KindList {
			elems = append(elems, fieldValue(t, &ty.Fields[0]))
			continue
		}
		key := Value(t, ty.Fields[0].Type)
		text := string(schema.AppendText(nil, ty.Fields[0].Type, key))
		if seen[text] || text == "-0" {
			continue
		}
		seen[text] = true
		elems = append(elems, key, fieldValue(t, &ty.Fields[1]))
	}
	return schema.Elems(elems)
}
