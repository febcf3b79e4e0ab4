package node_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query/querytest"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
	"github.com/trinedb/trine/schema/rowjson"
)

// TestWhereEverywhere asks for the rows of random collections by random predicates,
// as a scan, as a range of keys and as a log, over HTTP, while their rows lie in the
// index, in files, and in the log's tail: each answer is the oracle's.
func TestWhereEverywhere(t *testing.T) {
	random := seedtest.Rand(t)
	n := openNode(t, node.Options{Data: dataDir(t)})
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		w := newWhereTest(t, n, random, round)
		for range 4 {
			w.write()
			if random.IntN(2) == 0 {
				if _, err := n.Engine.Flush(t.Context(), w.collection); err != nil {
					t.Fatal(err)
				}
			}
		}
		rows := w.tellTimes()
		for range 25 {
			w.compare(querytest.Draw(random, w.collection.Schema, 2), rows)
		}
	}
}

// whereTest is a collection, and the rows that it has.
type whereTest struct {
	*rand.Rand
	surface
	node       *node.Node
	collection *schema.Collection
	rows       map[int64]querytest.Row // keyed: by id; else by seq
}

func newWhereTest(t *testing.T, n *node.Node, r *rand.Rand, round int) *whereTest {
	t.Helper()
	s := querytest.Schema(r)
	if r.IntN(3) == 0 {
		s.Key = nil
	}
	made := definition.FromCollection(&schema.Collection{Tenant: "acme", Name: fmt.Sprintf("c%d", round), Schema: s, Options: schema.DefaultOptions()})
	def, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	return &whereTest{Rand: r, surface: openSurface(t, n), node: n, collection: makeCollection(t, n, string(def)), rows: map[int64]querytest.Row{}}
}

// write upserts or appends some rows, and deletes some.
func (w *whereTest) write() {
	s := w.collection.Schema
	var lines []string
	var rows [][]schema.Value
	op := ingest.Op("insert")
	if s.Keyed() {
		op = "upsert"
	}
	for _, id := range w.Perm(60)[:1+w.IntN(50)] {
		row := querytest.Values(w.Rand, s, int64(id))
		rows = append(rows, row)
		lines = append(lines, string(rowjson.AppendRow(nil, s, row)))
	}
	first := write(w.t, w.node, w.collection, op, lines...).FirstSeq
	for i, row := range rows {
		seq := first + schema.Seq(i)
		at := int64(seq)
		if s.Keyed() {
			at = row[0].Int()
		}
		w.rows[at] = querytest.Row{Values: row, Seq: seq}
	}
	if !s.Keyed() {
		return
	}
	lines = nil
	for _, id := range w.Perm(60)[:w.IntN(5)] {
		if _, ok := w.rows[int64(id)]; ok {
			delete(w.rows, int64(id))
			lines = append(lines, fmt.Sprintf(`{"id":%d}`, id))
		}
	}
	if lines != nil {
		write(w.t, w.node, w.collection, "delete", lines...)
	}
}

// place names a row by what each answer has of it.
type place struct {
	Seq  schema.Seq `json:"_seq"`
	Time time.Time  `json:"_time"`
}

// tellTimes is the rows in the order of their seqs, with the times at which the
// server says that they were committed.
func (w *whereTest) tellTimes() []querytest.Row {
	times := map[schema.Seq]int64{}
	for _, at := range w.scan("") {
		times[at.Seq] = at.Time.UnixMicro()
	}
	var out []querytest.Row
	for _, row := range w.rows {
		at, ok := times[row.Seq]
		if !ok {
			w.t.Fatalf("the scan has no row of seq %d", row.Seq)
		}
		row.Micros = at
		out = append(out, row)
	}
	if len(times) != len(out) {
		w.t.Fatalf("the scan has %d rows, want %d", len(times), len(out))
	}
	slices.SortFunc(out, func(a, b querytest.Row) int { return int(a.Seq - b.Seq) })
	return out
}

func (w *whereTest) compare(drawn querytest.Predicate, rows []querytest.Row) {
	w.t.Helper()
	var want []schema.Seq
	for _, row := range rows {
		if drawn.Match(row) {
			want = append(want, row.Seq)
		}
	}
	other, what := w.log, "log"
	if w.collection.Schema.Keyed() {
		other, what = w.records, "range"
	}
	for what, read := range map[string]func(string) []place{"scan": w.scan, what: other} {
		var got []schema.Seq
		for _, at := range read(drawn.Text) {
			got = append(got, at.Seq)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			w.t.Fatalf("%s where %s: seqs %v, want %v\nof %v", what, drawn.Text, got, want, w.collection.Schema.Fields)
		}
	}
}

// get reads a path below the collection with a predicate.
func (w *whereTest) get(path, where string) string {
	w.t.Helper()
	path = fmt.Sprintf("/v1/tenants/%s/collections/%s%s&where=%s", w.collection.Tenant, w.collection.Name, path, url.QueryEscape(where))
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Accept", "application/x-ndjson, application/json")
	a := httptest.NewRecorder()
	w.handler.ServeHTTP(a, r)
	if a.Code != http.StatusOK {
		w.t.Fatalf("%s where %s: %d %s", path, where, a.Code, a.Body)
	}
	return a.Body.String()
}

func (w *whereTest) scan(where string) []place {
	return ofLines[place](w.t, w.get("/scan?columns=_seq,_time", where))
}

func (w *whereTest) log(where string) []place {
	var out []place
	for _, change := range ofLines[struct{ Seq schema.Seq }](w.t, w.get("/log?from_seq=0", where)) {
		out = append(out, place{Seq: change.Seq})
	}
	return out
}

// records reads page after page.
func (w *whereTest) records(where string) (out []place) {
	for after := ""; ; {
		var page struct {
			Records []place
			After   *string
		}
		text := w.get("/records?columns=_seq,_time&limit=7&after="+url.QueryEscape(after), where)
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			w.t.Fatalf("%v in %s", err, text)
		}
		out = append(out, page.Records...)
		if page.After == nil {
			return out
		}
		after = *page.After
	}
}

func ofLines[T any](t *testing.T, text string) (out []T) {
	t.Helper()
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		out = append(out, v)
	}
	return out
}
