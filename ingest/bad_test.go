package ingest_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

func gz(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zst(t testing.TB, data []byte, opts ...zstd.EOption) string {
	t.Helper()
	z, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll(data, nil))
}

const good = `{"iata":"SEA","lat":1}` + "\n"

// badInput are bodies that must be refused: with which kind, naming which line
// and field, and with what in the rule.
type badInput struct {
	name             string
	collection       string // "" means airports
	op               ingest.Op
	format, encoding string
	body             string
	kind             error
	line             int // -1: not about records
	field, rule      string
}

func badInputs(t testing.TB) []badInput {
	huge := strings.Repeat("x", 20<<20)
	zeros := make([]byte, 20<<20)
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	invalid, tooLarge, unsupported := schema.ErrInvalid, schema.ErrTooLarge, schema.ErrUnsupported
	return []badInput{
		// Records of JSON.
		{"unknown field", "", "", ndjson, "", good + `{"iata":"B","lat":1,"latt":2}`, invalid, 2, "latt", ""},
		{"wrong type", "", "", ndjson, "", good + `{"iata":"B","lat":"high"}`, invalid, 2, "lat", ""},
		{"fraction in an int", "", "", ndjson, "", good + `{"iata":"B","lat":1,"visits":1.5}`, invalid, 2, "visits", ""},
		{"int out of range", "", "", ndjson, "", good + `{"iata":"B","lat":1,"visits":3000000000}`, invalid, 2, "visits", ""},
		{"huge number", "", "", ndjson, "", good + `{"iata":"B","lat":1e999999}`, invalid, 2, "lat", ""},
		{"null in required", "", "", ndjson, "", good + `{"iata":"B","lat":null}`, invalid, 2, "lat", ""},
		{"missing required", "", "", ndjson, "", good + `{"iata":"B"}`, invalid, 2, "lat", ""},
		{"missing key", "", "", ndjson, "", good + `{"lat":1}`, invalid, 2, "iata", ""},
		{"missing key of a delete", "", "delete", ndjson, "", `{"iata":"A"}` + "\n" + `{"lat":1}`, invalid, 2, "iata", ""},
		{"missing key of a patch", "", "patch", ndjson, "", `{"iata":"A"}` + "\n" + `{"lat":1}`, invalid, 2, "iata", ""},
		{"duplicate key", "", "", ndjson, "", good + "\n" + `{"iata":"SEA","lat":2}`, invalid, 3, "iata", "line 1"},
		{"duplicate key of an insert", "", "insert", ndjson, "", good + good, invalid, 2, "iata", "line 1"},
		{"duplicate key of a delete", "", "delete", ndjson, "", good + good, invalid, 2, "iata", "line 1"},
		{"duplicate names", "", "", ndjson, "", good + `{"iata":"B","lat":1,"lat":2}`, invalid, 2, "lat", ""},
		{"bad UTF-8", "", "", ndjson, "", good + "{\"iata\":\"B\xff\",\"lat\":1}", invalid, 2, "iata", "UTF-8"},
		{"lone surrogate", "", "", ndjson, "", good + `{"iata":"\ud800","lat":1}`, invalid, 2, "iata", ""},
		{"depth", "", "", ndjson, "", good + `{"iata":"B","lat":1,"tags":` + deep + `}`, invalid, 2, "tags.0", ""},
		{"no object", "", "", ndjson, "", good + `["B",1]`, invalid, 2, "", ""},
		{"no JSON", "", "", ndjson, "", good + `iata=B`, invalid, 2, "", ""},
		{"cut line", "", "", ndjson, "", good + `{"iata":"B","la`, invalid, 2, "", ""},
		{"two on a line", "", "", ndjson, "", good + `{"iata":"B","lat":1}{"iata":"C","lat":1}`, invalid, 2, "", ""},
		{"20 MB record", "", "", ndjson, "", good + `{"iata":"B","lat":1,"name":"` + huge + `"}`, tooLarge, 2, "", "longer"},
		{"2 MB record", "", "", ndjson, "", good + `{"iata":"B","lat":1,"name":"` + huge[:2<<20] + `"}`, tooLarge, 2, "", "encoded"},
		{"long key", "", "", ndjson, "", good + `{"iata":"` + huge[:20<<10] + `","lat":1}`, tooLarge, 2, "", "key"},
		// Arrays and objects.
		{"array: wrong type", "", "", asJSON, "", `[{"iata":"A","lat":1},{"iata":"B","lat":"x"}]`, invalid, 2, "lat", ""},
		{"array: cut off", "", "", asJSON, "", `[{"iata":"A","lat":1},`, invalid, 2, "", "cut off"},
		{"array: open string", "", "", asJSON, "", `[{"iata":"A","lat":1},{"iata":"B`, invalid, 2, "", "cut off"},
		{"array: no comma", "", "", asJSON, "", `[{"iata":"A","lat":1} {"iata":"B","lat":1}]`, invalid, 2, "", "not JSON"},
		{"array: more after it", "", "", asJSON, "", `[{"iata":"A","lat":1}] {}`, invalid, 0, "", "after its end"},
		{"array of arrays", "", "", asJSON, "", `[[]]`, invalid, 1, "", ""},
		{"array: very deep", "", "", asJSON, "", strings.Repeat("[", 1<<20), invalid, 1, "", ""},
		{"objects in a row", "", "", asJSON, "", good + good, invalid, 0, "", "x-ndjson"},
		{"array: 20 MB record", "", "", asJSON, "", `[` + good + `,{"iata":"B","lat":1,"name":"` + huge + `"}]`, tooLarge, 2, "", "longer"},
		{"array: duplicate names", "", "", asJSON, "", `[{"iata":"A","lat":1,"iata":"B"}]`, invalid, 1, "iata", ""},
		{"JSON: nothing", "", "", asJSON, "", "", invalid, 1, "", "cut off"},
		{"JSON: a number", "", "", asJSON, "", "7", invalid, 1, "", ""},
		// CSV.
		{"csv: unknown column", "", "", asCSV, "", "iata,lat,latt\nA,1,1\n", invalid, 1, "latt", "no such field"},
		{"csv: column twice", "", "", asCSV, "", "iata,lat,lat\nA,1,1\n", invalid, 1, "lat", "two columns"},
		{"csv: required column missing", "", "", asCSV, "", "iata\nA\n", invalid, 1, "lat", "no such column"},
		{"csv: key column missing", "", "delete", asCSV, "", "lat\n1\n", invalid, 1, "iata", "key"},
		{"csv: too few cells", "", "", asCSV, "", "iata,lat\nA,1\nB\n", invalid, 3, "", "1 cells"},
		{"csv: too many cells", "", "", asCSV, "", "iata,lat\nA,1\nB,2,3\n", invalid, 3, "", "3 cells"},
		{"csv: wrong type", "", "", asCSV, "", "iata,lat\n\"A\nB\",1\nC,high\n", invalid, 4, "lat", ""},
		{"csv: empty required", "", "", asCSV, "", "iata,lat\nA,\n", invalid, 2, "lat", "required"},
		{"csv: duplicate key", "", "", asCSV, "", "iata,lat\nA,1\nA,2\n", invalid, 3, "iata", "line 2"},
		{"csv: open quote", "", "", asCSV, "", "iata,lat\nA,1\n\"B,2\n", invalid, 3, "", "not CSV"},
		{"csv: stray quote", "", "", asCSV, "", "iata,lat\nA,1\nB\"x,2\n", invalid, 3, "", "not CSV"},
		{"csv: bad UTF-8", "", "", asCSV, "", "iata,lat\nA,1\n\xff,2\n", invalid, 3, "iata", "UTF-8"},
		{"csv: nested value", "", "", asCSV, "", "iata,lat,tags\nA,1,[7]\n", invalid, 2, "tags", ""},
		{"csv: empty", "", "", asCSV, "", "", invalid, 1, "", "empty"},
		{"csv: 20 MB record", "", "", asCSV, "", "iata,lat,name\nA,1,\nB,1,\"" + huge + "\"\n", tooLarge, 3, "", "longer"},
		// Encodings.
		{"gzip bomb", "", "", ndjson, "gzip", gz(t, zeros), tooLarge, -1, "", "100 times"},
		{"zstd bomb", "", "", ndjson, "zstd", zst(t, zeros), tooLarge, -1, "", "100 times"},
		{"zstd window", "", "", ndjson, "zstd", "\x28\xb5\x2f\xfd\x00\xff\x00\x00\x00\x00", tooLarge, -1, "", "window"},
		{"no gzip", "", "", ndjson, "gzip", good, invalid, 0, "", "decompressed"},
		{"no zstd", "", "", ndjson, "zstd", good, invalid, 0, "", "decompressed"},
		{"cut gzip", "", "", ndjson, "gzip", gz(t, []byte(good))[:20], invalid, 0, "", "cut off"},
		{"cut zstd", "", "", ndjson, "zstd", zst(t, []byte(strings.Repeat(good, 3)))[:20], invalid, 0, "", "cut off"},
		{"more after gzip", "", "", ndjson, "gzip", gz(t, []byte(good)) + "more", invalid, 0, "", ""},
		{"unknown encoding", "", "", ndjson, "br", good, ingest.ErrMediaType, -1, "", "gzip, zstd"},
		{"two encodings", "", "", ndjson, "gzip, zstd", good, ingest.ErrMediaType, -1, "", "gzip, zstd"},
		// Requests.
		{"no content type", "", "", "", "", good, ingest.ErrMediaType, -1, "", "text/csv"},
		{"wrong content type", "", "", "application/x-www-form-urlencoded", "", good, ingest.ErrMediaType, -1, "", "text/csv"},
		{"broken content type", "", "", "text/csv; header", "", good, ingest.ErrMediaType, -1, "", "text/csv"},
		{"wrong charset", "", "", "text/csv; charset=latin1", "", "iata,lat\n", ingest.ErrMediaType, -1, "", "UTF-8"},
		{"csv without header", "", "", "text/csv; header=absent", "", "A,1\n", ingest.ErrMediaType, -1, "", "header"},
		{"unsupported is a kind too", "", "", "text/html", "", good, unsupported, -1, "", ""},
		{"unknown collection", "nowhere", "", ndjson, "", good, schema.ErrNotFound, -1, "", ""},
		{"unknown op", "", "merge", ndjson, "", good, invalid, -1, "", "no operation"},
		{"upsert without key", "flights", "upsert", ndjson, "", `{}`, invalid, -1, "", "no key"},
		{"delete without key", "flights", "delete", ndjson, "", `{}`, invalid, -1, "", "no key"},
		{"patch without key", "flights", "patch", ndjson, "", `{}`, invalid, -1, "", "no key"},
	}
}

func TestBadInput(t *testing.T) {
	for _, tt := range append(badInputs(t), badArrow(t)...) {
		t.Run(tt.name, func(t *testing.T) { tt.check(t) })
	}
}

func (tt badInput) check(t *testing.T) {
	s := newStore(airports(), flights())
	w := newWriter(t, s, nil)
	r := request(tt.collection, tt.op, tt.format, tt.body)
	if tt.collection == "" {
		r.Collection = "airports"
	}
	r.Encoding = tt.encoding
	_, err := w.Write(t.Context(), r)
	if s.appends != 0 {
		t.Error("something was appended")
	}
	if !errors.Is(err, tt.kind) {
		t.Fatalf("%v, want a %v", err, tt.kind)
	}
	if errors.Is(tt.kind, schema.ErrTooLarge) && errors.Is(err, schema.ErrInvalid) {
		t.Errorf("%v is of two kinds", err)
	}
	if !strings.Contains(fullText(err), tt.rule) {
		t.Errorf("%s, want %q in it", fullText(err), tt.rule)
	}
	var errs schema.FieldErrors
	switch {
	case tt.line < 0:
	case !errors.As(err, &errs) || len(errs) == 0:
		t.Errorf("%v names no record", err)
	case errs[0].Line != tt.line || errs[0].Field != tt.field:
		t.Errorf("line %d, field %q, want %d, %q: %v", errs[0].Line, errs[0].Field, tt.line, tt.field, err)
	}
}

func fullText(err error) string {
	var errs schema.FieldErrors
	if !errors.As(err, &errs) {
		return err.Error()
	}
	out := err.Error()
	for _, e := range errs {
		out += "; " + e.Rule
	}
	return out
}

func TestUpToAHundredErrors(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	_, err := w.Write(t.Context(), request("airports", "", ndjson, strings.Repeat(`{"iata":"A"}`+"\n", 500)))
	var errs schema.FieldErrors
	if !errors.As(err, &errs) || len(errs) != schema.MaxFieldErrors || errs[99].Line != 100 {
		t.Errorf("%d errors, want %d", len(errs), schema.MaxFieldErrors)
	}
}

// endless gives a record that never ends, and counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestEndlessRecordIsRefusedEarly(t *testing.T) {
	for format, head := range map[string]string{ndjson: `{"iata":"`, asJSON: `[{"iata":"`, asCSV: "iata,lat\n\""} {
		s := newStore(airports())
		w := newWriter(t, s, nil)
		tail := &endless{}
		r := request("airports", "", format, "")
		r.Body = io.MultiReader(strings.NewReader(head), tail)
		if _, err := w.Write(t.Context(), r); !errors.Is(err, schema.ErrTooLarge) {
			t.Errorf("%s: %v", format, err)
		}
		if tail.read > 20<<20 {
			t.Errorf("%s: %d bytes were read", format, tail.read)
		}
	}
}

func TestBatchLimits(t *testing.T) {
	s := newStore(airports(), flights())
	w := newWriter(t, s, func(o *ingest.Options) { o.MaxBatchBytes, o.MaxBatchRecords = 1<<20, 1000 })
	refused := func(name string, r ingest.Request) {
		t.Helper()
		if _, err := w.Write(t.Context(), r); !errors.Is(err, schema.ErrTooLarge) || errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("records", request("flights", "", ndjson, strings.Repeat("{}\n", 1001)))
	long := strings.Repeat(`{"origin":"`+strings.Repeat("x", 20<<10)+`"}`+"\n", 60)
	refused("stated length", request("flights", "", ndjson, long))
	unstated := request("flights", "", ndjson, long)
	unstated.Size = -1
	refused("bytes", unstated)
	random := make([]byte, 2<<20)
	for i := range random {
		random[i] = "0123456789abcdef"[(i*i/7+i)%16]
	}
	packed := request("flights", "", asCSV, zst(t, append([]byte("origin\n"), random...)))
	packed.Encoding = "zstd"
	refused("decompressed bytes", packed)
	if s.appends != 0 {
		t.Error("something was appended")
	}
}

func TestBrokenConnection(t *testing.T) {
	cause := errors.New("connection reset")
	for _, format := range []string{ndjson, asJSON, asCSV, arrows} {
		for _, encoding := range []string{"", "gzip", "zstd"} {
			s := newStore(airports())
			r := request("airports", "", format, "")
			r.Encoding = encoding
			r.Body = iotest.ErrReader(cause)
			if _, err := newWriter(t, s, nil).Write(t.Context(), r); !errors.Is(err, cause) {
				t.Errorf("%s %s: %v", format, encoding, err)
			}
			r.Body = io.MultiReader(strings.NewReader(good), iotest.ErrReader(io.ErrUnexpectedEOF))
			if _, err := newWriter(t, s, nil).Write(t.Context(), r); !errors.Is(err, schema.ErrInvalid) {
				t.Errorf("%s %s: %v", format, encoding, err)
			}
			if s.appends != 0 {
				t.Error("something was appended")
			}
		}
	}
}

func TestOptionsValidate(t *testing.T) {
	s := newStore()
	for name, o := range map[string]ingest.Options{
		"nothing":  {},
		"negative": {Registry: s, Log: s, Index: s, MaxRatio: -1},
		"memory":   {Registry: s, Log: s, Index: s, MaxInFlightBytes: 1},
	} {
		if _, err := ingest.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func ExampleBatchError() {
	err := error(&ingest.BatchError{Kind: schema.ErrConflict, Records: schema.FieldErrors{{Line: 2, Field: "iata", Value: "SEA", Rule: "there is a record with this key already"}}})
	var records schema.FieldErrors
	fmt.Println(errors.Is(err, schema.ErrConflict), errors.Is(err, schema.ErrInvalid), errors.As(err, &records), records[0].Line)
	fmt.Println(err)
	// Output:
	// true false true 2
	// conflict: line 2: field iata: SEA: there is a record with this key already
}
