package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/lakehouse/rest"
	"github.com/trinedb/trine/schema"
)

// source has tenants with tables, of which one is real.
type source struct {
	tenants    map[string][]string
	snap       *lakehouse.Snapshot
	lake       *lakehouse.Lake
	collection *schema.Collection
	loads      int
	fail       error
}

func page(all []string, after string, limit int) []string {
	slices.Sort(all)
	from, found := slices.BinarySearch(all, after)
	if found {
		from++
	}
	return all[from:min(len(all), from+limit)]
}

func (s *source) Namespaces(_ context.Context, after string, limit int) ([]string, error) {
	var all []string
	for t := range s.tenants {
		all = append(all, t)
	}
	return page(all, after, limit), s.fail
}

func (s *source) Tables(_ context.Context, ns, after string, limit int) ([]string, error) {
	all, ok := s.tenants[ns]
	if !ok {
		return nil, fmt.Errorf("tenant %s: %w", ns, schema.ErrNotFound)
	}
	return page(all, after, limit), s.fail
}

func (s *source) Exists(_ context.Context, ns, name string) (bool, error) {
	all, ok := s.tenants[ns]
	return ok && (name == "" || slices.Contains(all, name)), s.fail
}

func (s *source) Load(ctx context.Context, ns, name string) (string, []byte, error) {
	if ok, err := s.Exists(ctx, ns, name); !ok || err != nil {
		return "", nil, fmt.Errorf("table %s.%s: %w", ns, name, schema.ErrNotFound)
	}
	s.loads++
	return s.snap.MetadataLocation(), s.snap.Metadata(), s.fail
}

func (s *source) Location(ctx context.Context, ns, name string) (string, error) {
	if ok, err := s.Exists(ctx, ns, name); !ok || err != nil {
		return "", fmt.Errorf("table %s.%s: %w", ns, name, schema.ErrNotFound)
	}
	return s.snap.Location(), s.fail
}

// Commit makes it of the real table.
func (s *source) Commit(ctx context.Context, ns, name string, ask lakehouse.EngineCommit) (string, []byte, error) {
	if s.fail != nil {
		return "", nil, s.fail
	}
	if ok, err := s.Exists(ctx, ns, name); !ok || err != nil {
		return "", nil, fmt.Errorf("table %s.%s: %w", ns, name, schema.ErrNotFound)
	}
	next, _, err := s.lake.CommitByEngine(ctx, lakehouse.EngineChange{Collection: s.collection, Base: s.snap, Commit: ask})
	if err != nil {
		return "", nil, err
	}
	s.snap = next
	return next.MetadataLocation(), next.Metadata(), nil
}

func (s *source) Create(_ context.Context, ns, name string, want rest.NewTable) (string, []byte, error) {
	switch {
	case slices.Contains(s.tenants[ns], name):
		return "", nil, fmt.Errorf("%s: %w", name, rest.ErrExists)
	case want.Schema.NumFields() == 0:
		return "", nil, fmt.Errorf("no fields: %w", schema.ErrInvalid)
	}
	return s.snap.MetadataLocation(), s.snap.Metadata(), s.fail
}

func (s *source) Drop(ctx context.Context, ns, name string) error {
	if ok, err := s.Exists(ctx, ns, name); !ok || err != nil {
		return fmt.Errorf("table %s.%s: %w", ns, name, schema.ErrNotFound)
	}
	return s.fail
}

func (s *source) CheckNamespace(name string) error {
	if name == "Bad" {
		return &schema.FieldError{Field: "tenant", Value: name, Rule: "want lowercase"}
	}
	return nil
}

func newSource(t *testing.T) *source {
	t.Helper()
	dir := t.TempDir()
	objects, err := blob.OpenDir(dir, blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	l, err := lakehouse.Open(lakehouse.Options{Objects: objects, BaseURI: "file://" + dir})
	if err != nil {
		t.Fatal(err)
	}
	s := &schema.Schema{ID: 1, LastFieldID: 1, Fields: []schema.Field{{ID: 1, Name: "n", Type: schema.Type{Kind: schema.KindLong}, Required: true}}}
	c := &schema.Collection{Tenant: "acme", Name: "flights", Instance: 16, Schema: s, Options: schema.DefaultOptions()}
	var snap *lakehouse.Snapshot
	for i := range 3 {
		rows := func(yield func(lakehouse.Row, error) bool) {
			yield(lakehouse.Row{Values: []schema.Value{schema.Int(int64(i))}, Seq: schema.Seq(i)}, nil)
		}
		if snap, _, err = l.Commit(t.Context(), lakehouse.Commit{Collection: c, Base: snap, NextSeq: schema.Seq(i + 1), Rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
	return &source{snap: snap, lake: l, collection: c, tenants: map[string][]string{
		"acme": {"flights", "airports", "carriers"}, "globex": {"sales"}, "namespaces": {"tables"},
	}}
}

func serve(t *testing.T, s *source) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/iceberg/", http.StripPrefix("/iceberg", rest.NewHandler(s, rest.Options{})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func do(t *testing.T, server *httptest.Server, method, path string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/iceberg"+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func TestRequests(t *testing.T) {
	server := serve(t, newSource(t))
	for _, test := range []struct {
		request string
		code    int
		want    string // in the body
	}{
		{"GET /v1/config", 200, `"defaults":{}`},
		{"GET /v1/config?warehouse=", 200, `"overrides":{}`},
		{"GET /v1/config?warehouse=acme", 200, `"overrides":{"prefix":"acme"}`},
		{"GET /v1/config?warehouse=nobody", 404, `"type":"NoSuchWarehouseException"`},
		{"GET /v1/namespaces", 200, `{"namespaces":[["acme"],["globex"],["namespaces"]],"next-page-token":null}`},
		{"GET /v1/namespaces?pageSize=2", 200, `{"namespaces":[["acme"],["globex"]],"next-page-token":"globex"}`},
		{"GET /v1/namespaces?pageSize=2&pageToken=globex", 200, `{"namespaces":[["namespaces"]],"next-page-token":null}`},
		{"GET /v1/namespaces?pageSize=x", 400, `BadRequestException`},
		{"GET /v1/namespaces?parent=acme", 200, `"namespaces":[]`},
		{"GET /v1/namespaces?parent=nobody", 404, `NoSuchNamespaceException`},
		{"GET /v1/acme/namespaces", 200, `{"namespaces":[["acme"]],"next-page-token":null}`},
		{"GET /v1/acme/namespaces/globex", 404, `NoSuchNamespaceException`},
		{"GET /v1/acme/namespaces/globex/tables/sales", 404, `NoSuchNamespaceException`},
		{"GET /v1/acme/namespaces?parent=globex", 404, `NoSuchNamespaceException`},
		{"GET /v1/namespaces/acme", 200, `{"namespace":["acme"],"properties":{}}`},
		{"GET /v1/namespaces/namespaces/tables", 200, `"name":"tables"`},
		{"GET /v1/namespaces/a%1Fb", 404, `NoSuchNamespaceException`},
		{"HEAD /v1/namespaces/acme", 204, ``},
		{"HEAD /v1/namespaces/nobody", 404, ``},
		{"GET /v1/namespaces/acme/tables", 200, `{"identifiers":[{"name":"airports","namespace":["acme"]},{"name":"carriers","namespace":["acme"]},{"name":"flights","namespace":["acme"]}],"next-page-token":null}`},
		{"GET /v1/namespaces/acme/tables?pageToken=&pageSize=1", 200, `"next-page-token":"airports"`},
		{"GET /v1/namespaces/nobody/tables", 404, `NoSuchNamespaceException`},
		{"HEAD /v1/acme/namespaces/acme/tables/flights", 204, ``},
		{"HEAD /v1/namespaces/acme/tables/nothing", 404, ``},
		{"GET /v1/namespaces/acme/tables/nothing", 404, `NoSuchTableException`},
		{"GET /v1/namespaces/acme/tables/flights", 200, `v3.metadata.json`},
		{"GET /v1/namespaces/acme/tables/flights?snapshots=some", 400, `BadRequestException`},
		{"GET /v1/namespaces/acme/tables/flights/credentials", 200, `"storage-credentials":[]`},
		{"POST /v1/namespaces/acme/tables/flights/metrics", 204, ``},
		{"GET /v1/namespaces/acme/views", 200, `"identifiers":[]`},
		{"GET /v1/namespaces/acme/views/v", 404, `NoSuchViewException`},
		{"POST /v1/namespaces", 400, `want one part`},
		{"DELETE /v1/namespaces/acme", 409, `NamespaceNotEmptyException`},
		{"DELETE /v1/namespaces/nobody", 404, `NoSuchNamespaceException`},
		{"POST /v1/namespaces/acme/properties", 406, `UnsupportedOperationException`},
		{"POST /v1/namespaces/acme/tables", 400, `BadRequestException`},
		{"POST /v1/namespaces/acme/register", 406, `UnsupportedOperationException`},
		{"POST /v1/namespaces/acme/tables/flights", 200, `v3.metadata.json`}, // nothing to do
		{"POST /v1/namespaces/acme/tables/nothing", 404, `NoSuchTableException`},
		{"GET /v1/namespaces/acme/tables/nothing/credentials", 404, `NoSuchTableException`},
		{"GET /v1/namespaces/nobody/views", 404, `NoSuchNamespaceException`},
		{"DELETE /v1/namespaces/acme/tables/flights", 403, `iceberg_drop`},
		{"POST /v1/tables/rename", 406, `UnsupportedOperationException`},
		{"POST /v1/transactions/commit", 400, `UnsupportedOperationException`},
		{"POST /v1/acme/transactions/commit", 400, `UnsupportedOperationException`},
		{"GET /v1/transactions/commit", 404, `NoSuchEndpointException`},
		{"GET /v1/nothing", 404, `NoSuchEndpointException`},
		{"GET /", 404, `NoSuchEndpointException`},
	} {
		method, path, _ := strings.Cut(test.request, " ")
		code, _, body := do(t, server, method, path)
		if code != test.code || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d %s", test.request, code, body, test.code, test.want)
		}
		if code >= 400 && method != "HEAD" {
			var e struct {
				Error struct {
					Message, Type string
					Code          int
				}
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error.Message == "" || e.Error.Code != code {
				t.Errorf("%s: %s is not Iceberg's error model (%v)", test.request, body, err)
			}
		}
	}
}

func TestLoadIsConditional(t *testing.T) {
	s := newSource(t)
	server := serve(t, s)
	const path = "/v1/namespaces/acme/tables/flights"
	code, header, body := do(t, server, "GET", path)
	if code != 200 || header.Get("ETag") == "" {
		t.Fatalf("%d, ETag %q", code, header.Get("ETag"))
	}
	if code, _, body := do(t, server, "GET", path, "If-None-Match", "W/"+header.Get("ETag")); code != 304 || body != "" {
		t.Errorf("unchanged: %d %q", code, body)
	}
	if s.loads != 2 {
		t.Errorf("%d loads: a conditional load must bring the table up to date as well", s.loads)
	}
	code, other, refs := do(t, server, "GET", path+"?snapshots=refs", "If-None-Match", header.Get("ETag"))
	if code != 200 || other.Get("ETag") == header.Get("ETag") {
		t.Errorf("snapshots=refs: %d with ETag %s", code, other.Get("ETag"))
	}
	count := func(body string) int {
		var r struct {
			Metadata struct{ Snapshots []json.RawMessage }
		}
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		return len(r.Metadata.Snapshots)
	}
	if count(body) != 3 || count(refs) != 1 {
		t.Errorf("%d snapshots, %d by refs", count(body), count(refs))
	}
}

func TestFailuresKeepTheirSecrets(t *testing.T) {
	s := newSource(t)
	server := serve(t, s)
	for _, test := range []struct {
		err  error
		code int
	}{
		{fmt.Errorf("secret: %w", schema.ErrUnavailable), 503},
		{fmt.Errorf("secret: %w", schema.ErrCorrupt), 500},
		{fmt.Errorf("secret"), 500},
	} {
		s.fail = test.err
		code, header, body := do(t, server, "GET", "/v1/namespaces")
		if code != test.code || strings.Contains(body, "secret") || (code == 503) != (header.Get("Retry-After") != "") {
			t.Errorf("%v: %d %s", test.err, code, body)
		}
	}
}
