package ingest_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

// column is one column of a stream, as JSON.
type column struct {
	name   string
	typ    arrow.DataType
	values string
}

func str(name, values string) column { return column{name, arrow.BinaryTypes.String, values} }
func f64(name, values string) column { return column{name, arrow.PrimitiveTypes.Float64, values} }

func batchOf(t testing.TB, cols ...column) arrow.RecordBatch {
	t.Helper()
	var (
		fields []arrow.Field
		arrays []arrow.Array
	)
	for _, c := range cols {
		a, _, err := array.FromJSON(memory.DefaultAllocator, c.typ, strings.NewReader(c.values))
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, arrow.Field{Name: c.name, Type: c.typ, Nullable: true})
		arrays = append(arrays, a)
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), arrays, int64(arrays[0].Len()))
}

func stream(t testing.TB, batches []arrow.RecordBatch, opts ...ipc.Option) string {
	t.Helper()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, append(opts, ipc.WithSchema(batches[0].Schema()))...)
	for _, batch := range batches {
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestArrow(t *testing.T) {
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	batches := []arrow.RecordBatch{
		batchOf(t, column{"iata", dict, `["A","B"]`}, f64("lat", `[1,2]`), column{"visits", arrow.PrimitiveTypes.Int64, `[null,7]`},
			column{"tags", arrow.ListOf(arrow.BinaryTypes.String), `[["x","y"],null]`}),
		batchOf(t, column{"iata", dict, `["C"]`}, f64("lat", `[3]`), column{"visits", arrow.PrimitiveTypes.Int64, `[1]`},
			column{"tags", arrow.ListOf(arrow.BinaryTypes.String), `[[]]`}),
	}
	want := "upsert A|null|1|null|[\"x\",\"y\"]\nupsert B|null|2|7|null\nupsert C|null|3|1|[]\n"
	for name, opts := range map[string][]ipc.Option{
		"plain": nil, "zstd": {ipc.WithZstd()}, "lz4": {ipc.WithLZ4()}, "deltas": {ipc.WithDictionaryDeltas(true)},
	} {
		s := newStore(airports())
		res, err := newWriter(t, s, nil).Write(t.Context(), request("airports", "", arrows, stream(t, batches, opts...)))
		if err != nil || res.Count != 3 {
			t.Errorf("%s: %+v, %v", name, res, err)
			continue
		}
		if got := s.text(t); got != want {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

func TestArrowCompressedLarge(t *testing.T) {
	b := schema.NewArrowBuilder(memory.DefaultAllocator, flights().Schema, nil, false)
	for i := range 5000 {
		b.Append([]schema.Value{schema.Int(int64(i) * 1e6), schema.Int(int64(i % 90)), schema.Null, schema.String(fmt.Sprint("a", i%50)), schema.String("SEA")}, 0, 0)
	}
	batch := []arrow.RecordBatch{b.NewRecordBatch()}
	var texts []string
	for _, opts := range [][]ipc.Option{nil, {ipc.WithZstd()}, {ipc.WithLZ4()}, {ipc.WithZstd(), ipc.WithMinSpaceSavings(0.9)}} {
		s := newStore(flights())
		if _, err := newWriter(t, s, nil).Write(t.Context(), request("flights", "", arrows, stream(t, batch, opts...))); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, s.text(t))
	}
	for _, text := range texts[1:] {
		if text != texts[0] {
			t.Error("a compressed stream reads otherwise than a plain one")
		}
	}
}

func TestArrowPatchAndDelete(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	for _, step := range []struct {
		op         ingest.Op
		body, want string
	}{
		{"", stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`), f64("lat", `[1]`), str("name", `["x"]`))}), "upsert A|x|1|null|null\n"},
		{"patch", stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`), str("name", `[null]`))}), "update A|null|1|null|null\n"},
		{"delete", stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`))}), "delete -\n"},
	} {
		r := request("airports", step.op, arrows, step.body)
		if _, err := w.Write(t.Context(), r); err != nil {
			t.Fatalf("%s: %v", step.op, err)
		}
		if got := s.text(t); got != step.want {
			t.Errorf("%s: got %s, want %s", step.op, got, step.want)
		}
	}
}

// message finds the n-th message of a stream: where its metadata and body are.
func message(t testing.TB, s string, n int) (meta, body, end int) {
	t.Helper()
	at := 0
	for {
		size := int(binary.LittleEndian.Uint32([]byte(s[at+4:])))
		meta, body = at+8, at+8+size
		r := bytes.NewReader([]byte(s[at:]))
		m, err := ipc.NewMessageReader(r).Message()
		if err != nil {
			t.Fatal(err)
		}
		end = body + int(m.BodyLen())
		if n == 0 {
			return meta, body, end
		}
		at, n = end, n-1
	}
}

// forge replaces one int64 of the n-th message's metadata with another.
func forge(t testing.TB, s string, n int, from, to int64) string {
	t.Helper()
	meta, body, _ := message(t, s, n)
	var was, is [8]byte
	binary.LittleEndian.PutUint64(was[:], uint64(from))
	binary.LittleEndian.PutUint64(is[:], uint64(to))
	at := strings.LastIndex(s[meta:body], string(was[:]))
	if at < 0 {
		t.Fatalf("no %d in the metadata", from)
	}
	return s[:meta+at] + string(is[:]) + s[meta+at+8:]
}

// repeated is a column of one text many times, by a dictionary.
func repeated(name, text string, times int) arrow.RecordBatch {
	mem := memory.DefaultAllocator
	texts, places := array.NewStringBuilder(mem), array.NewInt32Builder(mem)
	texts.Append(text)
	places.AppendValues(make([]int32, times), nil)
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	col := array.NewDictionaryArray(dict, places.NewArray(), texts.NewArray())
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: name, Type: dict, Nullable: true}}, nil), []arrow.Array{col}, int64(times))
}

func badArrow(t testing.TB) []badInput {
	rows := make([]string, 77)
	names := make([]string, 77)
	for i := range rows {
		rows[i], names[i] = fmt.Sprint(i), fmt.Sprintf("%q", fmt.Sprint("k", i))
	}
	lat, iata := "["+strings.Join(rows, ",")+"]", "["+strings.Join(names, ",")+"]"
	whole := stream(t, []arrow.RecordBatch{batchOf(t, str("iata", iata), f64("lat", lat))})
	_, body, end := message(t, whole, 1)
	packed := stream(t, []arrow.RecordBatch{batchOf(t, str("iata", iata), f64("lat", "["+strings.Repeat("0,", 76)+"0]"))}, ipc.WithZstd())
	_, packedBody, packedEnd := message(t, packed, 1)
	bomb := stream(t, []arrow.RecordBatch{repeated("name", strings.Repeat("x", 80<<20), 1)}, ipc.WithZstd())
	le := func(n int64) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	size := strings.Index(packed[packedBody:packedEnd], le(77*8)) // of lat when decompressed
	if size < 0 {
		t.Fatal("no compressed buffer of 616 bytes")
	}
	swap := func(s string, at int, with string) string { return s[:at] + with + s[at+len(with):] }
	offsets := []byte(whole)
	for i := body; i < body+60; i++ {
		offsets[i] = 0x7f
	}
	big := stream(t, []arrow.RecordBatch{repeated("origin", strings.Repeat("x", 100_000), 1000)})
	invalid, tooLarge := schema.ErrInvalid, schema.ErrTooLarge
	return []badInput{
		{"arrow: unknown column", "", "", arrows, "", stream(t, []arrow.RecordBatch{batchOf(t, str("iatta", `["A"]`))}), invalid, 0, "iatta", ""},
		{"arrow: wrong type", "", "", arrows, "", stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`), str("lat", `["1"]`))}), invalid, 0, "lat", ""},
		{"arrow: column twice", "", "", arrows, "", stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`), str("iata", `["A"]`))}), invalid, 0, "iata", ""},
		{"arrow: null in required", "", "", arrows, "", stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A","B"]`), f64("lat", `[1,null]`))}), invalid, 2, "lat", ""},
		{"arrow: missing column", "", "", arrows, "", stream(t, []arrow.RecordBatch{batchOf(t, str("iata", `["A"]`))}), invalid, 1, "lat", ""},
		{"arrow: missing key", "", "delete", arrows, "", stream(t, []arrow.RecordBatch{batchOf(t, f64("lat", `[1]`))}), invalid, 0, "iata", ""},
		{"arrow: duplicate key in the second batch", "", "", arrows, "", stream(t, []arrow.RecordBatch{
			batchOf(t, str("iata", `["A","B"]`), f64("lat", `[1,2]`)), batchOf(t, str("iata", `["B"]`), f64("lat", `[3]`))}), invalid, 3, "iata", "line 2"},
		{"arrow: out of range", "", "", arrows, "", stream(t, []arrow.RecordBatch{
			batchOf(t, str("iata", `["A"]`), f64("lat", `[1]`), column{"visits", arrow.PrimitiveTypes.Int64, `[3000000000]`})}), invalid, 1, "visits", ""},
		{"arrow: nothing", "", "", arrows, "", "", invalid, 0, "", "cut off"},
		{"arrow: no end of stream", "", "", arrows, "", whole[:end], invalid, 78, "", "cut off"},
		{"arrow: cut in a body", "", "", arrows, "", whole[:body+10], invalid, 1, "", "cut off"},
		{"arrow: cut in metadata", "", "", arrows, "", whole[:body-10], invalid, 1, "", "cut off"},
		{"arrow: cut in a length", "", "", arrows, "", whole[:6], invalid, 0, "", "cut off"},
		{"arrow: more after its end", "", "", arrows, "", whole + whole, invalid, 0, "", "after the Arrow stream"},
		{"arrow: no arrow", "", "", arrows, "", "ARROW1\x00\x00 and more of that", invalid, 0, "", ""},
		{"arrow: json", "", "", arrows, "", good, invalid, 0, "", ""},
		{"arrow: forged metadata length", "", "", arrows, "", "\xff\xff\xff\xff\xff\xff\xff\x7f", invalid, 0, "", "metadata"},
		{"arrow: negative metadata length", "", "", arrows, "", "\xff\xff\xff\xff\x00\x00\x00\x80", invalid, 0, "", "metadata"},
		{"arrow: forged body length", "", "", arrows, "", forge(t, whole, 1, int64(end-body), 1<<40), tooLarge, -1, "", "limit"},
		{"arrow: negative body length", "", "", arrows, "", forge(t, whole, 1, int64(end-body), -1), invalid, 1, "", "negative"},
		{"arrow: forged buffer", "", "", arrows, "", forge(t, whole, 1, 77*8, 1<<40), invalid, 1, "", "outside"},
		{"arrow: forged rows", "", "", arrows, "", forge(t, whole, 1, 77, 1<<50), invalid, 1, "", "cannot be"},
		{"arrow: corrupt offsets", "", "", arrows, "", string(offsets), invalid, 1, "", ""},
		{"arrow: forged size of a compressed buffer", "", "", arrows, "", swap(packed, packedBody+size, le(1<<40)), tooLarge, -1, "", "limit"},
		{"arrow: a compressed buffer too small", "", "", arrows, "", swap(packed, packedBody+size, le(78*8)), invalid, 1, "", "compressed"},
		{"arrow: a compressed buffer too large", "", "", arrows, "", swap(packed, packedBody+size, le(8)), invalid, 1, "", "compressed"},
		{"arrow: a compressed buffer of noise", "", "", arrows, "", swap(packed, packedBody+size+8, "\xff\xff\xff\xff"), invalid, 1, "", "compressed"},
		{"arrow: zstd bomb", "", "", arrows, "", bomb, tooLarge, -1, "", ""},
		{"arrow: dictionary bomb", "flights", "", arrows, "", big, tooLarge, -1, "", "encoded"},
	}
}
