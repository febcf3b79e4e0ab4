package node_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/internal/node"
)

// TestOutageOverHTTP takes S3 away for five minutes from a whole node: writes are
// answered by a problem that says to try again, rows are read on, and then
// writes go on by themselves.
func TestOutageOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := s3test.New(s3test.Options{Seed: 1})
		t.Cleanup(server.Wait)
		n := openNode(t, node.Options{
			Data: dataDir(t), Store: fmt.Sprintf("s3://%s/deployment?path_style=true&endpoint=%s", server.Bucket(), server.URL),
			S3: s3.Options{Credentials: server, HTTPClient: server.Transport()},
		})
		front, err := arrowhttp.New(arrowhttp.Options{Backend: n.Backend(), Ready: n.Ready, SpoolDir: n.SpoolDir()})
		if err != nil {
			t.Fatal(err)
		}
		makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
		const items = "/v1/tenants/shop/collections/items/records"
		post := func(row, key string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, items+"?op=upsert", strings.NewReader(row))
			r.Header.Set("Content-Type", "application/x-ndjson")
			r.Header.Set("Idempotency-Key", key)
			w := httptest.NewRecorder()
			front.Handler().ServeHTTP(w, r)
			return w
		}
		get := func(id string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			front.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, items+"/"+id, nil))
			return w
		}
		if w := post(`{"id":1,"name":"a"}`, "one"); w.Code != http.StatusOK {
			t.Fatalf("before: %d %s", w.Code, w.Body)
		}
		server.SetHook(func(*s3test.Request) s3test.Fault { return s3test.SlowDown })
		for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Second) {
			w := post(`{"id":2,"name":"b"}`, "two")
			var p arrowhttp.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("not a problem: %d %s", w.Code, w.Body)
			}
			retry := p.Retry == arrowhttp.RetrySame && (w.Code == 503 && p.Code == "unavailable" || w.Code == 500 && p.Code == "unknown_outcome")
			if !retry || !strings.Contains(p.Detail, server.Bucket()) || !strings.Contains(p.Detail, "SlowDown") {
				t.Fatalf("%d %+v", w.Code, p)
			}
			if w := get("1"); w.Code != http.StatusOK {
				t.Fatalf("read: %d %s", w.Code, w.Body)
			}
		}
		server.SetHook(nil)
		begin := time.Now()
		for w := post(`{"id":2,"name":"b"}`, "two"); w.Code != http.StatusOK; w = post(`{"id":2,"name":"b"}`, "two") {
			if time.Since(begin) > 30*time.Second {
				t.Fatalf("not back: %d %s", w.Code, w.Body)
			}
			time.Sleep(time.Second)
		}
		t.Logf("back after %v", time.Since(begin))
		if w := get("2"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"b"`) {
			t.Errorf("read: %d %s", w.Code, w.Body)
		}
		mustVerify(t, n)
	})
}
