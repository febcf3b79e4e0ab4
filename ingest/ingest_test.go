package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

// store is a registry, a log and an index in memory.
type store struct {
	mu          sync.Mutex
	collections map[string]*schema.Collection
	schemas     map[schema.SchemaID]*schema.Schema
	rows        map[schema.Instance]map[string][]byte
	next        map[schema.Instance]schema.Seq
	answers     map[schema.DedupKey]answer
	appends     int
	last        []ingest.Group
	inDecide    func() // called before Decide is
	seqs        map[schema.Instance]map[string]schema.Seq
	collide     func(schema.Instance, []schema.Record) []schema.Collision
}

type answer struct {
	digest [16]byte
	ack    ingest.Ack
}

func newStore(cs ...*schema.Collection) *store {
	s := &store{
		collections: make(map[string]*schema.Collection), schemas: make(map[schema.SchemaID]*schema.Schema),
		rows: map[schema.Instance]map[string][]byte{schema.InstanceGuards: {}}, next: make(map[schema.Instance]schema.Seq),
		answers: make(map[schema.DedupKey]answer),
	}
	for _, c := range cs {
		s.put(c)
	}
	return s
}

func (s *store) put(c *schema.Collection) {
	s.collections[c.String()] = c
	s.schemas[c.Schema.ID] = c.Schema
	if s.rows[c.Instance] == nil {
		s.rows[c.Instance] = make(map[string][]byte)
	}
}

func (s *store) Get(_ context.Context, tenant, name string) (*schema.Collection, error) {
	if c := s.collections[tenant+"/"+name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("collection %s/%s: %w", tenant, name, schema.ErrNotFound)
}

func (s *store) Schema(_ context.Context, id schema.SchemaID) (*schema.Schema, error) {
	if found := s.schemas[id]; found != nil {
		return found, nil
	}
	return nil, schema.ErrNotFound
}

func (s *store) GetSequenced(inst schema.Instance, key []byte) ([]byte, schema.Seq, bool, error) {
	row, ok := s.rows[inst][string(key)]
	return row, s.seqs[inst][string(key)], ok, nil
}

// Collisions takes the first indexed field of a unique index for all of it.
func (s *store) Collisions(inst schema.Instance, records []schema.Record) ([]schema.Collision, error) {
	if s.collide == nil {
		return nil, nil
	}
	return s.collide(inst, records), nil
}

func (s *store) Append(_ context.Context, b ingest.Batch) (ingest.Ack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.answers[b.Dedup]; ok && b.Dedup != (schema.DedupKey{}) {
		if a.digest != b.Digest {
			return ingest.Ack{}, schema.ErrConflict
		}
		a.ack.Replayed = true
		return a.ack, nil
	}
	if c := b.IfSeq; c != nil && s.next[c.Instance] != c.Seq {
		return ingest.Ack{}, schema.ErrPrecondition
	}
	groups := b.Groups
	if b.Decide != nil {
		if s.inDecide != nil {
			s.inDecide()
		}
		var err error
		for range 2 { // it may be called again
			if groups, err = b.Decide(b.Groups); err != nil {
				return ingest.Ack{}, err
			}
		}
	}
	s.appends++
	s.last = groups
	ack := ingest.Ack{Position: schema.Position{Generation: 1, Chunk: uint64(s.appends)}}
	for _, g := range groups {
		if len(g.Records) == 0 {
			continue
		}
		ack.Groups = append(ack.Groups, ingest.AckGroup{Instance: g.Instance, FirstSeq: s.next[g.Instance], Count: len(g.Records)})
		s.next[g.Instance] += schema.Seq(len(g.Records))
		if s.seqs == nil {
			s.seqs = make(map[schema.Instance]map[string]schema.Seq)
		}
		if s.seqs[g.Instance] == nil {
			s.seqs[g.Instance] = make(map[string]schema.Seq)
		}
		for i, r := range g.Records {
			s.seqs[g.Instance][string(r.Key)] = ack.Groups[len(ack.Groups)-1].FirstSeq + schema.Seq(i)
			switch {
			case r.Op == schema.OpDelete:
				delete(s.rows[g.Instance], string(r.Key))
			case len(r.Key) > 0:
				s.rows[g.Instance][string(r.Key)] = r.Row
			}
		}
	}
	s.answers[b.Dedup] = answer{b.Digest, ack}
	return ack, nil
}

// text is the batch appended last, a line per record: op and fields.
func (s *store) text(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, g := range s.last {
		for _, r := range g.Records {
			fmt.Fprintf(&b, "%s %s\n", r.Op, s.rowText(t, r.Row))
		}
	}
	return b.String()
}

func (s *store) rowText(t testing.TB, row []byte) string {
	t.Helper()
	if len(row) == 0 {
		return "-"
	}
	id, err := schema.RowSchemaID(row)
	if err != nil {
		t.Fatal(err)
	}
	sc := s.schemas[id]
	vs, err := schema.NewRowDecoder(sc, sc).Decode(row, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = "null"
		if !v.IsNull() {
			parts[i] = string(schema.AppendText(nil, sc.Fields[i].Type, v))
		}
	}
	return strings.Join(parts, "|")
}

func kind(k schema.Kind) schema.Type { return schema.Type{Kind: k} }

// airports are keyed: iata, name, lat, visits, tags.
func airports() *schema.Collection {
	return &schema.Collection{Tenant: "acme", Name: "airports", Instance: 16, Schema: &schema.Schema{
		ID: 1, LastFieldID: 6, Key: []int{0},
		Fields: []schema.Field{
			{ID: 1, Name: "iata", Type: kind(schema.KindString), Required: true},
			{ID: 2, Name: "name", Type: kind(schema.KindString)},
			{ID: 3, Name: "lat", Type: kind(schema.KindDouble), Required: true},
			{ID: 4, Name: "visits", Type: kind(schema.KindInt)},
			{ID: 5, Name: "tags", Type: schema.Type{Kind: schema.KindList, Fields: []schema.Field{{ID: 6, Name: "element", Type: kind(schema.KindString)}}}},
		},
	}}
}

// flights are append-only.
func flights() *schema.Collection {
	return &schema.Collection{Tenant: "acme", Name: "flights", Instance: 17, Schema: &schema.Schema{
		ID: 2, LastFieldID: 5,
		Fields: []schema.Field{
			{ID: 1, Name: "date", Type: kind(schema.KindTimestamp)},
			{ID: 2, Name: "delay", Type: kind(schema.KindLong)},
			{ID: 3, Name: "distance", Type: kind(schema.KindLong)},
			{ID: 4, Name: "origin", Type: kind(schema.KindString)},
			{ID: 5, Name: "destination", Type: kind(schema.KindString)},
		},
	}}
}

func newWriter(t testing.TB, s *store, with func(*ingest.Options)) *ingest.Writer {
	t.Helper()
	o := ingest.Options{Registry: s, Log: s, Index: s}
	if with != nil {
		with(&o)
	}
	w, err := ingest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

const (
	ndjson = "application/x-ndjson"
	asJSON = "application/json; charset=utf-8"
	asCSV  = "text/csv; header=present"
	arrows = "application/vnd.apache.arrow.stream"
)

func request(collection string, op ingest.Op, format, body string) ingest.Request {
	return ingest.Request{Tenant: "acme", Collection: collection, Op: op, Format: format, Body: strings.NewReader(body), Size: int64(len(body))}
}

func TestWrite(t *testing.T) {
	tests := []struct {
		name, collection string
		op               ingest.Op
		format, body     string
		want             string // records
	}{
		{"ndjson", "airports", "", ndjson,
			`{"iata":"SEA","lat":47.4,"tags":["a","b"]}` + "\n\n" + `{"iata":"PDX","lat":45.5,"name":null,"visits":3}`,
			"upsert SEA|null|47.4|null|[\"a\",\"b\"]\nupsert PDX|null|45.5|3|null\n"},
		{"json-lines", "airports", "upsert", "application/json-lines", "{\"iata\":\"SEA\",\"lat\":1}\r\n", "upsert SEA|null|1|null|null\n"},
		{"ndjson with a byte order mark", "airports", "", ndjson, "\ufeff{\"iata\":\"SEA\",\"lat\":1}", "upsert SEA|null|1|null|null\n"},
		{"no records", "airports", "", ndjson, "", ""},
		{"insert", "airports", "insert", ndjson, `{"iata":"SEA","lat":1}`, "insert SEA|null|1|null|null\n"},
		{"one object", "airports", "", asJSON, ` {"iata":"SEA",` + "\n" + `"lat":1} `, "upsert SEA|null|1|null|null\n"},
		{"array", "airports", "", asJSON, `[{"iata":"A","lat":1}, {"iata":"B","lat":2}]`, "upsert A|null|1|null|null\nupsert B|null|2|null|null\n"},
		{"empty array", "airports", "", asJSON, "\ufeff[ ]", ""},
		{"csv", "airports", "", asCSV, "lat,iata,name,tags\n1,SEA,\"Sea, \"\"Tac\"\"\n\",\"[\"\"x\"\"]\"\r\n2,,,\n",
			"upsert SEA|Sea, \"Tac\"\n|1|null|[\"x\"]\nupsert |null|2|null|null\n"},
		{"csv with a byte order mark and no rows", "airports", "", asCSV, "\ufeffiata,lat\n", ""},
		{"append-only", "flights", "", asCSV, "date,delay,origin\n2001-01-14T08:30:00,-3,SEA\n,,\n",
			"insert 2001-01-14T08:30:00|-3|null|SEA|null\ninsert null|null|null|null|null\n"},
		{"delete by key", "airports", "delete", ndjson, `{"iata":"SEA"}` + "\n" + `{"iata":"PDX","name":"Portland","lat":45.5}`, "delete -\ndelete -\n"},
		{"delete by csv", "airports", "delete", asCSV, "iata\nSEA\n", "delete -\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(airports(), flights())
			res, err := newWriter(t, s, nil).Write(t.Context(), request(tt.collection, tt.op, tt.format, tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.text(t); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			if n := strings.Count(tt.want, "sert ") + strings.Count(tt.want, "delete "); res.Count != n || res.FirstSeq != 0 || n > 0 && int(res.LastSeq) != n-1 {
				t.Errorf("%+v, want %d records", res, n)
			}
		})
	}
}

func TestInsertMustNotMeetItsKey(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	write := func(op ingest.Op, skip bool, body string) (ingest.Result, error) {
		r := request("airports", op, ndjson, body)
		r.SkipBad = skip
		return w.Write(t.Context(), r)
	}
	if _, err := write("insert", false, `{"iata":"SEA","lat":1}`); err != nil {
		t.Fatal(err)
	}
	body := `{"iata":"PDX","lat":2}` + "\n" + `{"iata":"SEA","lat":3}`
	_, err := write("insert", false, body)
	var errs schema.FieldErrors
	if !errors.Is(err, schema.ErrConflict) || !errors.As(err, &errs) || len(errs) != 1 || errs[0].Line != 2 || errs[0].Field != "iata" || errs[0].Value != "SEA" {
		t.Errorf("%v, want a conflict on line 2", err)
	}
	if s.appends != 1 {
		t.Error("a refused batch was written")
	}
	res, err := write("insert", true, body)
	if err != nil || res.Count != 1 || res.SkippedCount != 1 || len(res.Skipped) != 1 || res.Skipped[0].Line != 2 {
		t.Errorf("%+v, %v; want line 2 skipped", res, err)
	}
}

func TestPatch(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	do := func(op ingest.Op, format, body string) error {
		t.Helper()
		_, err := w.Write(t.Context(), request("airports", op, format, body))
		return err
	}
	if err := do("", ndjson, `{"iata":"SEA","lat":1,"name":"Sea","visits":1}`+"\n"+`{"iata":"PDX","lat":2}`); err != nil {
		t.Fatal(err)
	}
	if err := do("patch", ndjson, `{"iata":"SEA","visits":null,"lat":9}`+"\n"+`{"iata":"PDX","name":"Port"}`); err != nil {
		t.Fatal(err)
	}
	if got, want := s.text(t), "update SEA|Sea|9|null|null\nupdate PDX|Port|2|null|null\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if err := do("patch", asCSV, "iata,visits\nPDX,7\n"); err != nil {
		t.Fatal(err)
	}
	if got, want := s.text(t), "update PDX|Port|2|7|null\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	err := do("patch", ndjson, `{"iata":"SEA"}`+"\n"+`{"iata":"XXX","visits":1}`)
	var errs schema.FieldErrors
	if !errors.Is(err, schema.ErrNotFound) || !errors.As(err, &errs) || len(errs) != 1 || errs[0].Line != 2 || errs[0].Value != "XXX" {
		t.Errorf("%v, want not found on line 2", err)
	}
	if err := do("patch", ndjson, `{"iata":"SEA","visits":1}`+"\n"+`{"iata":"SEA","lat":1}`); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("%v, want a duplicate key", err)
	}
	if err := do("patch", ndjson, `{"iata":"SEA","lat":null}`); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("%v, want a required field", err)
	}
}

// A patch that was read before its collection evolved keeps what rows of the
// new schema have.
func TestPatchMeetsEvolvedRows(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	old := airports()
	evolved := *old.Schema
	evolved.ID, evolved.LastFieldID = 9, 7
	evolved.Fields = append([]schema.Field{{ID: 7, Name: "city", Type: kind(schema.KindString)}}, old.Schema.Fields...)
	evolved.Fields[4].Type = kind(schema.KindLong) // visits, widened
	evolved.Key = []int{1}
	row := []schema.Value{schema.String("Seattle"), schema.String("SEA"), schema.Null, schema.Float(1), schema.Int(1 << 40), schema.Null}
	s.inDecide = func() {
		c := airports()
		c.Schema = &evolved
		s.put(c)
		s.rows[c.Instance][string(evolved.AppendKey(nil, row))] = evolved.AppendRow(nil, row)
	}
	if _, err := w.Write(t.Context(), request("airports", "patch", ndjson, `{"iata":"SEA","name":"Sea"}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := s.text(t), "update Seattle|SEA|Sea|1|1099511627776|null\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestIdempotency(t *testing.T) {
	s := newStore(airports(), flights())
	w := newWriter(t, s, nil)
	write := func(collection, key string, op ingest.Op, format, body string) (ingest.Result, error) {
		r := request(collection, op, format, body)
		r.IdempotencyKey = key
		return w.Write(t.Context(), r)
	}
	one := `{"iata":"SEA","lat":1}`
	first, err := write("airports", "k", "", ndjson, one)
	if err != nil {
		t.Fatal(err)
	}
	for format, body := range map[string]string{ndjson: one, asJSON: `[{"lat":1.0,"iata":"SEA","name":null}]`, asCSV: "iata,lat\nSEA,1\n"} {
		again, err := write("airports", "k", "upsert", format, body)
		if err != nil || !again.Replayed || again.FirstSeq != first.FirstSeq || again.Position != first.Position || again.Count != 1 {
			t.Errorf("%s: %+v, %v; want the first answer %+v", format, again, err, first)
		}
	}
	evolved := *airports().Schema
	evolved.ID = 7
	evolved.Fields = append([]schema.Field{{ID: 9, Name: "city", Type: kind(schema.KindString)}}, evolved.Fields...)
	evolved.Key = []int{1}
	c := airports()
	c.Schema = &evolved
	s.put(c)
	if again, err := write("airports", "k", "", ndjson, one); err != nil || !again.Replayed {
		t.Errorf("after the schema evolved: %+v, %v", again, err)
	}
	for name, r := range map[string]func() (ingest.Result, error){
		"another body": func() (ingest.Result, error) { return write("airports", "k", "", ndjson, `{"iata":"SEA","lat":2}`) },
		"another op":   func() (ingest.Result, error) { return write("airports", "k", "delete", ndjson, one) },
	} {
		if _, err := r(); !errors.Is(err, schema.ErrConflict) {
			t.Errorf("%s with the same key: %v", name, err)
		}
	}
	if res, err := write("flights", "k", "", ndjson, `{"delay":1}`); err != nil || res.Replayed {
		t.Errorf("another collection with the same key: %+v, %v", res, err)
	}
	if s.appends != 2 {
		t.Errorf("%d appends, want 2", s.appends)
	}
	if _, err := write("airports", strings.Repeat("k", 256), "", ndjson, one); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("a key of 256 bytes: %v", err)
	}
}

func TestIfSeq(t *testing.T) {
	s := newStore(flights())
	w := newWriter(t, s, nil)
	seq := schema.Seq(0)
	for i, want := range []error{nil, schema.ErrPrecondition} {
		r := request("flights", "", ndjson, `{"delay":1}`)
		r.IfSeq = &seq
		if _, err := w.Write(t.Context(), r); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", i, err, want)
		}
	}
}

func TestSkipBad(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, func(o *ingest.Options) { o.MaxTextBytes = 200 })
	r := request("airports", "", ndjson, strings.Join([]string{
		`{"iata":"A","lat":1}`, `{"iata":"B"}`, `{"iata":"A","lat":2}`, `nonsense`, `{"iata":"C","lat":"x"}`,
		`{"iata":"` + strings.Repeat("x", 100_000) + `","lat":1}`, `{"iata":"D","lat":4}`,
	}, "\n"))
	r.SkipBad = true
	res, err := w.Write(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.text(t), "upsert A|null|1|null|null\nupsert D|null|4|null|null\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var lines []int
	for _, e := range res.Skipped {
		lines = append(lines, e.Line)
	}
	if fmt.Sprint(lines) != "[2 3 4 5 6]" || res.SkippedCount != 5 || res.Count != 2 {
		t.Errorf("skipped %v, %+v", lines, res)
	}
	csv := request("airports", "", asCSV, "iata,lat\nE,1\nF,x\nG\nH,2\n")
	csv.SkipBad = true
	if res, err = w.Write(t.Context(), csv); err != nil || res.Count != 2 || res.SkippedCount != 2 {
		t.Errorf("csv: %+v, %v", res, err)
	}
	// A body that cannot be read on is refused whole.
	csv = request("airports", "", asCSV, "iata,lat\nI,1\n\"J,2\n")
	csv.SkipBad = true
	if _, err = w.Write(t.Context(), csv); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("csv with an open quote: %v", err)
	}
}

func TestWriteMany(t *testing.T) {
	s := newStore(airports(), flights())
	w := newWriter(t, s, nil)
	many := func(body, key string) (ingest.ManyResult, error) {
		return w.WriteMany(t.Context(), ingest.ManyRequest{Tenant: "acme", Format: ndjson, Body: strings.NewReader(body), IdempotencyKey: key})
	}
	body := `{"collection":"flights","record":{"delay":1}}
{"collection":"airports","op":"upsert","record":{"iata":"SEA","lat":1}}
{"op":"insert","record":{"delay":2},"collection":"flights"}
{"collection":"airports","op":"delete","record":{"iata":"PDX"}}`
	res, err := many(body, "k")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.text(t), "insert null|1|null|null|null\ninsert null|2|null|null|null\nupsert SEA|null|1|null|null\ndelete -\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if res.Count != 4 || len(res.Collections) != 2 || res.Collections[0] != (ingest.CollectionResult{Collection: "flights", LastSeq: 1, Count: 2}) {
		t.Errorf("%+v", res)
	}
	if again, err := many(body, "k"); err != nil || !again.Replayed || s.appends != 1 {
		t.Errorf("retry: %+v, %v", again, err)
	}
	if _, err := many(strings.Replace(body, "2}", "3}", 1), "k"); !errors.Is(err, schema.ErrConflict) {
		t.Errorf("the key with another body: %v", err)
	}
	if _, err := many(`{"collection":"airports","op":"patch","record":{"iata":"SEA","visits":5}}
{"collection":"airports","op":"insert","record":{"iata":"LAX","lat":5}}`, ""); err != nil {
		t.Fatal(err)
	}
	if got, want := s.text(t), "update SEA|null|1|5|null\ninsert LAX|null|5|null|null\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	bad := []struct{ line, field string }{
		{`{"collection":"none","record":{}}`, "collection"}, {`{"collection":7,"record":{}}`, "collection"},
		{`{"record":{}}`, "collection"}, {`{"collection":"flights"}`, "record"}, {`{"collection":"flights","record":{"x":1}}`, "x"},
		{`{"collection":"flights","op":"patch","record":{}}`, "op"}, {`{"collection":"flights","op":"merge","record":{}}`, "op"},
		{`{"collection":"flights","record":{},"recrod":1}`, "recrod"}, {`{"collection":"flights","record":[]}`, ""},
		{`{"collection":"flights","collection":"airports","record":{}}`, "collection"},
		{`{"collection":"flights","record":{}} {}`, ""}, {`{"collection":"flights","record":{}`, ""}, {`[]`, ""},
	}
	r := ingest.ManyRequest{Tenant: "acme", Body: strings.NewReader(`{"collection":"flights","record":{"x":1}}
{"collection":"airports","op":"insert","record":{"iata":"LAX","lat":5}}
{"collection":"flights","record":{"delay":9}}`), SkipBad: true}
	if res, err := w.WriteMany(t.Context(), r); err != nil || res.Count != 1 || res.SkippedCount != 2 || res.Skipped[0].Line != 1 || res.Skipped[1].Line != 2 {
		t.Errorf("%+v, %v; want lines 1 and 2 skipped", res, err)
	}
	before := s.appends
	for _, tt := range bad {
		_, err := many(`{"collection":"flights","record":{}}`+"\n"+tt.line, "")
		var errs schema.FieldErrors
		if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Line != 2 || errs[0].Field != tt.field {
			t.Errorf("%s: %v (%+v), want line 2, field %q", tt.line, err, errs, tt.field)
		}
	}
	var all bytes.Buffer
	for i := range 1001 {
		c := flights()
		c.Name, c.Instance = fmt.Sprintf("c%d", i), schema.Instance(100+i)
		s.put(c)
		fmt.Fprintf(&all, `{"collection":"c%d","record":{}}`+"\n", i)
	}
	if _, err := many(all.String(), ""); !errors.Is(err, schema.ErrTooLarge) {
		t.Errorf("1,001 collections: %v", err)
	}
	if s.appends != before {
		t.Error("a refused batch was written")
	}
}
