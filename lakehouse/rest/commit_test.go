package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trinedb/trine/lakehouse/rest"
	"github.com/trinedb/trine/schema"
)

func post(t *testing.T, server *httptest.Server, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/iceberg/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

const flights = "namespaces/acme/tables/flights"

// What is wrong with a commit is told as Iceberg's error model has it, and changes
// nothing.
func TestCommitsRefused(t *testing.T) {
	s := newSource(t)
	server := serve(t, s)
	id := s.snap.ID()
	snapshot := fmt.Sprintf(`{"snapshot-id":7,"parent-snapshot-id":%d,"sequence-number":9,"timestamp-ms":1,"manifest-list":"s3://elsewhere/list.avro","summary":{"operation":"append"},"schema-id":0}`, id)
	add := `{"action":"add-snapshot","snapshot":` + snapshot + `}`
	current := `{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":7}`
	updates := func(u ...string) string { return `{"requirements":[],"updates":[` + strings.Join(u, ",") + `]}` }
	for name, test := range map[string]struct {
		body, kind string
		code       int
		says       string
	}{
		"no JSON":              {`{"updates":`, "BadRequestException", 400, "not as Iceberg's specification"},
		"a list":               {`[]`, "BadRequestException", 400, "specification"},
		"too large":            {`{"x":"` + strings.Repeat("x", 5<<20) + `"}`, "BadRequestException", 413, "bytes"},
		"another table":        {`{"identifier":{"namespace":["acme"],"name":"other"},"updates":[]}`, "BadRequestException", 400, "another table"},
		"unknown requirement":  {`{"requirements":[{"type":"assert-moon"}],"updates":[]}`, "BadRequestException", 400, "assert-moon"},
		"untyped requirement":  {`{"requirements":[{}],"updates":[]}`, "BadRequestException", 400, "type"},
		"stale ref":            {`{"requirements":[{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":5}],"updates":[]}`, "CommitFailedException", 409, "expected id 5"},
		"table of another":     {`{"requirements":[{"type":"assert-table-uuid","uuid":"9c12d441-03fe-4693-9a96-a0705ddf69c1"}],"updates":[]}`, "CommitFailedException", 409, "UUID"},
		"create":               {`{"requirements":[{"type":"assert-create"}],"updates":[]}`, "CommitFailedException", 409, "exists"},
		"unknown update":       {updates(`{"action":"fly"}`), "BadRequestException", 400, `unknown action \"fly\"`},
		"update without name":  {updates(`{}`), "BadRequestException", 400, "no action"},
		"update is a number":   {updates(`7`), "BadRequestException", 400, "number 1"},
		"too many updates":     {updates(strings.Split(strings.Repeat(`{"action":"fly"} `, 1001), " ")[:1001]...), "BadRequestException", 400, "at most"},
		"schema":               {updates(`{"action":"add-schema","schema":{}}`), "UnsupportedOperationException", 400, "trine apply"},
		"partitions":           {updates(`{"action":"add-spec","spec":{}}`), "UnsupportedOperationException", 400, "trine apply"},
		"sort order":           {updates(`{"action":"set-default-sort-order","sort-order-id":0}`), "UnsupportedOperationException", 400, "trine apply"},
		"format":               {updates(`{"action":"upgrade-format-version","format-version":3}`), "UnsupportedOperationException", 400, "lake_format"},
		"location":             {updates(`{"action":"set-location","location":"s3://elsewhere"}`), "UnsupportedOperationException", 400, "Trine's to say"},
		"expiry":               {updates(`{"action":"remove-snapshots","snapshot-ids":[1]}`), "UnsupportedOperationException", 400, "trine lake expire"},
		"statistics":           {updates(`{"action":"set-statistics","snapshot-id":1,"statistics":{}}`), "UnsupportedOperationException", 400, "not kept"},
		"another uuid":         {updates(`{"action":"assign-uuid","uuid":"9c12d441-03fe-4693-9a96-a0705ddf69c1"}`), "CommitFailedException", 409, "UUID"},
		"reserved property":    {updates(`{"action":"set-properties","updates":{"trine.instance":"x"}}`), "UnsupportedOperationException", 400, "trine.instance"},
		"branch":               {updates(fmt.Sprintf(`{"action":"set-snapshot-ref","ref-name":"b","type":"branch","snapshot-id":%d}`, id)), "UnsupportedOperationException", 400, "one branch"},
		"ref of no kind":       {updates(`{"action":"set-snapshot-ref","ref-name":"b","type":"moon","snapshot-id":1}`), "BadRequestException", 400, "ref type"},
		"rollback":             {updates(`{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":1}`), "UnsupportedOperationException", 400, "older snapshot"},
		"main removed":         {updates(`{"action":"remove-snapshot-ref","ref-name":"main"}`), "UnsupportedOperationException", 400, "main"},
		"tag that is not":      {updates(`{"action":"remove-snapshot-ref","ref-name":"x"}`), "BadRequestException", 400, "none by that name"},
		"tag of no snapshot":   {updates(`{"action":"set-snapshot-ref","ref-name":"x","type":"tag","snapshot-id":5}`), "BadRequestException", 400, "no snapshot 5"},
		"staged snapshot":      {updates(add), "UnsupportedOperationException", 400, "write-audit-publish"},
		"two snapshots":        {updates(add, add, current), "UnsupportedOperationException", 400, "one by one"},
		"another made current": {updates(add, strings.Replace(current, "7", "8", 1)), "BadRequestException", 400, "another snapshot"},
		"no snapshot":          {updates(`{"action":"add-snapshot"}`, current), "BadRequestException", 400, "without a snapshot"},
		"files elsewhere":      {updates(add, current), "BadRequestException", 400, "does not lie in"},
	} {
		code, text := post(t, server, flights, test.body)
		var e struct {
			Error struct {
				Message, Type string
				Code          int
			}
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Errorf("%s: %s: %v", name, text, err)
		}
		if code != test.code || e.Error.Code != code || e.Error.Type != test.kind || !strings.Contains(text, test.says) {
			t.Errorf("%s: %d %s, want %d %s that says %q", name, code, text, test.code, test.kind, test.says)
		}
	}
	if s.snap.ID() != id || s.snap.Version() != 3 {
		t.Errorf("the table is at version %d", s.snap.Version())
	}
}

func TestCommits(t *testing.T) {
	s := newSource(t)
	server := serve(t, s)
	tag := fmt.Sprintf(`{"action":"set-snapshot-ref","ref-name":"x","type":"tag","snapshot-id":%d,"max-ref-age-ms":86400000}`, s.snap.ID())
	code, text := post(t, server, flights, `{"identifier":{"namespace":["acme"],"name":"flights"},"updates":[`+tag+`,
		{"action":"set-properties","updates":{"owner":"ann"}},{"action":"set-properties","updated":{"team":"x"}}]}`)
	if code != 200 || !strings.Contains(text, "v4.metadata.json") || !strings.Contains(text, `"owner":"ann"`) || !strings.Contains(text, `"max-ref-age-ms":86400000`) {
		t.Fatalf("%d %s", code, text)
	}
	change := `{"identifier":{"namespace":["acme"],"name":"flights"},"updates":[{"action":"remove-properties","removals":["owner"]},{"action":"remove-snapshot-ref","ref-name":"x"}]}`
	for path, want := range map[string]int{"globex/transactions/commit": 404, "acme/transactions/commit": 204} {
		if code, text := post(t, server, path, `{"table-changes":[`+change+`]}`); code != want {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if meta := string(s.snap.Metadata()); strings.Contains(meta, "ann") || strings.Contains(meta, "max-ref-age-ms") || !strings.Contains(meta, `"team":"x"`) {
		t.Errorf("%s", meta)
	}
	for name, body := range map[string]string{
		"none": `{"table-changes":[]}`, "two": `{"table-changes":[` + change + `,` + change + `]}`, "nameless": `{"table-changes":[{}]}`,
		"deep": `{"table-changes":[{"identifier":{"namespace":["a","b"],"name":"c"}}]}`,
	} {
		if code, text := post(t, server, "transactions/commit", body); code != 400 {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	for want, err := range map[int]error{409: schema.ErrConflict, 500: schema.ErrUnknownOutcome, 503: schema.ErrUnavailable} {
		s.fail = fmt.Errorf("secret: %w", err)
		if code, text := post(t, server, flights, `{}`); code != want || want >= 500 && strings.Contains(text, "secret") {
			t.Errorf("%v: %d %s", err, code, text)
		}
	}
}

func TestCreateAndDrop(t *testing.T) {
	s := newSource(t)
	server := serve(t, s)
	const fields = `"schema":{"type":"struct","schema-id":0,"fields":[{"id":1,"name":"n","type":"long","required":true}]}`
	for name, test := range map[string]struct {
		path, body string
		code       int
		says       string
	}{
		"create":      {"namespaces/acme/tables", `{"name":"new",` + fields + `}`, 200, "metadata-location"},
		"exists":      {"namespaces/acme/tables", `{"name":"flights",` + fields + `}`, 409, "AlreadyExistsException"},
		"no fields":   {"namespaces/acme/tables", `{"name":"new","schema":{"type":"struct","schema-id":0,"fields":[]}}`, 400, "BadRequestException"},
		"no schema":   {"namespaces/acme/tables", `{"name":"new"}`, 400, "name and a schema"},
		"staged":      {"namespaces/acme/tables", `{"name":"new","stage-create":true,` + fields + `}`, 400, "stage-create"},
		"placed":      {"namespaces/acme/tables", `{"name":"new","location":"s3://x",` + fields + `}`, 200, "metadata-location"},
		"partitioned": {"namespaces/acme/tables", `{"name":"new","partition-spec":{"spec-id":0,"fields":[{"name":"n","transform":"identity","source-id":1,"field-id":1000}]},` + fields + `}`, 400, "partition"},
		"namespace":   {"namespaces", `{"namespace":["fresh"],"properties":{}}`, 200, `{"namespace":["fresh"],"properties":{}}`},
		"known":       {"namespaces", `{"namespace":["acme"]}`, 409, "AlreadyExistsException"},
		"ill-named":   {"namespaces", `{"namespace":["Bad"]}`, 400, "lowercase"},
		"nested":      {"namespaces", `{"namespace":["a","b"]}`, 400, "one part"},
		"narrowed":    {"globex/namespaces", `{"namespace":["fresh"]}`, 403, "warehouse"},
		"rename":      {"tables/rename", `{}`, 406, "cannot be renamed"},
		"rename in":   {"acme/tables/rename", `{}`, 406, "cannot be renamed"},
	} {
		if code, text := post(t, server, test.path, test.body); code != test.code || !strings.Contains(text, test.says) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, _, text := do(t, server, "DELETE", "/v1/"+flights); code != 403 {
		t.Errorf("drop: %d %s", code, text)
	}
	mux := http.NewServeMux()
	mux.Handle("/iceberg/", http.StripPrefix("/iceberg", rest.NewHandler(s, rest.Options{Drops: true})))
	open := httptest.NewServer(mux)
	defer open.Close()
	for path, want := range map[string]int{flights: 204, "namespaces/acme/tables/nothing": 404} {
		if code, _, text := do(t, open, "DELETE", "/v1/"+path+"?purgeRequested=true"); code != want {
			t.Errorf("drop %s: %d %s", path, code, text)
		}
	}
}
