package node_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
)

// surface is a node's HTTP surface, without a network.
type surface struct {
	t       *testing.T
	handler http.Handler
}

func openSurface(t *testing.T, n *node.Node) surface {
	t.Helper()
	front, err := arrowhttp.New(arrowhttp.Options{Backend: n.Backend(), Iceberg: n.Iceberg(), Ready: n.Ready, SpoolDir: n.SpoolDir()})
	if err != nil {
		t.Fatal(err)
	}
	return surface{t, front.Handler()}
}

// do sends a request and wants a status.
func (s surface) do(status int, method, path, body string) string {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	switch {
	case strings.HasSuffix(path, "/write"), strings.Contains(path, "/records"):
		r.Header.Set("Content-Type", "application/x-ndjson")
	case body != "":
		r.Header.Set("Content-Type", "application/yaml")
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != status {
		s.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

const eventDoc = "key: [id]\nfields:\n  - {name: id, type: int, required: true}\n  - {name: kind, type: string}\n"

func eventsOf(i int) (tenant, name string) { return fmt.Sprintf("t%d", i%10), fmt.Sprintf("c%05d", i) }

// TestSchemaOfManyCollections evolves 10,000 collections of ten tenants by one
// request: each takes rows with the new field and reads its old rows with it, as do
// the tables that engines load; also after a restart, and from an index built anew.
func TestSchemaOfManyCollections(t *testing.T) {
	many := 10_000
	if testing.Short() {
		many = 1_000
	}
	data := t.TempDir()
	o := node.Options{Data: data, SegmentBytes: 256 << 10, SegmentAge: time.Millisecond, SegmentGrace: time.Millisecond}
	n := openNode(t, o)
	s := openSurface(t, n)
	s.do(201, "PUT", "/v1/schemas/event", eventDoc)
	for tenant := range 10 {
		file, lines := "schema: event\ncollections:\n", ""
		for i := tenant; i < many; i += 10 {
			_, name := eventsOf(i)
			file += "  - " + name + "\n"
			lines += fmt.Sprintf("{\"collection\":%q,\"record\":{\"id\":%d,\"kind\":\"old\"}}\n", name, i)
		}
		s.do(200, "POST", fmt.Sprintf("/v1/tenants/t%d/collections", tenant), file)
		s.do(200, "POST", fmt.Sprintf("/v1/tenants/t%d/write", tenant), lines)
	}
	load := func(i int) string {
		tenant, name := eventsOf(i)
		return s.do(200, "GET", "/iceberg/v1/namespaces/"+tenant+"/tables/"+name, "")
	}
	load(0) // a table that there is, and that nothing is written to afterwards

	before := systemSeqs(t, n)
	s.do(200, "PUT", "/v1/schemas/event", strings.Replace(eventDoc, "type: int", "type: long", 1)+"  - {name: note, type: string}\n")
	if got := systemSeqs(t, n) - before; got != 3 {
		t.Errorf("the evolution of %d collections is %d records, want 3", many, got)
	}
	big := int64(5_000_000_000) // which the old key could not hold
	for tenant := range 10 {
		lines := ""
		for i := tenant; i < many; i += 10 {
			_, name := eventsOf(i)
			if i >= 10 {
				lines += fmt.Sprintf("{\"collection\":%q,\"record\":{\"id\":%d,\"kind\":\"new\",\"note\":\"n%d\"}}\n", name, big+int64(i), i)
			}
		}
		s.do(200, "POST", fmt.Sprintf("/v1/tenants/t%d/write", tenant), lines)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	look := func() {
		t.Helper()
		for i := range many {
			tenant, name := eventsOf(i)
			c := "/v1/tenants/" + tenant + "/collections/" + name
			if got, want := s.do(200, "GET", fmt.Sprintf("%s/records/%d", c, i), ""), fmt.Sprintf(`{"id":%d,"kind":"old","note":null}`, i); strings.TrimSpace(got) != want {
				t.Fatalf("old row of %d: %s", i, got)
			}
			if i < 10 {
				continue
			}
			if got, want := s.do(200, "GET", fmt.Sprintf("%s/records/%d", c, big+int64(i)), ""), fmt.Sprintf(`{"id":%d,"kind":"new","note":"n%d"}`, big+int64(i), i); strings.TrimSpace(got) != want {
				t.Fatalf("new row of %d: %s", i, got)
			}
			if rnd.IntN(50) == 0 {
				got := s.do(200, "GET", c+"/scan?where=note+is+null+and+id+%3C+100000", "")
				if !strings.Contains(got, "note") || !strings.Contains(got, "old") || strings.Contains(got, "new") {
					t.Fatalf("scan of %d: %q", i, got)
				}
			}
		}
	}
	look()
	for _, i := range []int{0, 17, many - 1} {
		if got := load(i); !strings.Contains(got, `"note"`) || !strings.Contains(got, `"long"`) {
			t.Errorf("table of %d: %s", i, got)
		}
	}
	sample := []int{0, 17, many / 3, many - 1}
	verifySome(t, n, sample)
	closeNode(t, n)
	n = openNode(t, o)
	s = openSurface(t, n)
	look()
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(data, "kvindex")); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, o)
	s = openSurface(t, n)
	look()
	verifySome(t, n, sample)
	if got := s.do(200, "GET", "/v1/schemas/event", ""); !strings.Contains(got, fmt.Sprintf(`"collections":%d`, many)) {
		t.Errorf("schema %s", got)
	}
	s.do(409, "DELETE", "/v1/schemas/event", "")
}

// systemSeqs is how many records of collections and schemas there are.
func systemSeqs(t *testing.T, n *node.Node) (sum schema.Seq) {
	t.Helper()
	for _, inst := range []schema.Instance{schema.InstanceCollections, schema.InstanceSchemas} {
		next, err := n.Engine.NextSeq(t.Context(), &schema.Collection{Instance: inst, Schema: &schema.Schema{}})
		if err != nil {
			t.Fatal(err)
		}
		sum += next
	}
	return sum
}

func verifySome(t *testing.T, n *node.Node, list []int) {
	t.Helper()
	for _, i := range list {
		tenant, name := eventsOf(i)
		for r, err := range n.Verify(t.Context(), tenant+"/"+name) {
			if err != nil || !r.OK() {
				t.Errorf("verify %d: %+v, %v", i, r, err)
			}
		}
	}
}

// TestSchemaComesBack loses the index after a schema evolved: it comes back from a
// snapshot from before, and from segments whose chunks are gone.
func TestSchemaComesBack(t *testing.T) {
	for _, from := range []string{"snapshot", "segments"} {
		t.Run(from, func(t *testing.T) {
			o, _ := snapshotOptions(t)
			if from == "segments" {
				o = node.Options{
					Data: dataDir(t), SegmentBytes: 4 << 10,
					SegmentAge: time.Millisecond, SegmentGrace: time.Millisecond, AnswersKept: time.Millisecond,
				}
			}
			n := openNode(t, o)
			s := openSurface(t, n)
			const c = "/v1/tenants/acme/collections/a"
			s.do(201, "PUT", "/v1/schemas/event", eventDoc)
			s.do(201, "PUT", c, "schema: event\nindexes: [{name: by_kind, fields: [kind]}]")
			s.do(200, "POST", c+"/records", `{"id":1,"kind":"a"}`)
			if from == "snapshot" {
				takeSnapshot(t, n)
			}
			evolved := strings.Replace(eventDoc, "{name: kind,", "{name: note, type: string}\n  - {name: sort, was: kind,", 1)
			s.do(200, "PUT", "/v1/schemas/event", evolved)
			s.do(200, "POST", c+"/records", `{"id":2,"sort":"b","note":"n"}`)
			if from == "segments" {
				for range 60 { // chunks, of which deleted looks at so many
					s.do(200, "POST", c+"/records", `{"id":3,"sort":"more"}`)
				}
				closeNode(t, n) // its memtable is in a table now
				n = openNode(t, o)
				s = openSurface(t, n)
				for tries := 0; deleted(t, o.Data) < 30; tries++ {
					if tries == 10_000 {
						t.Fatal("no chunks were deleted")
					}
					s.do(200, "POST", c+"/records", `{"id":3,"sort":"more"}`)
				}
			}
			closeNode(t, n)
			if err := os.RemoveAll(filepath.Join(o.Data, "kvindex")); err != nil {
				t.Fatal(err)
			}
			replayed := countReplayed(&o)
			n = openNode(t, o)
			s = openSurface(t, n)
			if from == "snapshot" && *replayed != 2 {
				t.Errorf("%d chunks were replayed, want what came after the snapshot", *replayed)
			}
			for id, want := range map[int]string{1: `{"id":1,"note":null,"sort":"a"}`, 2: `{"id":2,"note":"n","sort":"b"}`} {
				if got := s.do(200, "GET", fmt.Sprintf("%s/records/%d", c, id), ""); strings.TrimSpace(got) != want {
					t.Errorf("row %d is %s, want %s", id, got, want)
				}
			}
			if got := s.do(200, "GET", "/v1/schemas/event", ""); !strings.Contains(got, `"collections":1`) {
				t.Errorf("schema %s", got)
			}
			s.do(409, "DELETE", "/v1/schemas/event", "")
			s.do(409, "PUT", "/v1/schemas/event", "key: [id]\nfields: [{name: id, type: int, required: true}]")
			s.do(200, "PUT", "/v1/schemas/event", evolved+"  - {name: again, type: int}\n")
			s.do(200, "POST", c+"/records", `{"id":4,"again":4}`)
			mustVerify(t, n)
		})
	}
}

// TestCollectionMovesToSchemaAndBack moves a collection with rows in the index and
// in the lake from fields of its own to a named schema that they continue, through
// the schema's evolution, and back: no value changes its field.
func TestCollectionMovesToSchemaAndBack(t *testing.T) {
	n := openNode(t, node.Options{Data: t.TempDir()})
	s := openSurface(t, n)
	const c = "/v1/tenants/acme/collections/a"
	row := func(id int, want string) {
		t.Helper()
		if got := s.do(200, "GET", fmt.Sprintf("%s/records/%d", c, id), ""); strings.TrimSpace(got) != want {
			t.Errorf("row %d is %s, want %s", id, got, want)
		}
	}
	load := func() string { return s.do(200, "GET", "/iceberg/v1/namespaces/acme/tables/a", "") }
	s.do(201, "PUT", c, eventDoc+"indexes: [{name: by_kind, fields: [kind]}]\n")
	s.do(200, "POST", c+"/records", `{"id":1,"kind":"a"}`)
	load()
	s.do(201, "PUT", "/v1/schemas/event", eventDoc)
	s.do(201, "PUT", "/v1/schemas/other", strings.Replace(eventDoc, "kind", "sort", 1))
	if got := s.do(409, "PUT", c, "schema: other"); !strings.Contains(got, "keep their ids") {
		t.Errorf("another schema: %s", got)
	}
	if got := s.do(200, "PUT", c+"?dry_run=true", "schema: event\nindexes: [{name: by_kind, fields: [kind]}]"); !strings.Contains(got, `"steps":[{"kind":"schema","field":"event","detail":"instead of fields of its own"}]`) {
		t.Errorf("plan: %s", got)
	}
	s.do(200, "PUT", c, "schema: event\nindexes: [{name: by_kind, fields: [kind]}]")
	s.do(200, "POST", c+"/records", `{"id":2,"kind":"b"}`)
	if got := s.do(409, "PUT", "/v1/schemas/event", strings.Replace(eventDoc, "  - {name: kind, type: string}\n", "", 1)); !strings.Contains(got, "secondary index") {
		t.Errorf("drop of an indexed field: %s", got)
	}
	s.do(200, "PUT", "/v1/schemas/event", strings.Replace(eventDoc, "{name: kind, type: string}", "{name: sort, type: string, was: kind}\n  - {name: note, type: string}", 1))
	s.do(200, "POST", c+"/records?op=patch", `{"id":1,"note":"patched"}`)
	row(1, `{"id":1,"sort":"a","note":"patched"}`)
	row(2, `{"id":2,"sort":"b","note":null}`)
	if got := s.do(200, "GET", c+"/records?index=by_kind&prefix=%5B%22b%22%5D", ""); !strings.Contains(got, `"id":2`) {
		t.Errorf("by index: %s", got)
	}
	if got := load(); !strings.Contains(got, `"sort"`) {
		t.Errorf("table: %s", got)
	}
	var told struct{ Definition json.RawMessage }
	if err := json.Unmarshal([]byte(s.do(200, "GET", c, "")), &told); err != nil || !strings.Contains(string(told.Definition), `"schema":"event","indexes":[{"name":"by_kind","fields":["sort"]}]`) {
		t.Errorf("definition %s, %v", told.Definition, err)
	}
	if got := s.do(200, "PUT", c, string(told.Definition)); !strings.Contains(got, `"steps":[]`) {
		t.Errorf("a description does not apply as it is: %s", got)
	}
	own := "key: [id]\nfields: [{name: id, type: int, required: true}, {name: sort, type: string}, {name: note, type: string}, {name: mine, type: int}]"
	s.do(200, "PUT", c, own)
	s.do(200, "PUT", "/v1/schemas/event", strings.Replace(eventDoc, "{name: kind, type: string}", "{name: theirs, type: string}", 1))
	s.do(200, "POST", c+"/records", `{"id":3,"sort":"c","mine":3}`)
	row(1, `{"id":1,"sort":"a","note":"patched","mine":null}`)
	row(3, `{"id":3,"sort":"c","note":null,"mine":3}`)
	if got := load(); !strings.Contains(got, `"mine"`) || strings.Contains(got, `"theirs"`) {
		t.Errorf("table: %s", got)
	}
	s.do(204, "DELETE", "/v1/schemas/event", "")
	mustVerify(t, n)
}
