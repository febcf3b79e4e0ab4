package arrowhttp_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// FuzzRequest sends odd paths, queries and headers: each is answered, and none
// is the server's fault.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"", "/scan", "/records", "/records/WA/P%2FX", "/log", "/scan.arrow", "//..%2f%00", "/records/" + "%zz"} {
		f.Add(airports+path, "limit=1&where=delay%3E3", `*/*;q=0.1, application/vnd.apache.arrow.stream; codecs="zstd,lz4"`, "gzip;q=0.5, *", "1-1")
	}
	f.Add(airports+"/records", `prefix=["WA"]&from=["WA",1]&to=[null]&after=AQAAAAAAAAAAEA&columns="a""b",c`, "text/csv", "zstd", "1-")
	f.Add(airports+"/log", `from_time=2020-01-01&tail=1&order=desc`, "text/event-stream", "identity;q=0", "4294967295-1")
	f.Fuzz(func(t *testing.T, path, query, accept, encoding, position string) {
		r := newRig(t)
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		u, err := url.ParseRequestURI("/" + path + "?" + query) // what net/http lets through
		if err != nil {
			return
		}
		req.URL = u
		req.Header.Set("Accept", accept)
		req.Header.Set("Accept-Encoding", encoding)
		req.Header.Set("Trine-At-Least", position)
		req.Header.Set("Trine-Wait", "1ms")
		req.Header.Set("Last-Event-ID", position)
		if q := u.Query(); q.Has("follow") {
			return // has no end of its own
		}
		rec := httptest.NewRecorder()
		r.srv.Handler().ServeHTTP(rec, req)
		if rec.Code >= 500 && rec.Code != 501 && rec.Code != 503 {
			t.Errorf("%d: %s", rec.Code, rec.Body)
		}
	})
}

// FuzzResume sends tokens of scans with any bytes behind the version: none is the
// server's fault.
func FuzzResume(f *testing.F) {
	raw, err := base64.RawURLEncoding.DecodeString(goldenToken)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := newRig(t)
		rec := httptest.NewRecorder()
		target := airports + "/scan?resume=" + base64.RawURLEncoding.EncodeToString(raw)
		r.srv.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, target, nil))
		if rec.Code >= 500 {
			t.Errorf("%d: %s", rec.Code, rec.Body)
		}
	})
}
