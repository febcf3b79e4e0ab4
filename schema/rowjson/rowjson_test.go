package rowjson_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"flag"

	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
	"github.com/trinedb/trine/schema/internal/schematest"
	"github.com/trinedb/trine/schema/rowjson"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// build makes the schema that a definition's fields and key give.
func build(t testing.TB, file string) *schema.Schema {
	t.Helper()
	d, err := definition.ParseOne([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	d.Tenant, d.Collection = "acme", "things"
	plan, err := definition.Evolve(nil, d)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Schema
}

const allTypes = `
fields:
  - {name: id, type: long, required: true}
  - {name: flag, type: boolean}
  - {name: small, type: int}
  - {name: f, type: float}
  - {name: d, type: double}
  - {name: price, type: decimal(9,2)}
  - {name: day, type: date}
  - {name: clock, type: time}
  - {name: at, type: timestamp}
  - {name: when, type: timestamptz}
  - {name: text, type: string}
  - {name: uid, type: uuid}
  - {name: hash, type: fixed(4)}
  - {name: blob, type: binary}
  - {name: extra, type: json}
  - {name: pos, type: {type: struct, fields: [{name: x, type: int, required: true}, {name: y, type: string}]}}
  - {name: tags, type: {type: list, element: {type: string, required: true}}}
  - {name: attrs, type: {type: map, key: string, value: {type: list, element: int}}}
  - {name: counts, type: {type: map, key: int, value: {type: string, required: true}}}
key: [id]
`

// TestRecords runs testdata/records.txt: lines of JSON, each answered by the
// row as it is written out again, or by what is wrong with it. A line that
// begins with "patch " is decoded as a patch.
func TestRecords(t *testing.T) {
	s := build(t, allTypes)
	d := rowjson.NewDecoder(s)
	const file = "testdata/records.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		out.WriteString(answer(s, d, line, i+1))
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if out.String() != string(data) {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), data)
	}
}

func answer(s *schema.Schema, d *rowjson.Decoder, line string, n int) string {
	var errs schema.FieldErrors
	var row []schema.Value
	var present []bool
	var ok bool
	record, patch := strings.CutPrefix(line, "patch ")
	record = strings.NewReplacer("<bad>", "\xff", "<deep>", strings.Repeat("[", 64)+strings.Repeat("]", 64),
		"<nine>", strings.Repeat("9", 80)).Replace(record)
	if patch {
		row, present, ok = d.DecodePatch([]byte(record), nil, nil, &errs, n)
	} else {
		row, ok = d.Decode([]byte(record), nil, &errs, n)
	}
	if ok != (len(errs) == 0) {
		return fmt.Sprintf("\t! ok is %t with %v\n", ok, errs)
	}
	if !ok {
		out := ""
		for _, e := range errs {
			out += "\t! " + e.Error() + "\n"
		}
		return out
	}
	var m []string
	for i, f := range s.Fields {
		if patch && present[i] || !patch && !row[i].IsNull() {
			m = append(m, fmt.Sprintf("%s=%s", f.Name, rowjson.AppendValue(nil, f.Type, row[i])))
		}
	}
	return "\t" + strings.Join(m, " ") + "\n"
}

// A row written and read is the same row, whatever its types.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schematest.Schema(t, 4)
		d := rowjson.NewDecoder(s)
		for range 3 {
			row := schematest.Row(t, s)
			text := rowjson.AppendRow(nil, s, row)
			if !json.Valid(text) || bytes.ContainsAny(text, "\n\r") {
				t.Fatalf("not JSON on a line: %s", text)
			}
			var errs schema.FieldErrors
			got, ok := d.Decode(text, nil, &errs, 1)
			if !ok {
				t.Fatalf("%v\n%s", errs, text)
			}
			same(t, s, got, row)
			if e := s.CheckRow(got); e != nil {
				t.Fatal(e)
			}
			for i, f := range s.Fields {
				v, err := rowjson.DecodeValue(f.Type, rowjson.AppendValue(nil, f.Type, row[i]))
				if err != nil || !schema.Equal(f.Type, v, row[i]) {
					t.Fatal(v, err)
				}
			}
		}
	})
}

// In any order of names, and with escapes wherever there can be some.
func TestOrderAndEscapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schematest.Schema(t, 2)
		row := schematest.Row(t, s)
		text := []byte("{")
		for n, i := range rapid.Permutation(indexes(s)).Draw(t, "order") {
			if n > 0 {
				text = append(text, " ,\t"...)
			}
			text = append(text, escaped(s.Fields[i].Name)...)
			text = append(text, " : "...)
			if s.Fields[i].Type.Kind == schema.KindString && !row[i].IsNull() {
				text = append(text, escaped(string(row[i].Bytes()))...)
			} else {
				text = rowjson.AppendValue(text, s.Fields[i].Type, row[i])
			}
		}
		text = append(text, "}\n"...)
		var errs schema.FieldErrors
		got, ok := rowjson.Decode(s, text, nil, &errs, 1)
		if !ok {
			t.Fatalf("%v\n%s", errs, text)
		}
		same(t, s, got, row)
	})
}

func indexes(s *schema.Schema) []int {
	out := make([]int, len(s.Fields))
	for i := range out {
		out[i] = i
	}
	return out
}

// escaped is s as a JSON string of escapes alone.
func escaped(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String() + `"`
}

func same(t *rapid.T, s *schema.Schema, got, want []schema.Value) {
	for i, f := range s.Fields {
		if !schema.Equal(f.Type, got[i], want[i]) {
			t.Fatalf("field %q %s: got %v, want %v", f.Name, f.Type, got[i], want[i])
		}
	}
}

// Reading what is at hand allocates nothing once a Decoder is warm.
func TestAllocations(t *testing.T) {
	s := build(t, benchFields)
	d := rowjson.NewDecoder(s)
	var errs schema.FieldErrors
	row, _ := d.Decode([]byte(benchRecord), nil, &errs, 1)
	if n := testing.AllocsPerRun(100, func() { row, _ = d.Decode([]byte(benchRecord), row, &errs, 1) }); n > 1 {
		t.Errorf("%v allocations a record", n) // the []byte is one
	}
}

func FuzzDecode(f *testing.F) {
	data, err := os.ReadFile("testdata/records.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "{") {
			f.Add([]byte(line))
		}
	}
	s := build(f, allTypes)
	d := rowjson.NewDecoder(s)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		var errs schema.FieldErrors
		row, ok := d.Decode(data, nil, &errs, 1)
		if ok != (len(errs) == 0) || !bytes.Equal(before, data) {
			t.Fatal(ok, errs)
		}
		for _, e := range errs {
			if len(e.Value) > 64 || e.Rule == "" || !json.Valid(fmt.Appendf(nil, "%q", e.Field)) && e.Field == "" {
				t.Fatalf("%+v", e)
			}
		}
		if !ok {
			return
		}
		if !json.Valid(data) {
			t.Fatal("took what is not JSON")
		}
		if e := s.CheckRow(row); e != nil {
			t.Fatal(e)
		}
		text := rowjson.AppendRow(nil, s, row)
		again, ok := rowjson.Decode(s, text, nil, &errs, 1)
		if !ok {
			t.Fatalf("%v\n%s", errs, text)
		}
		for i, f := range s.Fields {
			if !schema.Equal(f.Type, again[i], row[i]) && f.Type.Kind != schema.KindJSON {
				t.Fatalf("field %q: %s", f.Name, text)
			}
		}
	})
}

const (
	benchFields = `
fields:
  - {name: iata, type: string, required: true}
  - {name: name, type: string}
  - {name: latitude, type: double}
  - {name: elevation, type: int}
  - {name: active, type: boolean}
key: [iata]
`
	benchRecord = `{"iata":"SEA","name":"Seattle-Tacoma International","latitude":47.449,"elevation":433,"active":true}`
)

func BenchmarkDecode(b *testing.B) {
	for _, bench := range []struct{ name, fields, record string }{
		{"flat", benchFields, benchRecord},
		{"shuffled", benchFields, `{"active":true,"latitude":47.449,"iata":"SEA","elevation":433,"name":"Seattle-Tacoma International"}`},
		{"escapes", benchFields, strings.Replace(benchRecord, "Seattle-", `Seattle\u2013`, 1)},
		{"types", allTypes, `{"id":1,"price":"12.50","day":"2024-02-29","when":"2024-02-29T23:59:59.5Z","uid":"123e4567-e89b-12d3-a456-426614174000"}`},
		{"nested", allTypes, `{"id":1,"pos":{"x":1,"y":"a"},"tags":["a","b","c"],"attrs":{"k":[1,2,3]}}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			d := rowjson.NewDecoder(build(b, bench.fields))
			record := []byte(bench.record)
			var row []schema.Value
			var errs schema.FieldErrors
			b.ReportAllocs()
			b.SetBytes(int64(len(record)))
			for b.Loop() {
				var ok bool
				if row, ok = d.Decode(record, row, &errs, 1); !ok {
					b.Fatal(errs)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkAppendRow(b *testing.B) {
	s := build(b, benchFields)
	row, _ := rowjson.Decode(s, []byte(benchRecord), nil, nil, 1)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = rowjson.AppendRow(dst[:0], s, row)
	}
	b.SetBytes(int64(len(dst)))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
