package schema_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
)

// goldenSchema has a field of every kind. The bytes that goldenRow gives with
// it are row format 1: they may never change.
var goldenSchema = &schema.Schema{ID: 300, Fields: fieldsOf(1,
	schema.Type{Kind: schema.KindBoolean}, schema.Type{Kind: schema.KindInt}, schema.Type{Kind: schema.KindLong},
	schema.Type{Kind: schema.KindFloat}, schema.Type{Kind: schema.KindDouble},
	schema.Type{Kind: schema.KindDecimal, Precision: 10, Scale: 2}, schema.Type{Kind: schema.KindDate},
	schema.Type{Kind: schema.KindTime}, schema.Type{Kind: schema.KindTimestamp}, schema.Type{Kind: schema.KindTimestamptz},
	schema.Type{Kind: schema.KindString}, schema.Type{Kind: schema.KindUUID}, schema.Type{Kind: schema.KindFixed, Length: 3},
	schema.Type{Kind: schema.KindBinary}, schema.Type{Kind: schema.KindJSON},
	structOf(schema.Type{Kind: schema.KindInt}, schema.Type{Kind: schema.KindString}),
	listOf(schema.Type{Kind: schema.KindString}),
	mapOf(schema.Type{Kind: schema.KindString}, schema.Type{Kind: schema.KindLong}),
	schema.Type{Kind: schema.KindString},
)}

func goldenRow(t testing.TB) []schema.Value {
	text := func(kind schema.Type, s string) schema.Value {
		v, err := schema.ParseText(kind, s)
		if err != nil {
			t.Fatalf("parse %s %q: %v", kind, s, err)
		}
		return v
	}
	f := goldenSchema.Fields
	return []schema.Value{
		schema.Bool(true), schema.Int(-1), schema.Int(1 << 40), schema.Float(1.5), schema.Float(-2.25),
		text(f[5].Type, "-300.00"), text(f[6].Type, "2024-02-29"), text(f[7].Type, "12:34:56.789"),
		text(f[8].Type, "1969-12-31T23:59:59.999999"), text(f[9].Type, "2024-02-29T12:00:00+01:00"),
		schema.String("né"), text(f[11].Type, "00112233-4455-6677-8899-aabbccddeeff"),
		schema.Bytes([]byte{1, 2, 3}), schema.Bytes(nil), schema.String(`{"a":1}`),
		schema.Elems([]schema.Value{schema.Null, schema.String("x")}),
		schema.Elems([]schema.Value{schema.String("x"), schema.Null}),
		schema.Elems([]schema.Value{schema.String("k"), schema.Int(7), schema.String("n"), schema.Null}),
		schema.Null,
	}
}

const goldenBytes = "ac02" + "000004" + // schema 300; null: field 18
	"01" + "01" + "808080808040" + "0000c03f" + "00000000000002c0" +
	"028ad0" + "8cb502" + "9098b1bed102" +
	"01" + "80b0e291e5a08906" +
	"036ec3a9" + "00112233445566778899aabbccddeeff" + "010203" + "00" + "077b2261223a317d" +
	"010178" + // struct: null, "x"
	"02020178" + // list: "x", null
	"02016b016e020e" // map: "k" "n"; null: 1; 7

func TestRowGolden(t *testing.T) {
	row := goldenRow(t)
	if err := goldenSchema.CheckRow(row); err != nil {
		t.Fatal(err)
	}
	got := goldenSchema.AppendRow(nil, row)
	if hex.EncodeToString(got) != goldenBytes {
		t.Errorf("row format 1 changed:\n got %x\nwant %s", got, goldenBytes)
	}
	want, _ := hex.DecodeString(goldenBytes)
	back, err := schema.NewRowDecoder(goldenSchema, goldenSchema).Decode(want, nil)
	if err != nil || !equalRows(goldenSchema.Fields, row, back) {
		t.Errorf("decode: %v, %v", back, err)
	}
	if id, err := schema.RowSchemaID(want); id != 300 || err != nil {
		t.Errorf("schema id %d, %v", id, err)
	}
}

// TestRowExample is the example of docs/format/row.md.
func TestRowExample(t *testing.T) {
	s := &schema.Schema{ID: 5, Fields: fieldsOf(1, schema.Type{Kind: schema.KindLong}, schema.Type{Kind: schema.KindString},
		schema.Type{Kind: schema.KindDouble}, listOf(schema.Type{Kind: schema.KindString}), schema.Type{Kind: schema.KindString})}
	got := s.AppendRow(nil, []schema.Value{schema.Int(7), schema.String("ab"), schema.Float(1.5),
		schema.Elems([]schema.Value{schema.String("x"), schema.Null}), schema.Null})
	if want := "05100e026162000000000000f83f02020178"; hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSchema().Draw(t, "schema")
		row := genRow(s).Draw(t, "row")
		if err := s.CheckRow(row); err != nil {
			t.Fatalf("check: %v", err)
		}
		enc := s.AppendRow([]byte("before"), row)[len("before"):]
		back, err := schema.NewRowDecoder(s, s).Decode(enc, nil)
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		if !equalRows(s.Fields, row, back) {
			t.Fatalf("decoded %v, want %v", back, row)
		}
		if again := s.AppendRow(nil, back); !bytes.Equal(again, enc) {
			t.Fatalf("encoded again %x, want %x", again, enc)
		}
		cutAt := rapid.IntRange(0, len(enc)-1).Draw(t, "cut")
		if _, err := schema.NewRowDecoder(s, s).Decode(enc[:cutAt], nil); !errors.Is(err, schema.ErrCorrupt) {
			t.Fatalf("row cut at %d of %d: %v", cutAt, len(enc), err)
		}
	})
}

// TestRowProjection reads rows with a schema whose fields are a random choice
// of the writer's, in another order, and new ones.
func TestRowProjection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := genSchema().Draw(t, "schema")
		row := genRow(from).Draw(t, "row")
		order := rapid.Permutation(from.Fields).Draw(t, "order")
		to := &schema.Schema{ID: from.ID + 1, Fields: order[:rapid.IntRange(0, len(order)).Draw(t, "keep")]}
		to.Fields = append(append([]schema.Field{}, to.Fields...), schema.Field{ID: 5000, Name: "new", Type: genType(1).Draw(t, "new")})
		dirty := make([]schema.Value, len(to.Fields))
		for i := range dirty {
			dirty[i] = schema.String("left over")
		}
		got, err := schema.NewRowDecoder(from, to).Decode(from.AppendRow(nil, row), dirty)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range to.Fields {
			want := schema.Null
			if at := from.IndexID(f.ID); at >= 0 {
				want = row[at]
			}
			if !schema.Equal(f.Type, got[i], want) {
				t.Fatalf("field %s: %v, want %v", f.Name, got[i], want)
			}
		}
	})
}

func TestRowWidening(t *testing.T) {
	intT, longT := schema.Type{Kind: schema.KindInt}, schema.Type{Kind: schema.KindLong}
	floatT, doubleT := schema.Type{Kind: schema.KindFloat}, schema.Type{Kind: schema.KindDouble}
	d5, d9 := schema.Type{Kind: schema.KindDecimal, Precision: 5, Scale: 2}, schema.Type{Kind: schema.KindDecimal, Precision: 9, Scale: 2}
	from := &schema.Schema{ID: 1, Fields: fieldsOf(1, intT, floatT, d5, listOf(intT), structOf(floatT, intT), mapOf(intT, floatT))}
	to := &schema.Schema{ID: 2, Fields: fieldsOf(1, longT, doubleT, d9, listOf(longT), structOf(doubleT), mapOf(longT, doubleT))}
	one := schema.Int(1)
	row := []schema.Value{schema.Int(-5), schema.Float(1.5), mustParse(t, d5, "-123.45"), schema.Elems([]schema.Value{one, schema.Null}),
		schema.Elems([]schema.Value{schema.Float(2), one}), schema.Elems([]schema.Value{one, schema.Null})}
	got, err := schema.NewRowDecoder(from, to).Decode(from.AppendRow(nil, row), nil)
	if err != nil {
		t.Fatal(err)
	}
	row[4] = schema.Elems([]schema.Value{schema.Float(2)}) // its second field is not read
	if !equalRows(to.Fields, got, row) {
		t.Errorf("got %v, want %v", got, row)
	}
	if _, err := schema.NewRowDecoder(to, from).Decode(to.AppendRow(nil, row), nil); !errors.Is(err, schema.ErrIncompatible) {
		t.Errorf("narrowing: %v", err)
	}
}

func TestRowCorrupt(t *testing.T) {
	long := schema.Type{Kind: schema.KindLong}
	one := func(ts ...schema.Type) *schema.Schema { return &schema.Schema{ID: 1, Fields: fieldsOf(1, ts...)} }
	huge := "01" + "00" + "ffffffffffffffff7f"
	tests := []struct {
		name, row string
		schema    *schema.Schema
	}{
		{"empty", "", one(long)},
		{"id alone", "01", one(long)},
		{"another schema", "020002", one(long)},
		{"bytes after it", "01000200", one(long)},
		{"spare bit", "010202", one(long)},
		{"long form of a number", "01008200", one(long)},
		{"long form of the id", "81000002", one(long)},
		{"number of 11 bytes", "0100ffffffffffffffffffff01", one(long)},
		{"boolean 2", "010002", one(schema.Type{Kind: schema.KindBoolean})},
		{"int of 33 bits", "01008080808010", one(schema.Type{Kind: schema.KindInt})},
		{"time of a day", "01008080bbdd8305", one(schema.Type{Kind: schema.KindTime})},
		{"negative time", "010001", one(schema.Type{Kind: schema.KindTime})},
		{"long string", "010005616263", one(schema.Type{Kind: schema.KindString})},
		{"huge string", huge, one(schema.Type{Kind: schema.KindString})},
		{"empty decimal", "010000", one(schema.Type{Kind: schema.KindDecimal, Precision: 5})},
		{"wide decimal", "01001100000000000000000000000000000000ff", one(schema.Type{Kind: schema.KindDecimal, Precision: 5})},
		{"padded decimal", "0100020001", one(schema.Type{Kind: schema.KindDecimal, Precision: 5})},
		{"padded negative decimal", "010002ff80", one(schema.Type{Kind: schema.KindDecimal, Precision: 5})},
		{"short double", "010000000000000000", one(schema.Type{Kind: schema.KindDouble})},
		{"another NaN", "0100010000000000f87f", one(schema.Type{Kind: schema.KindDouble})},
		{"another NaN of a float", "01000100c07f", one(schema.Type{Kind: schema.KindFloat})},
		{"short uuid", "010000000000000000", one(schema.Type{Kind: schema.KindUUID})},
		{"huge list", huge, one(listOf(long))},
		{"huge list of nothing", huge, one(listOf(structOf()))},
		{"huge map", huge, one(mapOf(long, long))},
		{"list without bitmap", "010001", one(listOf(long))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			row, err := hex.DecodeString(test.row)
			if err != nil {
				t.Fatal(err)
			}
			v, err := schema.NewRowDecoder(test.schema, test.schema).Decode(row, nil)
			if !errors.Is(err, schema.ErrCorrupt) || len(v) != 0 {
				t.Errorf("got %v, %v", v, err)
			}
			none := &schema.Schema{ID: 2}
			if _, err := schema.NewRowDecoder(test.schema, none).Decode(row, nil); !errors.Is(err, schema.ErrCorrupt) {
				t.Errorf("skipped: %v", err)
			}
		})
	}
}

// TestRowBudget demands that nulls, a bit each, cannot ask for any memory.
func TestRowBudget(t *testing.T) {
	s := &schema.Schema{ID: 1, Fields: fieldsOf(1, listOf(schema.Type{Kind: schema.KindLong}), listOf(schema.Type{Kind: schema.KindLong}))}
	row := []schema.Value{schema.Elems(make([]schema.Value, schema.MaxRowValues)), schema.Null}
	if err := s.CheckRow(row); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.NewRowDecoder(s, s).Decode(s.AppendRow(nil, row), nil); err != nil {
		t.Fatal(err)
	}
	row[1] = schema.Elems(make([]schema.Value, 1))
	if err := s.CheckRow(row); err == nil || !strings.Contains(err.Rule, "too many values") {
		t.Errorf("check: %v", err)
	}
	if _, err := schema.NewRowDecoder(s, s).Decode(s.AppendRow(nil, row), nil); !errors.Is(err, schema.ErrCorrupt) {
		t.Errorf("decode: %v", err)
	}
}

func TestRowDecoderDepth(t *testing.T) {
	deep := schema.Type{Kind: schema.KindLong}
	for range schema.MaxDepth + 1 {
		deep = listOf(deep)
	}
	s := &schema.Schema{ID: 1, Fields: fieldsOf(1, deep)}
	if _, err := schema.NewRowDecoder(s, s).Decode([]byte{1, 1}, nil); !errors.Is(err, schema.ErrIncompatible) {
		t.Errorf("got %v", err)
	}
}

// TestRowAllocations: writing and reading a flat row costs no allocation.
func TestRowAllocations(t *testing.T) {
	s, row := benchSchema(), benchRow()
	enc, dst := s.AppendRow(nil, row), make([]schema.Value, len(row))
	d := schema.NewRowDecoder(s, s)
	key := s.AppendKey(nil, row)
	for name, fn := range map[string]func(){
		"AppendRow": func() { enc = s.AppendRow(enc[:0], row) },
		"AppendKey": func() { key = s.AppendKey(key[:0], row) },
		"Decode":    func() { dst, _ = d.Decode(enc, dst) },
		"CheckRow":  func() { _ = s.CheckRow(row) },
		"DecodeKey": func() { dst, _ = s.DecodeKey(key, dst) },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzRowDecode(f *testing.F) {
	golden, _ := hex.DecodeString(goldenBytes)
	f.Add(golden)
	f.Add(golden[:10])
	same := schema.NewRowDecoder(goldenSchema, goldenSchema)
	none := schema.NewRowDecoder(goldenSchema, &schema.Schema{ID: 2})
	f.Fuzz(func(t *testing.T, row []byte) {
		v, err := same.Decode(row, nil)
		_, skipErr := none.Decode(row, nil)
		if (err == nil) != (skipErr == nil) {
			t.Fatalf("read: %v, skipped: %v", err, skipErr)
		}
		if err != nil {
			if !errors.Is(err, schema.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if again := goldenSchema.AppendRow(nil, v); !bytes.Equal(again, row) {
			t.Fatalf("row %x is encoded as %x", row, again)
		}
	})
}

func mustParse(t testing.TB, typ schema.Type, s string) schema.Value {
	t.Helper()
	v, err := schema.ParseText(typ, s)
	if err != nil {
		t.Fatalf("parse %s %q: %v", typ, s, err)
	}
	return v
}
