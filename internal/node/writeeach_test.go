package node_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
)

// What a scan of one collection sends, another takes by the ids of its fields,
// whatever they are called there, each batch as one of its own; and a stream that is
// cut is a problem that tells what is durable.
func TestScanWrittenElsewhere(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	from := makeCollection(t, n, `{"tenant":"shop","collection":"old","key":["id"],"fields":[{"name":"id","type":"long","required":true},{"name":"name","type":"string"}]}`)
	to := makeCollection(t, n, `{"tenant":"shop","collection":"new","key":["number"],"fields":[{"name":"number","type":"long","required":true},{"name":"id","type":"string"}]}`)
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf(`{"id":%d,"name":"n%d"}`, i, i%50))
	}
	write(t, n, from, "upsert", lines...)
	s := openSurface(t, n)
	stream := s.do(http.StatusOK, "GET", "/v1/tenants/shop/collections/old/scan?columns=id,name", "")
	post := func(body, query string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/tenants/shop/collections/new/records?atomic=batch"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/vnd.apache.arrow.stream")
		r.Header.Set("Idempotency-Key", "copy")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	if w := post(stream, ""); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"field":"id"`) {
		t.Fatalf("by name: %d %s", w.Code, w.Body)
	}
	if w := post(stream[:len(stream)-2000], "&match=id"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"written":{"batches":1,`) {
		t.Fatalf("cut: %d %s", w.Code, w.Body)
	}
	if w := post(stream, "&match=id"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"first_seq":0,"last_seq":4999,"count":5000`) {
		t.Fatalf("whole: %d %s", w.Code, w.Body)
	}
	got, want := sorted(scanRows(t, n, to, query.Scan{})), sorted(scanRows(t, n, from, query.Scan{}))
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d rows, %d were scanned", len(got), len(want))
	}
}
