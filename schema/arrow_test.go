package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
)

func TestArrowSchema(t *testing.T) {
	s := &schema.Schema{Fields: goldenSchema.Fields[:18]}
	s.Fields = append([]schema.Field{}, s.Fields...)
	s.Fields[1].Required = true
	want := []string{
		"bool", "int32", "int64", "float32", "float64", "decimal(10, 2)", "date32", "time64[us]", "timestamp[us]",
		"timestamp[us, tz=UTC]", "utf8", "fixed_size_binary[16]", "fixed_size_binary[3]", "binary", "utf8",
		"struct<f100: int32 nullable, f101: utf8 nullable>", "list<element: utf8, nullable>", "map<utf8, int64, items_nullable>",
		"int64", "timestamp[us, tz=UTC]",
	}
	got := s.Arrow(nil, true)
	for i, f := range got.Fields() {
		if f.Type.String() != want[i] {
			t.Errorf("field %s is %s, want %s", f.Name, f.Type, want[i])
		}
		id, _ := f.Metadata.GetValue(schema.FieldIDKey)
		wantID := fmt.Sprint(i + 1)
		switch f.Name {
		case schema.SeqColumn:
			wantID = fmt.Sprint(schema.SeqColumnID)
		case schema.TimeColumn:
			wantID = fmt.Sprint(schema.TimeColumnID)
		}
		if id != wantID {
			t.Errorf("field %s has id %q, want %s", f.Name, id, wantID)
		}
		if nullable := i != 1 && i < 18; f.Nullable != nullable {
			t.Errorf("field %s is nullable: %v", f.Name, f.Nullable)
		}
	}
	element := got.Field(16).Type.(*arrow.ListType).ElemField()
	if id, _ := element.Metadata.GetValue(schema.FieldIDKey); id != "900" {
		t.Errorf("element has id %q", id)
	}
	if some := s.Arrow([]int{2, 0}, false); some.NumFields() != 2 || some.Field(0).Name != "f3" || some.Field(1).Name != "f1" {
		t.Errorf("chosen columns: %v", some)
	}
}

// TestArrowRoundTrip builds batches of random rows and reads them back.
func TestArrowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		s := genSchema().Draw(t, "schema")
		rows := rapid.SliceOfN(genRow(s), 0, 10).Draw(t, "rows")
		b := schema.NewArrowBuilder(mem, s, nil, false)
		for range 2 { // the builder can be used again
			for _, row := range rows {
				b.Append(row, 0, 0)
			}
			if b.Len() != len(rows) {
				t.Fatalf("%d rows, want %d", b.Len(), len(rows))
			}
			batch := b.NewRecordBatch()
			from := rapid.IntRange(0, len(rows)).Draw(t, "from")
			slice := batch.NewSlice(int64(from), int64(len(rows)))
			checkBatch(t, s, slice, rows[from:])
			slice.Release()
			batch.Release()
		}
		b.Release()
		if n := mem.CurrentAlloc(); n != 0 {
			t.Fatalf("%d bytes are not released", n)
		}
	})
}

func checkBatch(t *rapid.T, s *schema.Schema, batch arrow.RecordBatch, want [][]schema.Value) {
	r, err := schema.NewArrowRows(s, batch.Schema())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = r.Rows(batch, func(i int, row []schema.Value) error {
		if i != n || !equalRows(s.Fields, row, want[i]) {
			t.Fatalf("row %d is %v, want %v", i, row, want[i])
		}
		n++
		return nil
	})
	if err != nil || n != len(want) {
		t.Fatalf("%d rows of %d, %v", n, len(want), err)
	}
}

func TestArrowBuilderColumns(t *testing.T) {
	s := benchSchema()
	b := schema.NewArrowBuilder(memory.DefaultAllocator, s, []int{4, 1}, true)
	defer b.Release()
	b.Append(benchRow(), 41, 1_000_000)
	if b.Bytes() == 0 {
		t.Error("no bytes counted")
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	if !batch.Schema().Equal(s.Arrow([]int{4, 1}, true)) || b.Len() != 0 || b.Bytes() != 0 {
		t.Errorf("schema %v, left %d rows", batch.Schema(), b.Len())
	}
	got := []string{}
	for _, c := range batch.Columns() {
		got = append(got, c.ValueStr(0))
	}
	if want := "Seattle 123456 41 1970-01-01T00:00:01Z"; strings.ReplaceAll(strings.Join(got, " "), "01 00:00:01", "01T00:00:01") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// batchOf makes a batch of one column, f1, from JSON.
func batchOf(t testing.TB, dt arrow.DataType, json string) arrow.RecordBatch {
	t.Helper()
	a, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader(json))
	if err != nil {
		t.Fatalf("%s of %s: %v", dt, json, err)
	}
	return batchOfArray(a)
}

func batchOfArray(a arrow.Array) arrow.RecordBatch {
	s := arrow.NewSchema([]arrow.Field{{Name: "f1", Type: a.DataType(), Nullable: true}}, nil)
	return array.NewRecordBatch(s, []arrow.Array{a}, int64(a.Len()))
}

// texts reads a batch of one column; a row that is refused gives its rule.
func texts(t testing.TB, typ schema.Type, batch arrow.RecordBatch) []string {
	t.Helper()
	s := &schema.Schema{Fields: fieldsOf(1, typ)}
	r, err := schema.NewArrowRows(s, batch.Schema())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	err = r.Each(batch, func(i int, row []schema.Value, bad *schema.FieldError) error {
		switch {
		case bad != nil && (bad.Line != i+1 || bad.Field != "f1"):
			t.Errorf("row %d: %#v", i, bad)
		case bad != nil:
			out = append(out, "! "+bad.Value+" "+bad.Rule)
		case row[0].IsNull():
			out = append(out, "null")
		default:
			if err := s.CheckRow(row); err != nil {
				t.Errorf("row %d: %v", i, err)
			}
			out = append(out, string(schema.AppendText(nil, typ, row[0])))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	intT    = schema.Type{Kind: schema.KindInt}
	longT   = schema.Type{Kind: schema.KindLong}
	doubleT = schema.Type{Kind: schema.KindDouble}
	stringT = schema.Type{Kind: schema.KindString}
	tzT     = schema.Type{Kind: schema.KindTimestamptz}
)

func TestArrowReads(t *testing.T) {
	dict := func(index, value arrow.DataType) arrow.DataType {
		return &arrow.DictionaryType{IndexType: index, ValueType: value}
	}
	tests := []struct {
		in   arrow.DataType
		typ  schema.Type
		json string
		want []string
	}{
		{arrow.Null, longT, `[null, null]`, []string{"null", "null"}},
		{arrow.PrimitiveTypes.Int8, intT, `[-128, null]`, []string{"-128", "null"}},
		{arrow.PrimitiveTypes.Int64, intT, `[2147483647, 2147483648]`, []string{"2147483647", "! 2147483648 is outside of the type's range"}},
		{arrow.PrimitiveTypes.Uint32, intT, `[7, 4294967295]`, []string{"7", "! 4294967295 is outside of the type's range"}},
		{arrow.PrimitiveTypes.Uint32, longT, `[4294967295]`, []string{"4294967295"}},
		{arrow.PrimitiveTypes.Uint64, longT, `[9223372036854775807, 9223372036854775808]`, []string{"9223372036854775807", "! 9223372036854775808 is outside of the type's range"}},
		{arrow.FixedWidthTypes.Float16, schema.Type{Kind: schema.KindFloat}, `[1.5]`, []string{"1.5"}},
		{arrow.PrimitiveTypes.Float32, doubleT, `[0.25]`, []string{"0.25"}},
		{arrow.PrimitiveTypes.Int64, doubleT, `[9007199254740992, 9007199254740993]`, []string{"9007199254740992", "! 9007199254740993 is a whole number that a double does not hold exactly"}},
		{&arrow.Decimal128Type{Precision: 9, Scale: 1}, decimalType(5, 2), `["1.5", "1234.5"]`, []string{"1.50", "! 1234.5 does not fit decimal(5,2)"}},
		{&arrow.Decimal128Type{Precision: 9, Scale: 3}, decimalType(5, 2), `["1.500", "1.505"]`, []string{"1.50", "! 1.505 has more digits after the point than the scale of decimal(5,2)"}},
		{&arrow.Decimal32Type{Precision: 5, Scale: 2}, decimalType(9, 2), `["-1.50"]`, []string{"-1.50"}},
		{&arrow.Decimal64Type{Precision: 12, Scale: 0}, decimalType(38, 2), `["-150"]`, []string{"-150.00"}},
		{&arrow.Decimal256Type{Precision: 50, Scale: 2}, decimalType(38, 2), `["-1.50"]`, []string{"-1.50"}},
		{arrow.PrimitiveTypes.Int16, decimalType(5, 2), `[999, -1000]`, []string{"999.00", "! -1000 does not fit decimal(5,2)"}},
		{arrow.PrimitiveTypes.Uint64, decimalType(20, 0), `[18446744073709551615]`, []string{"18446744073709551615"}},
		{arrow.FixedWidthTypes.Date32, schema.Type{Kind: schema.KindDate}, `["2024-02-29"]`, []string{"2024-02-29"}},
		{arrow.FixedWidthTypes.Date64, schema.Type{Kind: schema.KindDate}, `["2024-02-29"]`, []string{"2024-02-29"}},
		{arrow.FixedWidthTypes.Time32s, schema.Type{Kind: schema.KindTime}, `["12:34:56"]`, []string{"12:34:56"}},
		{arrow.FixedWidthTypes.Time64ns, schema.Type{Kind: schema.KindTime}, `["12:34:56.000001", "12:34:56.000000001"]`, []string{"12:34:56.000001", "! 12:34:56.000000001 has nanoseconds: microseconds are kept, round it"}},
		{&arrow.TimestampType{Unit: arrow.Second}, schema.Type{Kind: schema.KindTimestamp}, `["2024-02-29 12:34:56"]`, []string{"2024-02-29T12:34:56"}},
		{&arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "Europe/Paris"}, tzT, `["2024-02-29T12:34:56.789Z"]`, []string{"2024-02-29T12:34:56.789Z"}},
		{&arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}, tzT, `["2024-02-29T12:34:56.000001Z"]`, []string{"2024-02-29T12:34:56.000001Z"}},
		{arrow.BinaryTypes.LargeString, stringT, `["a", null, ""]`, []string{"a", "null", ""}},
		{arrow.BinaryTypes.StringView, stringT, `["short", "a string that is not held inline"]`, []string{"short", "a string that is not held inline"}},
		{dict(arrow.PrimitiveTypes.Uint8, arrow.BinaryTypes.String), stringT, `["a", "b", null, "a"]`, []string{"a", "b", "null", "a"}},
		{dict(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64), intT, `[1, 4294967296]`, []string{"1", "! 4294967296 is outside of the type's range"}},
		{arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String), stringT, `["a", "a", null, "b"]`, []string{"a", "a", "null", "b"}},
		{&arrow.FixedSizeBinaryType{ByteWidth: 3}, schema.Type{Kind: schema.KindFixed, Length: 3}, `["AQID"]`, []string{"AQID"}},
		{arrow.BinaryTypes.LargeBinary, schema.Type{Kind: schema.KindFixed, Length: 3}, `["AQID", "AQ=="]`, []string{"AQID", "! AQ== has 1 bytes, want 3"}},
		{arrow.BinaryTypes.BinaryView, schema.Type{Kind: schema.KindBinary}, `["AQID"]`, []string{"AQID"}},
		{arrow.BinaryTypes.String, schema.Type{Kind: schema.KindUUID}, `["00112233-4455-6677-8899-AABBCCDDEEFF", "x"]`, []string{"00112233-4455-6677-8899-aabbccddeeff", "! x want a uuid such as 123e4567-e89b-12d3-a456-426614174000"}},
		{extensions.NewUUIDType(), schema.Type{Kind: schema.KindUUID}, `["00112233-4455-6677-8899-aabbccddeeff"]`, []string{"00112233-4455-6677-8899-aabbccddeeff"}},
		{arrow.LargeListOf(arrow.PrimitiveTypes.Int8), listOf(longT), `[[1, null], [], null]`, []string{"[1,null]", "[]", "null"}},
		{arrow.FixedSizeListOf(2, arrow.BinaryTypes.String), listOf(stringT), `[["a", "b"], null]`, []string{`["a","b"]`, "null"}},
		{arrow.ListViewOf(arrow.PrimitiveTypes.Int64), listOf(intT), `[[1, 2], [4294967296]]`, []string{"[1,2]", "!  is outside of the type's range"}},
		{arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32), mapOf(stringT, longT), `[[{"key": "k", "value": 1}], []]`, []string{`{"k":1}`, "{}"}},
		{arrow.StructOf(arrow.Field{Name: "f101", Type: arrow.PrimitiveTypes.Int8, Nullable: true}), structOf(stringT, longT), `[{"f101": 1}, null, {"f101": null}]`, []string{`{"f100":null,"f101":1}`, "null", `{"f100":null,"f101":null}`}},
	}
	for _, test := range tests {
		t.Run(test.in.String()+" as "+test.typ.String(), func(t *testing.T) {
			batch := batchOf(t, test.in, test.json)
			defer batch.Release()
			got := texts(t, test.typ, batch)
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			last := batch.NewSlice(batch.NumRows()-1, batch.NumRows())
			defer last.Release()
			if got := texts(t, test.typ, last); len(got) != 1 || got[0] != test.want[len(test.want)-1] {
				t.Errorf("its last row by itself: %q", got)
			}
		})
	}
}

func TestArrowDecimal256TooWide(t *testing.T) {
	b := array.NewDecimal256Builder(memory.DefaultAllocator, &arrow.Decimal256Type{Precision: 76, Scale: 0})
	defer b.Release()
	b.Append(decimal256.New(0, 1, 0, 5))
	b.Append(decimal256.New(1<<64-1, 1<<64-1, 1<<64-1, 1<<64-2))
	batch := batchOfArray(b.NewArray())
	defer batch.Release()
	got := texts(t, decimalType(38, 0), batch)
	if !strings.HasSuffix(got[0], "does not fit decimal(38,0)") || got[1] != "-2" {
		t.Errorf("got %q", got)
	}
}

func TestArrowRefusedTypes(t *testing.T) {
	ts := func(zone string) arrow.DataType { return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: zone} }
	tests := []struct {
		in    arrow.DataType
		typ   schema.Type
		field string
		rule  string
	}{
		{arrow.BinaryTypes.String, longT, "f1", "the column's Arrow type is utf8, and the field is long: send int64 or another integer type"},
		{arrow.PrimitiveTypes.Float64, schema.Type{Kind: schema.KindFloat}, "f1", "send float32"},
		{arrow.PrimitiveTypes.Float64, longT, "f1", "send int64"},
		{arrow.PrimitiveTypes.Float64, decimalType(5, 2), "f1", "send decimal(5, 2)"},
		{ts("UTC"), schema.Type{Kind: schema.KindTimestamp}, "f1", "without a timezone"},
		{ts(""), tzT, "f1", "with a timezone"},
		{arrow.FixedWidthTypes.Date32, tzT, "f1", "with a timezone"},
		{arrow.PrimitiveTypes.Int32, schema.Type{Kind: schema.KindBoolean}, "f1", "send bool"},
		{&arrow.FixedSizeBinaryType{ByteWidth: 8}, schema.Type{Kind: schema.KindUUID}, "f1", "send fixed_size_binary[16]"},
		{arrow.BinaryTypes.Binary, stringT, "f1", "send utf8"},
		{arrow.FixedWidthTypes.MonthInterval, longT, "f1", "send int64"},
		{arrow.ListOf(arrow.BinaryTypes.String), listOf(longT), "f1.element", "send int64"},
		{arrow.BinaryTypes.String, listOf(longT), "f1", "send list<element: int64, nullable>"},
		{arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String), mapOf(stringT, longT), "f1.value", "send int64"},
		{arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int8}), structOf(longT), "f1.x", "no such field"},
		{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, longT, "f1", "send int64"},
	}
	for _, test := range tests {
		s := &schema.Schema{Fields: fieldsOf(1, test.typ)}
		_, err := schema.NewArrowRows(s, arrow.NewSchema([]arrow.Field{{Name: "f1", Type: test.in}}, nil))
		var fe *schema.FieldError
		if !errors.As(err, &fe) || fe.Field != test.field || !strings.Contains(fe.Rule, test.rule) {
			t.Errorf("%s as %s: %v", test.in, test.typ, err)
		}
	}
	s := &schema.Schema{Fields: fieldsOf(1, longT)}
	for _, names := range [][]string{{"f2"}, {"f1", "f1"}} {
		var fields []arrow.Field
		for _, name := range names {
			fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int64})
		}
		if _, err := schema.NewArrowRows(s, arrow.NewSchema(fields, nil)); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("columns %v: %v", names, err)
		}
	}
}

func TestArrowRowsStops(t *testing.T) {
	batch := batchOf(t, arrow.PrimitiveTypes.Int64, `[1, 4294967296, 3]`)
	defer batch.Release()
	s := &schema.Schema{Fields: fieldsOf(1, intT, stringT)} // f2 is absent
	r, err := schema.NewArrowRows(s, batch.Schema())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = r.Rows(batch, func(_ int, row []schema.Value) error {
		n++
		if len(row) != 2 || !row[1].IsNull() {
			t.Errorf("row %v", row)
		}
		return nil
	})
	var fe *schema.FieldError
	if !errors.As(err, &fe) || fe.Line != 2 || fe.Value != "4294967296" || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	stop := errors.New("stop")
	if err := r.Rows(batch, func(int, []schema.Value) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("a panic of the callback became %v", p)
		}
	}()
	_ = r.Rows(batch, func(int, []schema.Value) error { panic("mine") })
}
