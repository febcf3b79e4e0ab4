package arrowhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sort"
	"strings"
	"testing"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

func TestProbes(t *testing.T) {
	var ready error
	r := newRig(t, func(o *arrowhttp.Options) { o.Ready = func(context.Context) error { return ready } })
	r.text("GET", "/healthz?verbose", "")
	r.text("GET", "/readyz", "")
	ready = errors.New("replaying the log")
	if p := r.problem("GET", "/readyz", ""); p.Status != 503 || !strings.Contains(p.Detail, "replaying") {
		t.Errorf("got %+v", p)
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t)
	r.text("GET", airports+"/scan", "")
	r.do("GET", "/no/such", "")
	got := r.text("GET", "/metrics", "")
	for _, want := range []string{
		`trine_http_requests_total{method="GET",route="/v1/tenants/{tenant}/collections/{collection}/scan",status="200"} 1`,
		`trine_http_response_rows_total{route="/v1/tenants/{tenant}/collections/{collection}/scan"} 3`,
		`trine_http_requests_total{method="GET",route="other",status="404"} 1`,
		`trine_http_in_flight{route="/metrics"} 1`,
		`trine_http_first_byte_seconds_count`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(got, "airports") {
		t.Error("a collection is told in the metrics")
	}
}

func TestVerify(t *testing.T) {
	r := newRig(t)
	if got := r.text("POST", "/v1/verify", ""); strings.Count(got, `"ok":true`) != 2 {
		t.Errorf("got %s", got)
	}
	if got := r.text("POST", "/v1/verify?collection=acme/events", ""); !strings.HasPrefix(got, `{"collection":"acme/events","ok":true,`) {
		t.Errorf("got %s", got)
	}
	if p := r.problem("POST", "/v1/verify?collection=acme/none", ""); p.Code != "not_found" {
		t.Errorf("got %+v", p)
	}
	r.store.scanErr = errBoom
	res := r.do("POST", "/v1/verify", "")
	if body, err := io.ReadAll(res.Body); err == nil || !strings.Contains(string(body), `{"problem":`) {
		t.Errorf("cut report: %v\n%s", err, body)
	}
}

// The upkeep of a table answers a line for each piece of work, a failure before the
// first as a problem and after it as a cut stream.
func TestLakeUpkeep(t *testing.T) {
	r := newRig(t)
	if text := r.text("GET", airports+"/lake", ""); !strings.Contains(text, `"files":`) || !strings.Contains(text, `"next_look":null`) {
		t.Errorf("status: %s", text)
	}
	if text := r.text("POST", airports+"/lake/compact", ""); !strings.Contains(text, `"files_before":4,"files_after":1`) {
		t.Errorf("compact: %s", text)
	}
	wantText(t, "expire", r.text("POST", airports+"/lake/expire", ""), "")
	r.store.scanErr = errBoom
	res := r.do("POST", airports+"/lake/compact", "")
	if body, err := io.ReadAll(res.Body); err == nil || !strings.Contains(string(body), `{"problem":`) {
		t.Errorf("cut: %v\n%s", err, body)
	}
	r.store.readErr = schema.ErrUnsupported
	if p := r.problem("POST", airports+"/lake/compact", ""); p.Status < 400 {
		t.Errorf("refused: %+v", p)
	}
	for _, path := range []string{"/lake", "/lake/compact", "/lake/expire"} {
		method := "POST"
		if path == "/lake" {
			method = "GET"
		}
		if p := r.problem(method, "/v1/tenants/acme/collections/nowhere"+path, ""); p.Status != 404 {
			t.Errorf("%s of no collection: %+v", path, p)
		}
	}
}

func TestTags(t *testing.T) {
	r := newRig(t)
	wantText(t, "list", r.text("GET", airports+"/lake/tags", ""), `{"tags":[{"name":"q3","snapshot":3,"next_seq":30,"time":"0001-01-01T00:00:00Z","end":null}]}`)
	for query, want := range map[string]string{
		"": `"name":"a b","snapshot":1,"next_seq":0`, "?snapshot=7": `"snapshot":7`, "?at_seq=0": `"next_seq":1`,
	} {
		if text := r.text("PUT", airports+"/lake/tags/a%20b"+query, ""); !strings.Contains(text, want) {
			t.Errorf("%s: %s", query, text)
		}
	}
	for _, query := range []string{"?snapshot=0", "?snapshot=x", "?at_seq=-1", "?at_seq=1&snapshot=1", "?x=1"} {
		if p := r.problem("PUT", airports+"/lake/tags/a"+query, ""); p.Status != 400 {
			t.Errorf("%s: %+v", query, p)
		}
	}
	if res := r.do("DELETE", airports+"/lake/tags/q3", ""); res.StatusCode != 204 {
		t.Errorf("delete: %d", res.StatusCode)
	}
	if p := r.problem("DELETE", airports+"/lake/tags/q4", ""); p.Status != 404 {
		t.Errorf("delete of none: %+v", p)
	}
}

func TestIcebergMount(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) {
		o.Iceberg = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	})
	wantText(t, "path", r.text("GET", "/iceberg/v1/config?warehouse=acme", ""), "/v1/config")
	guarded := newRig(t, func(o *arrowhttp.Options) {
		o.Tokens, o.Iceberg = []string{"a"}, http.NotFoundHandler()
	})
	res := guarded.do("GET", "/iceberg/v1/config", "")
	if text, _ := io.ReadAll(res.Body); res.StatusCode != 401 || !strings.Contains(string(text), `"type":"NotAuthorizedException"`) || !strings.Contains(string(text), `"code":401`) {
		t.Errorf("without a token: %d %s", res.StatusCode, text)
	}
	if p := newRig(t).problem("GET", "/iceberg/v1/config", ""); p.Code != "no_such_route" {
		t.Errorf("without a catalog: %+v", p)
	}
}

// The document lists the routes and their parameters, no more and no fewer.
func TestOpenAPI(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) { o.Version = "1.2.3" })
	var doc struct {
		OpenAPI    string
		Info       struct{ Version string }
		Paths      map[string]map[string]json.RawMessage
		Components map[string]map[string]json.RawMessage
	}
	text := r.text("GET", "/openapi.json", "")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "1.2.3" {
		t.Errorf("openapi %s, version %s", doc.OpenAPI, doc.Info.Version)
	}
	var got []string
	for path, ops := range doc.Paths {
		for method, op := range ops {
			got = append(got, strings.ToUpper(method)+" "+path+" "+queryOf(t, op, doc.Components["parameters"]))
		}
	}
	want := r.srv.Routes()
	sort.Strings(got)
	sort.Strings(want)
	wantText(t, "operations", strings.Join(got, "\n"), strings.Join(want, "\n"))
	for _, ref := range strings.Split(text, `"$ref":"#/components/`)[1:] {
		kind, rest, _ := strings.Cut(ref, "/")
		name, _, _ := strings.Cut(rest, `"`)
		if doc.Components[kind][name] == nil {
			t.Errorf("no component %s/%s", kind, name)
		}
	}
}

// queryOf lists an operation's query parameters.
func queryOf(t *testing.T, op json.RawMessage, shared map[string]json.RawMessage) string {
	t.Helper()
	type param struct {
		Ref  string `json:"$ref"`
		In   string
		Name string
	}
	var o struct{ Parameters []param }
	if err := json.Unmarshal(op, &o); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range o.Parameters {
		if p.Ref != "" {
			if err := json.Unmarshal(shared[strings.TrimPrefix(p.Ref, "#/components/parameters/")], &p); err != nil {
				t.Fatal(err)
			}
		}
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	sort.Strings(names)
	return strings.Join(names, ",")
}

func TestServe(t *testing.T) {
	srv, err := arrowhttp.New(arrowhttp.Options{Backend: newStore().backend()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	res, err := http.Get("http://" + ln.Addr().String() + "/healthz")
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()
	for range 2 {
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, change := range []func(*arrowhttp.Options){
		func(o *arrowhttp.Options) { o.Backend.Reader = nil },
		func(o *arrowhttp.Options) { o.Tokens = []string{""} },
		func(o *arrowhttp.Options) { o.StallTimeout = -1 },
	} {
		opts := arrowhttp.Options{Backend: newStore().backend()}
		change(&opts)
		if _, err := arrowhttp.New(opts); err == nil {
			t.Error("accepted")
		}
	}
}
