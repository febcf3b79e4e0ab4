package schema_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
)

func decimalType(p, s int) schema.Type {
	return schema.Type{Kind: schema.KindDecimal, Precision: p, Scale: s}
}

// TestText reads text and writes it back in its one form.
func TestText(t *testing.T) {
	k := func(kind schema.Kind) schema.Type { return schema.Type{Kind: kind} }
	tests := []struct {
		typ      schema.Type
		in, want string
	}{
		{k(schema.KindBoolean), "TRUE", "true"},
		{k(schema.KindBoolean), "f", "false"},
		{k(schema.KindBoolean), "1", "true"},
		{k(schema.KindInt), "-2147483648", "-2147483648"},
		{k(schema.KindLong), "+7", "7"},
		{k(schema.KindLong), "9223372036854775807", "9223372036854775807"},
		{k(schema.KindFloat), "0.1", "0.1"},
		{k(schema.KindDouble), "1e300", "1e+300"},
		{k(schema.KindDouble), "100", "100"},
		{k(schema.KindDouble), "nan", "NaN"},
		{k(schema.KindDouble), "-Infinity", "-Infinity"},
		{k(schema.KindDouble), "-0", "-0"},
		{decimalType(5, 2), "1", "1.00"},
		{decimalType(5, 2), "-0.5", "-0.50"},
		{decimalType(5, 2), ".5", "0.50"},
		{decimalType(5, 2), "999.99", "999.99"},
		{decimalType(5, 2), "1.5000000", "1.50"},
		{decimalType(5, 2), "1e2", "100.00"},
		{decimalType(5, 2), "12345e-2", "123.45"},
		{decimalType(5, 2), "000000000000000000000000000000000000000000001.00", "1.00"},
		{decimalType(5, 2), "-0.00", "0.00"},
		{decimalType(5, 2), "0e9999", "0.00"},
		{decimalType(3, 0), "-120", "-120"},
		{decimalType(38, 0), "-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"},
		{decimalType(38, 38), "0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001"},
		{k(schema.KindDate), "2024-02-29", "2024-02-29"},
		{k(schema.KindDate), "0000-01-01", "0000-01-01"},
		{k(schema.KindDate), "-0044-03-15", "-0044-03-15"},
		{k(schema.KindDate), "+12345-06-07", "+12345-06-07"},
		{k(schema.KindTime), "00:00:00", "00:00:00"},
		{k(schema.KindTime), "23:59:59.999999000", "23:59:59.999999"},
		{k(schema.KindTime), "12:00:00.5", "12:00:00.5"},
		{k(schema.KindTimestamp), "2024-02-29T12:34:56", "2024-02-29T12:34:56"},
		{k(schema.KindTimestamp), "1969-12-31 23:59:59.999999", "1969-12-31T23:59:59.999999"},
		{k(schema.KindTimestamptz), "2024-02-29T12:34:56Z", "2024-02-29T12:34:56Z"},
		{k(schema.KindTimestamptz), "2024-02-29t00:30:00.250+01:00", "2024-02-28T23:30:00.25Z"},
		{k(schema.KindTimestamptz), "2024-02-29 12:34:56-0530", "2024-02-29T18:04:56Z"},
		{k(schema.KindTimestamptz), "2024-02-29 12:34:56+00", "2024-02-29T12:34:56Z"},
		{k(schema.KindString), "né", "né"},
		{k(schema.KindString), "", ""},
		{k(schema.KindJSON), `{"a": 1}`, `{"a": 1}`},
		{k(schema.KindUUID), "123E4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"},
		{k(schema.KindUUID), "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-426614174000"},
		{schema.Type{Kind: schema.KindFixed, Length: 3}, "AQID", "AQID"},
		{k(schema.KindBinary), "", ""},
	}
	for _, test := range tests {
		v, err := schema.ParseText(test.typ, test.in)
		if err != nil {
			t.Errorf("%s %q: %v", test.typ, test.in, err)
			continue
		}
		if got := string(schema.AppendText(nil, test.typ, v)); got != test.want {
			t.Errorf("%s %q: written as %q, want %q", test.typ, test.in, got, test.want)
		}
	}
}

func TestTextRefused(t *testing.T) {
	k := func(kind schema.Kind) schema.Type { return schema.Type{Kind: kind} }
	tests := []struct {
		typ      schema.Type
		in, rule string
	}{
		{k(schema.KindBoolean), "yes", "want true or false"},
		{k(schema.KindInt), "2147483648", "make the field a long"},
		{k(schema.KindInt), "1.0", "want a whole number"},
		{k(schema.KindInt), "", "want a whole number"},
		{k(schema.KindLong), "9223372036854775808", "64 bits"},
		{k(schema.KindLong), " 1", "want a whole number"},
		{k(schema.KindFloat), "1e39", "outside of the type's range"},
		{k(schema.KindDouble), "0x1p-2", "want a number"},
		{k(schema.KindDouble), "1_000", "want a number"},
		{decimalType(5, 2), "1.005", "more than 2 digits after the point"},
		{decimalType(5, 2), "1000", "does not fit decimal(5,2)"},
		{decimalType(5, 2), "1e4", "does not fit decimal(5,2)"},
		{decimalType(5, 2), "1e30000", "does not fit decimal(5,2)"},
		{decimalType(5, 2), "1e-30000", "more than 2 digits after the point"},
		{decimalType(5, 2), "1e99999", "want a decimal number"},
		{decimalType(5, 2), strings.Repeat("9", 1<<20), "does not fit decimal(5,2)"},
		{decimalType(5, 2), "0." + strings.Repeat("0", 1<<20) + "1", "more than 2 digits after the point"},
		{decimalType(5, 2), ".", "want a decimal number"},
		{decimalType(5, 2), "-", "want a decimal number"},
		{decimalType(5, 2), "1.2.3", "want a decimal number"},
		{decimalType(5, 2), "1e", "want a decimal number"},
		{decimalType(5, 2), "NaN", "want a decimal number"},
		{k(schema.KindDate), "2023-02-29", "want a date such as"},
		{k(schema.KindDate), "12345-06-07", "want a date such as"},
		{k(schema.KindDate), "2024-2-9", "want a date such as"},
		{k(schema.KindDate), "2024-02-29T00:00:00", "want a date such as"},
		{k(schema.KindDate), "+9999999-01-01", "outside of the type's range"},
		{k(schema.KindTime), "24:00:00", "want a time of day"},
		{k(schema.KindTime), "12:00", "want a time of day"},
		{k(schema.KindTime), "12:00:60", "want a time of day"},
		{k(schema.KindTime), "12:00:00.", "want a time of day"},
		{k(schema.KindTime), "12:00:00Z", "want a time of day"},
		{k(schema.KindTime), "12:00:00.0000001", "more than 6 digits"},
		{k(schema.KindTimestamp), "2024-02-29", "want a timestamp such as"},
		{k(schema.KindTimestamp), "2024-02-29T12:34:56Z", "make the field a timestamptz"},
		{k(schema.KindTimestamp), "2024-02-29T12:34:56.1234567", "more than 6 digits"},
		{k(schema.KindTimestamp), "+999999-01-01T00:00:00", "outside of the type's range"},
		{k(schema.KindTimestamptz), "2024-02-29T12:34:56", "with its offset from UTC"},
		{k(schema.KindTimestamptz), "2024-02-29T12:34:56+1", "with its offset from UTC"},
		{k(schema.KindTimestamptz), "2024-02-29T12:34:56+19:00", "with its offset from UTC"},
		{k(schema.KindString), "a\xff", "is not valid UTF-8"},
		{k(schema.KindJSON), "{", "is not valid JSON"},
		{k(schema.KindUUID), "123e4567-e89b-12d3-a456-42661417400", "want a uuid"},
		{k(schema.KindUUID), "123e4567-e89b-12d3-a456-42661417400g", "want a uuid"},
		{schema.Type{Kind: schema.KindFixed, Length: 3}, "AQI=", "has 2 bytes, want 3"},
		{k(schema.KindBinary), "*", "want base64"},
		{listOf(k(schema.KindInt)), "[1]", "a list is written as JSON"},
	}
	for _, test := range tests {
		_, err := schema.ParseText(test.typ, test.in)
		var fe *schema.FieldError
		if !errors.As(err, &fe) || !strings.Contains(fe.Rule, test.rule) || len(fe.Value) > 64 {
			t.Errorf("%s %.50q: %v, want %q", test.typ, test.in, err, test.rule)
		}
	}
}

// TestTextRoundTrip: what AppendText writes, ParseText reads.
func TestTextRoundTrip(t *testing.T) {
	for _, typ := range flatTypes {
		t.Run(typ.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				v := genValue(typ).Draw(t, "v")
				text := schema.AppendText(nil, typ, v)
				back, err := schema.ParseText(typ, string(text))
				if err != nil || !schema.Equal(typ, v, back) {
					t.Fatalf("%v is written as %q, read as %v, %v", v, text, back, err)
				}
			})
		})
	}
	for _, limit := range []int64{math.MinInt64, math.MaxInt64} {
		typ := schema.Type{Kind: schema.KindTimestamp}
		text := schema.AppendText(nil, typ, schema.Int(limit))
		if back, err := schema.ParseText(typ, string(text)); err != nil || back.Int() != limit {
			t.Errorf("%s: %d, %v", text, back.Int(), err)
		}
	}
}

// TestTimestampText agrees with package time.
func TestTimestampText(t *testing.T) {
	typ := schema.Type{Kind: schema.KindTimestamp}
	rapid.Check(t, func(t *rapid.T) {
		first, last := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMicro()
		micros := rapid.Int64Range(first, last).Draw(t, "micros")
		got := string(schema.AppendText(nil, typ, schema.Int(micros)))
		if want := time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.999999"); got != want {
			t.Fatalf("%d is %s, want %s", micros, got, want)
		}
	})
	for _, beyond := range []string{"+294247-01-10T04:00:54.775808", "-290308-12-21T19:59:05.224191"} {
		if v, err := schema.ParseText(typ, beyond); err == nil {
			t.Errorf("%s is read as %d", beyond, v.Int())
		}
	}
}

// TestDecimalText agrees with package big.
func TestDecimalText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.IntRange(1, 38).Draw(t, "p")
		typ := decimalType(p, rapid.IntRange(0, p).Draw(t, "s"))
		v := schema.Decimal(genDecimal(p).Draw(t, "v"))
		text := string(schema.AppendText(nil, typ, v))
		want := new(big.Rat).SetFrac(v.Decimal().BigInt(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(typ.Scale)), nil))
		if want.FloatString(typ.Scale) != text {
			t.Fatalf("%s, want %s", text, want.FloatString(typ.Scale))
		}
	})
}

// TestNestedText: nested values are JSON, whatever is in them.
func TestNestedText(t *testing.T) {
	typ := structOf(schema.Type{Kind: schema.KindDouble}, listOf(schema.Type{Kind: schema.KindString}),
		mapOf(schema.Type{Kind: schema.KindString}, decimalType(5, 2)), mapOf(schema.Type{Kind: schema.KindInt}, schema.Type{Kind: schema.KindJSON}), schema.Type{Kind: schema.KindDate})
	v := schema.Elems([]schema.Value{schema.Float(math.NaN()), schema.Elems([]schema.Value{schema.String("a\"\n\x01é"), schema.Null}),
		schema.Elems([]schema.Value{schema.String("k"), mustParse(t, decimalType(5, 2), "1.5")}),
		schema.Elems([]schema.Value{schema.Int(1), schema.String("[2]")}), schema.Int(0)})
	want := `{"f100":"NaN","f101":["a\"\n\u0001é",null],"f102":{"k":"1.50"},"f103":[{"key":1,"value":[2]}],"f104":"1970-01-01"}`
	if got := string(schema.AppendText(nil, typ, v)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		typ := genType(3).Filter(schema.Type.Nested).Draw(t, "type")
		if got := schema.AppendText(nil, typ, genValue(typ).Draw(t, "v")); !json.Valid(got) {
			t.Fatalf("%s is not JSON", got)
		}
	})
}

func FuzzParseText(f *testing.F) {
	for _, s := range []string{"1.5", "-1e-3", "2024-02-29T12:34:56.5+01:00", "12:00:00.0000000", "+12345-01-01", "AQID"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, typ := range flatTypes {
			v, err := schema.ParseText(typ, s)
			if err != nil {
				continue
			}
			row := &schema.Schema{Fields: fieldsOf(1, typ)}
			if err := row.CheckRow([]schema.Value{v}); err != nil {
				t.Fatalf("%s %q is read as what is not valid: %v", typ, s, err)
			}
			text := schema.AppendText(nil, typ, v)
			if back, err := schema.ParseText(typ, string(text)); err != nil || !schema.Equal(typ, v, back) {
				t.Fatalf("%s %q is written as %q, read as %v, %v", typ, s, text, back, err)
			}
		}
	})
}
