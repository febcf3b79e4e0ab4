package schema_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
)

// keyed is a schema whose fields are its key, in order.
func keyed(types ...schema.Type) *schema.Schema {
	s := &schema.Schema{ID: 1, Fields: fieldsOf(1, types...)}
	for i := range types {
		s.Fields[i].Required = true
		s.Key = append(s.Key, i)
	}
	return s
}

// genNear draws two values, of which the second often is near the first.
func genNear(typ schema.Type) *rapid.Generator[[2]schema.Value] {
	return rapid.Custom(func(t *rapid.T) [2]schema.Value {
		a, b := genValue(typ).Draw(t, "a"), genValue(typ).Draw(t, "b")
		switch rapid.IntRange(0, 3).Draw(t, "near") {
		case 0:
			b = a
		case 1:
			if typ.Kind == schema.KindString || typ.Kind == schema.KindBinary {
				b = schema.Bytes(append(bytes.Clone(a.Bytes()), b.Bytes()...))
			}
		}
		return [2]schema.Value{a, b}
	})
}

// checkKeys demands order, round trip and the prefix property of two rows.
func checkKeys(t *rapid.T, s *schema.Schema, a, b []schema.Value) {
	ka, kb := s.AppendKey(nil, a), s.AppendKey(nil, b)
	want := 0
	for i := range a {
		if want = schema.Compare(s.Fields[i].Type, a[i], b[i]); want != 0 {
			break
		}
	}
	if got := bytes.Compare(ka, kb); got != want {
		t.Fatalf("%x and %x compare as %d, their values as %d", ka, kb, got, want)
	}
	if want != 0 && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
		t.Fatalf("one of %x and %x is a prefix of the other", ka, kb)
	}
	back, err := s.DecodeKey(ka, nil)
	if err != nil || !equalRows(s.Fields, a, back) {
		t.Fatalf("key %x reads as %v, %v, want %v", ka, back, err, a)
	}
	if _, err := s.DecodeKey(append(bytes.Clone(ka), 0), nil); !errors.Is(err, schema.ErrCorrupt) {
		t.Fatalf("a byte after the key: %v", err)
	}
	for n := range len(a) + 1 {
		prefix := s.AppendKeyParts(nil, a[:n])
		if !bytes.HasPrefix(ka, prefix) {
			t.Fatalf("%d parts %x do not begin the key %x", n, prefix, ka)
		}
		same := true
		for i := range n {
			same = same && schema.Equal(s.Fields[i].Type, a[i], b[i])
		}
		end := schema.PrefixEnd(prefix)
		in := bytes.Compare(kb, prefix) >= 0 && (end == nil || bytes.Compare(kb, end) < 0)
		if in != same {
			t.Fatalf("key %x in range of %x: %v, parts equal: %v", kb, prefix, in, same)
		}
	}
}

func TestKeyOfEachType(t *testing.T) {
	for _, typ := range keyTypes {
		t.Run(typ.String(), func(t *testing.T) {
			s := keyed(typ)
			rapid.Check(t, func(t *rapid.T) {
				v := genNear(typ).Draw(t, "values")
				checkKeys(t, s, v[:1], v[1:])
			})
		})
	}
}

func TestKeyComposite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(keyTypes), 1, 4).Draw(t, "types")
		var a, b []schema.Value
		for _, typ := range types {
			v := genNear(typ).Draw(t, "values")
			a, b = append(a, v[0]), append(b, v[1])
		}
		checkKeys(t, keyed(types...), a, b)
	})
}

// TestIndexFields checks nullable fields of every flat type, floats too.
func TestIndexFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(flatTypes), 1, 4).Draw(t, "types")
		s := &schema.Schema{Fields: fieldsOf(1, types...)}
		fields := rapid.Permutation(indexes(len(types))).Draw(t, "fields")
		a, b := make([]schema.Value, len(types)), make([]schema.Value, len(types))
		for i, typ := range types {
			a[i] = genMaybe(typ).Draw(t, "a")
			b[i] = rapid.OneOf(rapid.Just(a[i]), genMaybe(typ)).Draw(t, "b")
		}
		want, parts := 0, []schema.Value{}
		for _, f := range fields {
			parts = append(parts, a[f])
			if want == 0 {
				want = schema.Compare(types[f], a[f], b[f])
			}
		}
		ka, kb := s.AppendIndexFields(nil, fields, a), s.AppendIndexFields(nil, fields, b)
		if got := bytes.Compare(ka, kb); got != want {
			t.Fatalf("%x and %x compare as %d, their values as %d", ka, kb, got, want)
		}
		n := rapid.IntRange(0, len(parts)).Draw(t, "n")
		if prefix := s.AppendIndexParts(nil, fields, parts[:n]); !bytes.HasPrefix(ka, prefix) {
			t.Fatalf("%d parts %x do not begin %x", n, prefix, ka)
		}
		back, rest, err := s.DecodeIndexFields(fields, append(ka, "key"...), nil)
		if err != nil || string(rest) != "key" {
			t.Fatalf("decode: rest %q, %v", rest, err)
		}
		for i, f := range fields {
			if !schema.Equal(types[f], back[i], a[f]) {
				t.Fatalf("field %d: %v, want %v", f, back[i], a[f])
			}
		}
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// TestKeyGolden fixes key format 1.
func TestKeyGolden(t *testing.T) {
	tests := []struct {
		typ  schema.Type
		v    schema.Value
		want string
	}{
		{schema.Type{Kind: schema.KindBoolean}, schema.Bool(true), "01"},
		{schema.Type{Kind: schema.KindInt}, schema.Int(-1), "7fffffffffffffff"},
		{schema.Type{Kind: schema.KindLong}, schema.Int(-1), "7fffffffffffffff"},
		{schema.Type{Kind: schema.KindDate}, schema.Int(1), "80000001"},
		{schema.Type{Kind: schema.KindTime}, schema.Int(1), "8000000000000001"},
		{schema.Type{Kind: schema.KindTimestamptz}, schema.Int(math.MinInt64), "0000000000000000"},
		{schema.Type{Kind: schema.KindFloat}, schema.Float(1.5), "bff8000000000000"},
		{schema.Type{Kind: schema.KindDouble}, schema.Float(-1.5), "4007ffffffffffff"},
		{schema.Type{Kind: schema.KindDouble}, schema.Float(math.Copysign(0, -1)), "8000000000000000"},
		{schema.Type{Kind: schema.KindDouble}, schema.Float(math.NaN()), "fff8000000000000"},
		{schema.Type{Kind: schema.KindString}, schema.String("a\x00b"), "6100ff620001"},
		{schema.Type{Kind: schema.KindString}, schema.String(""), "0001"},
		{schema.Type{Kind: schema.KindBinary}, schema.Bytes([]byte{0, 0xff}), "00ffff0001"},
		{schema.Type{Kind: schema.KindFixed, Length: 2}, schema.Bytes([]byte{0, 1}), "0001"},
		{schema.Type{Kind: schema.KindDecimal, Precision: 5, Scale: 2}, mustParse(t, schema.Type{Kind: schema.KindDecimal, Precision: 5, Scale: 2}, "-0.01"), "7fffffffffffffffffffffffffffffff"},
	}
	for _, test := range tests {
		s := keyed(test.typ)
		if got := hex.EncodeToString(s.AppendKey(nil, []schema.Value{test.v})); got != test.want {
			t.Errorf("%s: key %s, want %s", test.typ, got, test.want)
		}
	}
	s := &schema.Schema{Fields: fieldsOf(1, schema.Type{Kind: schema.KindBoolean}, schema.Type{Kind: schema.KindBoolean})}
	got := hex.EncodeToString(s.AppendIndexFields(nil, []int{1, 0}, []schema.Value{schema.Bool(true), schema.Null}))
	if got != "000101" {
		t.Errorf("index fields %s", got)
	}
}

func TestKeyCorrupt(t *testing.T) {
	for _, test := range []struct {
		typ schema.Type
		key string
	}{
		{schema.Type{Kind: schema.KindBoolean}, "02"},
		{schema.Type{Kind: schema.KindBoolean}, ""},
		{schema.Type{Kind: schema.KindLong}, "80000000000000"},
		{schema.Type{Kind: schema.KindInt}, "8000000100000000"},
		{schema.Type{Kind: schema.KindTime}, "7fffffffffffffff"},
		{schema.Type{Kind: schema.KindString}, "61"},
		{schema.Type{Kind: schema.KindString}, "6100"},
		{schema.Type{Kind: schema.KindString}, "610002"},
		{schema.Type{Kind: schema.KindString}, "6100ff"},
		{schema.Type{Kind: schema.KindString}, "6100ff00"},
		{schema.Type{Kind: schema.KindString}, "6100ff0002"},
		{schema.Type{Kind: schema.KindDouble}, "7fffffffffffffff"}, // −0
		{schema.Type{Kind: schema.KindUUID}, "00"},
	} {
		key, _ := hex.DecodeString(test.key)
		if v, err := keyed(test.typ).DecodeKey(key, nil); !errors.Is(err, schema.ErrCorrupt) {
			t.Errorf("%s key %s: %v, %v", test.typ, test.key, v, err)
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	for _, test := range []struct{ prefix, want string }{
		{"", ""}, {"00", "01"}, {"61ff", "62"}, {"ffff", ""}, {"0161", "0162"},
	} {
		prefix, _ := hex.DecodeString(test.prefix)
		if got := schema.PrefixEnd(prefix); hex.EncodeToString(got) != test.want || (got == nil) != (test.want == "") {
			t.Errorf("PrefixEnd(%s) = %x, want %s", test.prefix, got, test.want)
		}
	}
}

func FuzzKeyDecode(f *testing.F) {
	s := keyed(keyTypes...)
	types := s.KeyTypes()
	f.Add([]byte("a\x00\xffb\x00\x01"))
	f.Fuzz(func(t *testing.T, key []byte) {
		for _, s := range []*schema.Schema{s, keyed(types[7], types[0]), keyed(types[10])} {
			v, err := s.DecodeKey(key, nil)
			if err == nil && !bytes.Equal(s.AppendKey(nil, v), key) {
				t.Fatalf("key %x reads as %v, which is another", key, v)
			}
			if err != nil && !errors.Is(err, schema.ErrCorrupt) {
				t.Fatal(err)
			}
		}
	})
}
