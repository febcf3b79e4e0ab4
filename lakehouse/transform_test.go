package lakehouse_test

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/iceberg-go"
	"github.com/google/uuid"

	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

func typed(t testing.TB, typ schema.Type, text string) schema.Value {
	t.Helper()
	v, err := schema.ParseText(typ, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) schema.Value {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return schema.Bytes(b)
}

func decimal(precision, scale int) schema.Type {
	return schema.Type{Kind: schema.KindDecimal, Precision: precision, Scale: scale}
}

// The hash values of Iceberg's specification, appendix B. A bucket is the hash
// without its sign, modulo the number: of 2^31 buckets, the hash without its sign.
func TestBucketHashesOfTheSpecification(t *testing.T) {
	whole := schema.Transform{Kind: schema.TransformBucket, Width: math.MaxInt32}
	for _, tc := range []struct {
		name string
		typ  schema.Type
		v    schema.Value
		hash int32
	}{
		{"int 34", kind(schema.KindInt), schema.Int(34), 2017239379},
		{"long 34", kind(schema.KindLong), schema.Int(34), 2017239379},
		{"decimal 14.20", decimal(9, 2), typed(t, decimal(9, 2), "14.20"), -500754589},
		{"date 2017-11-16", kind(schema.KindDate), typed(t, kind(schema.KindDate), "2017-11-16"), -653330422},
		{"time 22:31:08", kind(schema.KindTime), typed(t, kind(schema.KindTime), "22:31:08"), -662762989},
		{"timestamp", kind(schema.KindTimestamp), typed(t, kind(schema.KindTimestamp), "2017-11-16T22:31:08"), -2047944441},
		{"timestamptz", kind(schema.KindTimestamptz), typed(t, kind(schema.KindTimestamptz), "2017-11-16T14:31:08-08:00"), -2047944441},
		{"timestamp 1 µs on", kind(schema.KindTimestamp), typed(t, kind(schema.KindTimestamp), "2017-11-16T22:31:08.000001"), -1207196810},
		{"string iceberg", kind(schema.KindString), schema.String("iceberg"), 1210000089},
		{"uuid", kind(schema.KindUUID), unhex(t, "f79c3e09677c4bbda4793f349cb785e7"), 1488055340},
		{"fixed", schema.Type{Kind: schema.KindFixed, Length: 4}, unhex(t, "00010203"), -188683207},
		{"binary", kind(schema.KindBinary), unhex(t, "00010203"), -188683207},
	} {
		want := int64(tc.hash&math.MaxInt32) % math.MaxInt32
		if got := lakehouse.TransformValue(whole, tc.typ, tc.v); got.Int() != want {
			t.Errorf("%s: %d, want %d", tc.name, got.Int(), want)
		}
	}
}

// The examples of the specification, and what lies around zero.
func TestTransformExamples(t *testing.T) {
	long, str, date, ts := kind(schema.KindLong), kind(schema.KindString), kind(schema.KindDate), kind(schema.KindTimestamp)
	for _, tc := range []struct {
		transform string
		typ       schema.Type
		in, want  string
	}{
		{"truncate(10)", long, "1", "0"},
		{"truncate(10)", long, "-1", "-10"},
		{"truncate(10)", long, "-10", "-10"},
		{"truncate(50)", decimal(9, 2), "10.65", "10.50"},
		{"truncate(10)", decimal(9, 2), "-0.05", "-0.10"},
		{"truncate(10)", decimal(38, 0), "-99999999999999999999999999999999999999", "-100000000000000000000000000000000000000"},
		{"truncate(3)", str, "iceberg", "ice"},
		{"truncate(2)", str, "𝄞☃é", "𝄞☃"},
		{"truncate(9)", str, "short", "short"},
		{"year", date, "1969-12-31", "-1"},
		{"year", date, "1970-01-01", "0"},
		{"year", ts, "2017-11-16T22:31:08", "47"},
		{"month", date, "1969-12-31", "-1"},
		{"month", ts, "1968-12-31T23:59:59.999999", "-13"},
		{"month", ts, "2017-11-16T22:31:08", "574"},
		{"day", ts, "1969-12-31T23:59:59.999999", "-1"},
		{"day", ts, "1969-12-31T00:00:00", "-1"},
		{"day", ts, "1969-12-30T23:59:59", "-2"},
		{"day", ts, "2017-11-16T22:31:08", "17486"},
		{"hour", ts, "2017-11-16T22:31:08", "419686"},
		{"hour", ts, "1969-12-31T23:00:00", "-1"},
		{"hour", ts, "1969-12-31T22:59:59.999999", "-2"},
	} {
		x, ok := schema.ParseTransform(tc.transform)
		if !ok {
			t.Fatal(tc.transform)
		}
		got := lakehouse.TransformValue(x, tc.typ, typed(t, tc.typ, tc.in))
		result := x.Result(tc.typ)
		if result.Kind == schema.KindDate {
			result = long // the specification's int
		}
		var want schema.Value
		if tc.typ.Kind == schema.KindDecimal && strings.Count(tc.want, "0") == 38 {
			want = schema.Bytes(append([]byte{}, twosComplement(decimal128.GetMaxValue(38).Add(decimal128.FromI64(1)).Negate())...))
		} else {
			want = typed(t, result, tc.want)
		}
		if !schema.Equal(result, got, want) {
			t.Errorf("%s of %s %s = %v, want %v", tc.transform, tc.typ, tc.in, got, want)
		}
		if null := lakehouse.TransformValue(x, tc.typ, schema.Null); !null.IsNull() {
			t.Errorf("%s of null is %v", tc.transform, null)
		}
	}
}

func twosComplement(n decimal128.Num) []byte {
	var b [16]byte
	for i := range 8 {
		b[7-i], b[15-i] = byte(uint64(n.HighBits())>>(8*i)), byte(n.LowBits()>>(8*i))
	}
	return b[:]
}

// iceberg-go, which others' writers are made of, gives the same values.
func TestTransformsAgreeWithIceberg(t *testing.T) {
	r := seedtest.Rand(t)
	for range 20_000 {
		f := flat().Fields[1+r.IntN(len(flat().Fields)-1)]
		x := schema.Transform{Kind: schema.TransformKind(1 + r.IntN(7))}
		if x.Sized() {
			x.Width = 1 + r.IntN(200)
		}
		if !x.Takes(f.Type) {
			continue
		}
		v := randomValue(r, f.Type, true)
		if x.Kind == schema.TransformTruncate && v.Bytes() == nil && v.Int() < math.MinInt32+200 {
			continue // wraps, each in its way
		}
		got := lakehouse.TransformValue(x, f.Type, v)
		want := icebergTransform(x).Apply(iceberg.Optional[iceberg.Literal]{Valid: true, Val: literal(f.Type, v)})
		if !want.Valid || want.Val.String() != literal(x.Result(f.Type), got).String() {
			t.Fatalf("%s of %s %v = %v, iceberg-go says %v", x, f.Type, literal(f.Type, v), literal(x.Result(f.Type), got), want.Val)
		}
	}
}

func icebergTransform(x schema.Transform) iceberg.Transform {
	text := strings.NewReplacer("(", "[", ")", "]").Replace(x.String())
	out, err := iceberg.ParseTransform(text)
	if err != nil {
		panic(err)
	}
	return out
}

func literal(t schema.Type, v schema.Value) iceberg.Literal {
	switch t.Kind {
	case schema.KindBoolean:
		return iceberg.NewLiteral(v.Bool())
	case schema.KindInt:
		return iceberg.NewLiteral(int32(v.Int()))
	case schema.KindDate:
		return iceberg.NewLiteral(iceberg.Date(v.Int()))
	case schema.KindTime:
		return iceberg.NewLiteral(iceberg.Time(v.Int()))
	case schema.KindTimestamp, schema.KindTimestamptz:
		return iceberg.NewLiteral(iceberg.Timestamp(v.Int()))
	case schema.KindString:
		return iceberg.NewLiteral(string(v.Bytes()))
	case schema.KindUUID:
		return iceberg.NewLiteral(uuid.UUID(v.Bytes()))
	case schema.KindFixed, schema.KindBinary:
		return iceberg.NewLiteral(v.Bytes())
	case schema.KindDecimal:
		var hi, lo uint64
		for i, b := range v.Bytes() {
			if i < 8 {
				hi = hi<<8 | uint64(b)
			} else {
				lo = lo<<8 | uint64(b)
			}
		}
		return iceberg.NewLiteral(iceberg.Decimal{Val: decimal128.New(int64(hi), lo), Scale: t.Scale})
	}
	return iceberg.NewLiteral(v.Int())
}

// A decimal's truncation fits the bytes that a manifest has for it, or is refused.
func TestDecimalTruncationFits(t *testing.T) {
	for _, tc := range []struct {
		precision, width int
		takes            bool
	}{{2, 10, true}, {2, 64, true}, {2, 70, false}, {2, 1 << 20, false}, {9, 1 << 20, true}, {38, 1 << 20, true}} {
		x := schema.Transform{Kind: schema.TransformTruncate, Width: tc.width}
		if got := x.Takes(decimal(tc.precision, 0)); got != tc.takes {
			t.Errorf("decimal(%d,0) by %s: %v", tc.precision, x, got)
		}
	}
}
