package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trinedb/trine/lakehouse/rest"
	"github.com/trinedb/trine/schema"
)

type vendor struct{ fail error }

func (v *vendor) Vend(_ context.Context, location string) (map[string]string, error) {
	return map[string]string{"s3.session-token": "for " + location}, v.fail
}

// Credentials are given to who asks for them, with a table or alone.
func TestCredentialsAreVended(t *testing.T) {
	s, v := newSource(t), &vendor{}
	mux := http.NewServeMux()
	opts := rest.Options{Vendor: v, TableConfig: map[string]string{"s3.region": "here"}}
	mux.Handle("/iceberg/", http.StripPrefix("/iceberg", rest.NewHandler(s, opts)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	type answer struct {
		Config  map[string]string
		Storage []struct {
			Prefix string
			Config map[string]string
		} `json:"storage-credentials"`
	}
	token := "for " + s.snap.Location()
	const header, table = "X-Iceberg-Access-Delegation", "/namespaces/acme/tables/flights"
	for _, test := range []struct {
		request, ways string
		vended        bool
		refresh       string // the endpoint that is told
	}{
		{"GET /v1" + table, "", false, ""},
		{"GET /v1" + table, "remote-signing", false, ""},
		{"GET /v1" + table, "remote-signing, vended-credentials", true, "v1/namespaces/acme/tables/flights/credentials"},
		{"GET /v1/acme" + table, "vended-credentials", true, "v1/acme/namespaces/acme/tables/flights/credentials"},
		{"POST /v1" + table, "vended-credentials", true, "v1/namespaces/acme/tables/flights/credentials"},
		{"GET /v1" + table + "/credentials", "", true, ""},
	} {
		method, path, _ := strings.Cut(test.request, " ")
		code, head, body := do(t, server, method, path, header, test.ways)
		var got answer
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
			t.Fatalf("%s: %d %s (%v)", test.request, code, body, err)
		}
		if vended := len(got.Storage) == 1; vended != test.vended || vended != (head.Get("Cache-Control") == "no-store") {
			t.Errorf("%s, %q: vended %v, headers %v", test.request, test.ways, vended, head)
		}
		for _, c := range got.Storage {
			if c.Prefix != s.snap.Location()+"/" || c.Config["s3.session-token"] != token {
				t.Errorf("%s: %+v", test.request, c)
			}
		}
		if got.Config["client.refresh-credentials-endpoint"] != test.refresh || (got.Config["s3.session-token"] == token) != (test.refresh != "") {
			t.Errorf("%s: config %v", test.request, got.Config)
		}
		if method == "GET" && !strings.HasSuffix(path, "credentials") && got.Config["s3.region"] != "here" {
			t.Errorf("%s: config %v", test.request, got.Config)
		}
	}
	if len(opts.TableConfig) != 1 {
		t.Errorf("a token is in what all are told: %v", opts.TableConfig)
	}
	v.fail = fmt.Errorf("secret: %w", schema.ErrUnavailable)
	for _, path := range []string{table, table + "/credentials"} {
		if code, _, body := do(t, server, "GET", "/v1"+path, header, "vended-credentials"); code != 503 || strings.Contains(body, "secret") {
			t.Errorf("%s without the service: %d %s", path, code, body)
		}
	}
	if code, _, body := do(t, server, "GET", "/v1"+table); code != 200 {
		t.Errorf("without asking for any: %d %s", code, body)
	}
}
