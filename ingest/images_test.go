package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/schema"
)

// withImages are airports whose changes keep the rows before them.
func withImages() *schema.Collection {
	c := airports()
	c.Options.BeforeImages = true
	return c
}

// changes is the batch appended last, a line per record: op, key, row, image.
func (s *store) changes(t testing.TB, sc *schema.Schema) string {
	t.Helper()
	var b strings.Builder
	for _, g := range s.last {
		for _, r := range g.Records {
			parts, err := sc.DecodeKey(r.Key, nil)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s: %s, was %s\n", r.Op, parts[0].Bytes(), s.rowText(t, r.Row), s.rowText(t, r.Before))
		}
	}
	return b.String()
}

func TestBeforeImages(t *testing.T) {
	s := newStore(withImages(), flights())
	w := newWriter(t, s, nil)
	for _, step := range []struct {
		op         ingest.Op
		skip       bool
		body, want string
	}{
		{"upsert", false, `{"iata":"A","lat":1}` + "\n" + `{"iata":"B","lat":2}`,
			"insert A: A|null|1|null|null, was -\ninsert B: B|null|2|null|null, was -\n"},
		{"upsert", false, `{"iata":"C","lat":3}` + "\n" + `{"iata":"B","lat":4}`,
			"insert C: C|null|3|null|null, was -\nupdate B: B|null|4|null|null, was B|null|2|null|null\n"},
		{"patch", false, `{"iata":"B","visits":7}`, "update B: B|null|4|7|null, was B|null|4|null|null\n"},
		{"insert", true, `{"iata":"B","lat":5}` + "\n" + `{"iata":"D","lat":6}`, "insert D: D|null|6|null|null, was -\n"},
		{"patch", true, `{"iata":"X","visits":1}` + "\n" + `{"iata":"D","visits":1}`, "update D: D|null|6|1|null, was D|null|6|null|null\n"},
		{"upsert", true, `{"iata":"D","lat":9,"_if_seq":99}` + "\n" + `{"iata":"A","lat":9,"_if_seq":0}`,
			"update A: A|null|9|null|null, was A|null|1|null|null\n"},
		{"delete", false, `{"iata":"B"}` + "\n" + `{"iata":"X"}`, "delete B: -, was B|null|4|7|null\ndelete X: -, was -\n"},
		{"upsert", false, `{"iata":"B","lat":8}`, "insert B: B|null|8|null|null, was -\n"},
	} {
		r := request("airports", step.op, ndjson, step.body)
		r.SkipBad = step.skip
		if _, err := w.Write(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got := s.changes(t, airports().Schema); got != step.want {
			t.Errorf("%s %s:\n%swant\n%s", step.op, step.body, got, step.want)
		}
	}
}

// An image is the row as it was stored, in the schema that it was written with.
func TestBeforeImageOfAnOlderSchema(t *testing.T) {
	c := withImages()
	s := newStore(c)
	w := newWriter(t, s, nil)
	if _, err := w.Write(t.Context(), request("airports", "", ndjson, `{"iata":"A","lat":1}`)); err != nil {
		t.Fatal(err)
	}
	evolved := *c.Schema
	evolved.ID, evolved.LastFieldID = 9, 7
	evolved.Fields = append([]schema.Field{{ID: 7, Name: "city", Type: kind(schema.KindString)}}, c.Schema.Fields...)
	evolved.Key = []int{1}
	now := *c
	now.Schema = &evolved
	s.put(&now)
	if _, err := w.Write(t.Context(), request("airports", "patch", ndjson, `{"iata":"A","city":"Aachen"}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := s.changes(t, &evolved), "update A: Aachen|A|null|1|null|null, was A|null|1|null|null\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The memory of images is bounded before they are gathered: a batch of keys can
// delete rows without end.
func TestImagesAreBounded(t *testing.T) {
	s := newStore(withImages())
	w := newWriter(t, s, func(o *ingest.Options) { o.MaxBatchBytes = 4 << 10 })
	long := strings.Repeat("x", 1500)
	var keys strings.Builder
	for i := range 3 {
		if _, err := w.Write(t.Context(), request("airports", "", ndjson, fmt.Sprintf(`{"iata":"%d","lat":1,"name":%q}`, i, long))); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&keys, "{\"iata\":\"%d\"}\n", i)
	}
	_, err := w.Write(t.Context(), request("airports", "delete", ndjson, keys.String()))
	if !errors.Is(err, schema.ErrTooLarge) || !strings.Contains(err.Error(), "send it as several") {
		t.Errorf("%v, want a batch that is too large", err)
	}
	two := keys.String()[:strings.Index(keys.String(), "\n")+1]
	if _, err := w.Write(t.Context(), request("airports", "delete", ndjson, two)); err != nil {
		t.Error(err)
	}
}

// Random batches, to one collection and to many, against a map.
func TestBeforeImagesRandomly(t *testing.T) {
	rnd := seedtest.Rand(t)
	c := withImages()
	s := newStore(c)
	w := newWriter(t, s, nil)
	rows := map[string]string{}
	for n := range 500 {
		op := []ingest.Op{"upsert", "insert", "patch", "delete"}[rnd.IntN(4)]
		var lines, many strings.Builder
		for _, k := range rnd.Perm(12)[:1+rnd.IntN(5)] {
			fmt.Fprintf(&lines, `{"iata":"%d","lat":%d}`+"\n", k, n)
			fmt.Fprintf(&many, `{"collection":"airports","op":%q,"record":{"iata":"%d","lat":%d}}`+"\n", op, k, n)
		}
		var err error
		if rnd.IntN(2) == 0 {
			r := request("airports", op, ndjson, lines.String())
			r.SkipBad = true
			_, err = w.Write(t.Context(), r)
		} else {
			_, err = w.WriteMany(t.Context(), ingest.ManyRequest{Tenant: "acme", Body: strings.NewReader(many.String()), SkipBad: true})
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range s.last {
			for _, r := range g.Records {
				was, exists := rows[string(r.Key)]
				if string(r.Before) != was {
					t.Fatalf("batch %d: %v of %q has image %q, want %q", n, r.Op, r.Key, r.Before, was)
				}
				want := map[bool]schema.Op{false: schema.OpInsert, true: schema.OpUpdate}[exists]
				if op == "delete" {
					want = schema.OpDelete
				}
				if r.Op != want {
					t.Fatalf("batch %d: %s of %q is %v, want %v", n, op, r.Key, r.Op, want)
				}
				if delete(rows, string(r.Key)); r.Op != schema.OpDelete {
					rows[string(r.Key)] = string(r.Row)
				}
			}
		}
	}
}
