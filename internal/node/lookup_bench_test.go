package node_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/node"
)

// BenchmarkLookup reads 100 random keys over HTTP, one request a key and then all
// in one, by turns.
func BenchmarkLookup(b *testing.B) {
	const rows, keys = 100_000, 100
	dir := dataDir(b)
	n := openNode(b, node.Options{Data: dir})
	c := makeCollection(b, n, fmt.Sprintf(peopleDef, ""))
	for at := 0; at < rows; {
		var lines []string
		for range 5000 {
			lines = append(lines, fmt.Sprintf(`{"id":%d,"mail":"someone.%d@example.com","city":"city %d"}`, at, at, at%100))
			at++
		}
		write(b, n, c, "", lines...)
	}
	closeNode(b, n)
	n = openNode(b, node.Options{Data: dir}) // rows lie in tables
	srv, err := arrowhttp.New(arrowhttp.Options{Backend: n.Backend()})
	if err != nil {
		b.Fatal(err)
	}
	ts := httptest.NewServer(srv.Handler())
	defer ts.Close()
	url := ts.URL + "/v1/tenants/acme/collections/people/"
	drain := func(res *http.Response, err error) {
		if err != nil || res.StatusCode != 200 {
			b.Fatal(res, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			b.Fatal(err)
		}
		_ = res.Body.Close()
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var single, batch time.Duration
	for b.Loop() {
		ids := make([]string, keys)
		for i := range ids {
			ids[i] = fmt.Sprint(rnd.IntN(rows))
		}
		t0 := time.Now()
		for _, id := range ids {
			drain(http.Get(url + "records/" + id))
		}
		t1 := time.Now()
		body := []byte(`{"keys":[[` + strings.Join(ids, "],[") + `]]}`)
		drain(http.Post(url+"lookup", "application/json", bytes.NewReader(body)))
		single, batch = single+t1.Sub(t0), batch+time.Since(t1)
	}
	n1 := float64(b.N * keys)
	b.ReportMetric(n1/single.Seconds(), "single-lookups/s")
	b.ReportMetric(n1/batch.Seconds(), "batch-lookups/s")
	b.ReportMetric(float64(single)/float64(batch), "ratio")
	b.ReportMetric(0, "ns/op")
}
