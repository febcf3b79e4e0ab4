package schema_test

import (
	"math"
	"strings"
	"testing"

	"github.com/trinedb/trine/schema"
)

func TestCheckRow(t *testing.T) {
	k := func(kind schema.Kind) schema.Type { return schema.Type{Kind: kind} }
	required := structOf(k(schema.KindInt))
	required.Fields[0].Required = true
	null := schema.Elems([]schema.Value{schema.Null})
	tests := []struct {
		name               string
		typ                schema.Type
		v                  schema.Value
		field, value, rule string
	}{
		{"boolean 2", k(schema.KindBoolean), schema.Int(2), "f1", "true", "want true or false"},
		{"int", k(schema.KindInt), schema.Int(1 << 31), "f1", "2147483648", "range"},
		{"date", k(schema.KindDate), schema.Int(1 << 31), "f1", "2147483648", "range"},
		{"time", k(schema.KindTime), schema.Int(-1), "f1", "-1", "range"},
		{"float", k(schema.KindFloat), schema.Float(1e39), "f1", "1e+39", "range"},
		{"decimal", decimalType(3, 1), mustParse(t, decimalType(9, 1), "-100.0"), "f1", "-100.0", "does not fit decimal(3,1)"},
		{"decimal bytes", decimalType(3, 1), schema.Bytes([]byte{1}), "f1", "", "has 1 bytes, want 16"},
		{"string", k(schema.KindString), schema.String("a\xff"), "f1", "a\uFFFD", "UTF-8"},
		{"json", k(schema.KindJSON), schema.String("{"), "f1", "{", "JSON"},
		{"uuid", k(schema.KindUUID), schema.Bytes(make([]byte, 15)), "f1", "", "has 15 bytes, want 16"},
		{"fixed", schema.Type{Kind: schema.KindFixed, Length: 2}, schema.Bytes([]byte{1}), "f1", "AQ==", "has 1 bytes, want 2"},
		{"struct arity", structOf(k(schema.KindInt)), schema.Elems(nil), "f1", "", "0 values"},
		{"nested required", required, null, "f1.f100", "null", "is required"},
		{"deep", listOf(required), schema.Elems([]schema.Value{schema.Null, null}), "f1.1.f100", "null", "is required"},
		{"map key", mapOf(k(schema.KindInt), k(schema.KindInt)), schema.Elems([]schema.Value{schema.Null, schema.Null}), "f1.key", "null", "key"},
		{"map value", mapOf(k(schema.KindInt), k(schema.KindInt)), schema.Elems([]schema.Value{schema.Int(1), schema.Int(1 << 40)}), "f1.value", "1099511627776", "range"},
		{"half an entry", mapOf(k(schema.KindInt), k(schema.KindInt)), schema.Elems([]schema.Value{schema.Int(1)}), "f1", "", "1 values"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &schema.Schema{Fields: fieldsOf(1, test.typ)}
			err := s.CheckRow([]schema.Value{test.v})
			if err == nil || err.Field != test.field || err.Value != test.value || !strings.Contains(err.Rule, test.rule) {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestCheckRowRequired(t *testing.T) {
	s := &schema.Schema{Fields: fieldsOf(1, schema.Type{Kind: schema.KindInt}, schema.Type{Kind: schema.KindInt}), Key: []int{1}}
	if err := s.CheckRow([]schema.Value{schema.Null, schema.Null}); err == nil || err.Field != "f2" {
		t.Errorf("null key: %v", err)
	}
	s.Fields[0].Required = true
	if err := s.CheckRow([]schema.Value{schema.Null, schema.Int(1)}); err == nil || err.Field != "f1" || err.Value != "null" {
		t.Errorf("null in required: %v", err)
	}
	if err := s.CheckRow(nil); err == nil {
		t.Error("a row of no values passes")
	}
	if err := s.CheckRow([]schema.Value{schema.Int(math.MinInt32), schema.Int(math.MaxInt32)}); err != nil {
		t.Error(err)
	}
}

func TestCompare(t *testing.T) {
	double := schema.Type{Kind: schema.KindDouble}
	order := []schema.Value{schema.Null, schema.Float(math.Inf(-1)), schema.Float(-1), schema.Float(0), schema.Float(1), schema.Float(math.Inf(1)), schema.Float(math.NaN())}
	list := listOf(double)
	lists := []schema.Value{schema.Null, schema.Elems(nil), schema.Elems(order[:1]), schema.Elems(order[:2]), schema.Elems(order[1:2])}
	for _, test := range []struct {
		typ schema.Type
		v   []schema.Value
	}{{double, order}, {list, lists}} {
		for i, a := range test.v {
			for j, b := range test.v {
				want := 0
				if i < j {
					want = -1
				} else if i > j {
					want = 1
				}
				if got := schema.Compare(test.typ, a, b); got != want {
					t.Errorf("%s: %v and %v compare as %d, want %d", test.typ, a, b, got, want)
				}
			}
		}
	}
	if !schema.Equal(double, schema.Float(0), schema.Float(math.Copysign(0, -1))) {
		t.Error("0 and −0 differ")
	}
}
