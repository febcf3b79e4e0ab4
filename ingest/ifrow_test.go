package ingest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

func TestRowConditions(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		op         ingest.Op
		kind       error // nil: written
		words      string
	}{
		{"as it is", `{"iata":"SEA","lat":2,"_if_seq":1}`, "", nil, ""},
		{"in an array", `[{"_if_seq":1,"iata":"SEA","lat":2},{"iata":"X","lat":2,"_if_seq":null}]`, "", nil, ""},
		{"patch", `{"_if_seq":0,"iata":"PDX","visits":2}`, "patch", nil, ""},
		{"delete", `{"iata":"SEA","_if_seq":1}`, "delete", nil, ""},
		{"absent", `{"iata":"LAX","lat":2,"_if_seq":null}`, "", nil, ""},
		{"another seq", `{"iata":"SEA","lat":2,"_if_seq":0}`, "", schema.ErrPrecondition, "SEA: the record with this key is of seq 1, not 0"},
		{"no row", `{"iata":"LAX","lat":2,"_if_seq":7}`, "", schema.ErrPrecondition, "no record with this key"},
		{"a row", `{"iata":"SEA","lat":2,"_if_seq":null}`, "", schema.ErrPrecondition, "of seq 1"},
		{"delete of another seq", `{"iata":"SEA","_if_seq":2}`, "delete", schema.ErrPrecondition, "of seq 1, not 2"},
		{"patch of another seq", `{"iata":"SEA","_if_seq":2}`, "patch", schema.ErrPrecondition, "of seq 1, not 2"},
		{"no seq", `{"iata":"SEA","lat":2,"_if_seq":"1"}`, "", schema.ErrInvalid, "_if_seq"},
		{"negative", `{"iata":"SEA","lat":2,"_if_seq":-1}`, "", schema.ErrInvalid, "_if_seq"},
		{"nested", `{"iata":"SEA","lat":2,"_if_seq":[1]}`, "", schema.ErrInvalid, "_if_seq"},
		{"twice", `{"iata":"SEA","lat":2,"_if_seq":1,"_if_seq":1}`, "", schema.ErrInvalid, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore(airports())
			w := newWriter(t, s, nil)
			if _, err := w.Write(t.Context(), request("airports", "", ndjson, `{"iata":"PDX","lat":1}`+"\n"+`{"iata":"SEA","lat":1}`)); err != nil {
				t.Fatal(err)
			}
			_, err := w.Write(t.Context(), request("airports", tc.op, asJSON, tc.body))
			if tc.kind == nil {
				if err != nil || s.appends != 2 {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.words) || s.appends != 1 {
				t.Errorf("got %v, want %v with %q", err, tc.kind, tc.words)
			}
		})
	}
}

func TestIfSeqSkipsAndTellsRetriesApart(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	r := request("airports", "", ndjson, `{"iata":"SEA","lat":1,"_if_seq":null}`+"\n"+`{"iata":"PDX","lat":1,"_if_seq":5}`)
	r.SkipBad = true
	res, err := w.Write(t.Context(), r)
	if err != nil || res.Count != 1 || len(res.Skipped) != 1 || res.Skipped[0].Line != 2 {
		t.Errorf("skip: %+v %v", res, err)
	}
	keyed := func(body string) error {
		r := request("airports", "", ndjson, body)
		r.IdempotencyKey = "once"
		_, err := w.Write(t.Context(), r)
		return err
	}
	if err := keyed(`{"iata":"SEA","lat":2,"_if_seq":0}`); err != nil {
		t.Fatal(err)
	}
	if err := keyed(`{"iata":"SEA","lat":2,"_if_seq":0}`); err != nil {
		t.Errorf("a retry: %v", err)
	}
	if err := keyed(`{"iata":"SEA","lat":2,"_if_seq":1}`); !errors.Is(err, schema.ErrConflict) {
		t.Errorf("another condition with the same key: %v", err)
	}
	if err := keyed(`{"iata":"SEA","lat":2}`); !errors.Is(err, schema.ErrConflict) {
		t.Errorf("no condition with the same key: %v", err)
	}
}

func TestIfRowOfARequest(t *testing.T) {
	s := newStore(airports(), flights())
	w := newWriter(t, s, nil)
	write := func(collection, format, body string, cond ingest.IfRow) error {
		r := request(collection, "", format, body)
		r.IfRow = &cond
		_, err := w.Write(t.Context(), r)
		return err
	}
	sea := `{"iata":"SEA","lat":1}`
	if err := write("airports", ndjson, sea, ingest.IfRow{Absent: true}); err != nil {
		t.Error(err)
	}
	if err := write("airports", ndjson, sea, ingest.IfRow{Absent: true}); !errors.Is(err, schema.ErrPrecondition) {
		t.Errorf("again: %v", err)
	}
	if err := write("airports", asCSV, "iata,lat\nSEA,2\n", ingest.IfRow{Seq: 0}); err != nil {
		t.Errorf("in CSV: %v", err)
	}
	if err := write("airports", ndjson, sea, ingest.IfRow{Seq: 0}); !errors.Is(err, schema.ErrPrecondition) {
		t.Errorf("of a seq that is past: %v", err)
	}
	for _, body := range []string{"", sea + "\n" + `{"iata":"PDX","lat":1}`, `{"iata":"SEA","lat":1,"_if_seq":1}`} {
		if err := write("airports", ndjson, body, ingest.IfRow{Seq: 1}); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%q: %v", body, err)
		}
	}
	if err := write("flights", ndjson, "{}", ingest.IfRow{Seq: 1}); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("append-only: %v", err)
	}
}

func TestCollisions(t *testing.T) {
	s := newStore(airports())
	w := newWriter(t, s, nil)
	c := airports()
	// name is unique: what comes first in a batch has it.
	s.collide = func(_ schema.Instance, records []schema.Record) (found []schema.Collision) {
		holders := map[string]int{}
		for i, r := range records {
			values, err := schema.NewRowDecoder(c.Schema, c.Schema).Decode(r.Row, nil)
			if err != nil {
				t.Fatal(err)
			}
			fields := c.Schema.AppendIndexFields(nil, []int{1}, values)
			if other, ok := holders[string(fields)]; ok {
				found = append(found, schema.Collision{Record: i, Index: "by_name", FieldIDs: []int{2}, Fields: fields, Key: records[other].Key, Other: other})
			}
			holders[string(fields)] = i
		}
		return found
	}
	body := `{"iata":"A","lat":1,"name":"x"}` + "\n" + `{"iata":"B","lat":1,"name":"x"}` + "\n" + `{"iata":"C","lat":1,"name":"y"}`
	_, err := w.Write(t.Context(), request("airports", "insert", ndjson, body))
	want := "conflict: line 2: field name: x: the record in line 1, with key A, has the same in this batch, and index by_name is unique"
	if !errors.Is(err, schema.ErrConflict) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v\nwant %s", err, want)
	}
	r := request("airports", "insert", ndjson, body)
	r.SkipBad = true
	res, err := w.Write(t.Context(), r)
	if err != nil || res.Count != 2 || res.SkippedCount != 1 || res.Skipped[0].Line != 2 {
		t.Errorf("skip: %+v %v", res, err)
	}
	// An index that finds something wrong with whatever is left ends the batch.
	s.collide = func(_ schema.Instance, records []schema.Record) []schema.Collision {
		return []schema.Collision{{Record: len(records) - 1, Index: "by_name", FieldIDs: []int{2}, Fields: []byte{0}, Key: records[0].Key, Other: -1}}
	}
	var lines []string
	for i := range 100 {
		lines = append(lines, `{"iata":"`+strings.Repeat("k", i+1)+`","lat":1}`)
	}
	r = request("airports", "", ndjson, strings.Join(lines, "\n"))
	r.SkipBad = true
	if _, err := w.Write(t.Context(), r); !errors.Is(err, schema.ErrConflict) {
		t.Errorf("a batch that cannot be untangled: %v", err)
	}
}
