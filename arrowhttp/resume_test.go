package arrowhttp_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

// rowsAndTokens are the rows of a stream as text, and the token behind each batch by
// how many rows came until there.
func rowsAndTokens(t *testing.T, res *http.Response) (rows []string, tokens map[int]string) {
	t.Helper()
	rd, err := ipc.NewReader(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", res.Status, err)
	}
	defer rd.Release()
	after, _ := rd.Schema().Metadata().GetValue(arrowhttp.MetaResumed)
	if asked := res.Request.URL.Query().Get("resume"); after != asked {
		t.Errorf("goes on after %q, asked %q", after, asked)
	}
	tokens = map[int]string{}
	for rd.Next() {
		b := rd.RecordBatch()
		for i := range int(b.NumRows()) {
			rows = append(rows, b.Column(0).ValueStr(i))
		}
		md := b.(arrow.RecordBatchWithMetadata).Metadata()
		token, ok := md.GetValue(arrowhttp.MetaResume)
		if ok != (b.NumRows() > 0) {
			t.Errorf("a batch of %d rows has token %q", b.NumRows(), token)
		}
		if ok {
			tokens[len(rows)] = token
		}
		if said, ok := md.GetValue(arrowhttp.MetaRows); ok && said != fmt.Sprint(len(rows)) {
			t.Errorf("%s rows said, %d came", said, len(rows))
		}
	}
	if rd.Err() != nil {
		t.Fatal(rd.Err())
	}
	return rows, tokens
}

// A scan goes on after any of its batches, also after one that it resumed at, and as
// it was then.
func TestResume(t *testing.T) {
	r := newRig(t)
	var lines strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&lines, "{\"id\":%d}\n", i+10)
	}
	r.put("acme", "events", lines.String())
	r.store.batchRows = 1_500
	for _, params := range []string{"", "&columns=id", "&where=id%3E100", "&limit=3000", "&limit=3000&where=id%3E7&columns=id"} {
		whole, tokens := rowsAndTokens(t, r.do("GET", events+"/scan?"+params, ""))
		if len(tokens) < 3 {
			t.Fatalf("%s: %d tokens", params, len(tokens))
		}
		r.put("acme", "events", `{"id":9999999}`)
		for n, token := range tokens {
			res := r.do("GET", events+"/scan?resume="+token+params, "")
			if res.Header.Get("Trine-Position") == "" || res.StatusCode != 200 {
				t.Errorf("%s: %s %s", params, res.Status, res.Header)
			}
			rest, again := rowsAndTokens(t, res)
			if !slices.Equal(rest, whole[n:]) {
				t.Fatalf("%s after %d: %d rows, want %d", params, n, len(rest), len(whole)-n)
			}
			for m, token := range again {
				rest, _ := rowsAndTokens(t, r.do("GET", events+"/scan.arrows?resume="+token+params, ""))
				if !slices.Equal(rest, whole[n+m:]) {
					t.Fatalf("%s after %d and %d: %d rows, want %d", params, n, m, len(rest), len(whole)-n-m)
				}
			}
		}
	}
	if r.store.scans != 0 {
		t.Errorf("%d scans not closed", r.store.scans)
	}
}

// goldenToken is what version 1 of tokens has behind the rows of airports. A token
// that a client got of one build is read by the next.
const goldenToken = "AbI8IbMedyYTEAEHAAADAQQAAQMD"

func TestGoldenToken(t *testing.T) {
	_, tokens := rowsAndTokens(t, newRig(t).do("GET", airports+"/scan", ""))
	if tokens[3] != goldenToken {
		t.Errorf("the token is %s", tokens[3])
	}
}

// A token is believed nothing but which rows to leave out.
func TestHostileResume(t *testing.T) {
	r := newRig(t)
	_, tokens := rowsAndTokens(t, r.do("GET", airports+"/scan", ""))
	token := tokens[3]
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	bend := func(fn func(b []byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(fn(slices.Clone(raw)))
	}
	for name, tc := range map[string]struct {
		path, token string
		code        string
	}{
		"text":          {"/scan", "nonsense!", "invalid"},
		"short":         {"/scan", bend(func(b []byte) []byte { return b[:5] }), "invalid"},
		"cut":           {"/scan", bend(func(b []byte) []byte { return b[:len(b)-1] }), "invalid"},
		"long":          {"/scan", bend(func(b []byte) []byte { return append(b, 0) }), "invalid"},
		"version":       {"/scan", bend(func(b []byte) []byte { b[0]++; return b }), "invalid"},
		"overflow":      {"/scan", bend(func(b []byte) []byte { return append(b[:9], strings.Repeat("\xff", 20)...) }), "invalid"},
		"parameters":    {"/scan?columns=name", token, "invalid"},
		"other rows":    {"/scan", bend(func(b []byte) []byte { b[len(b)-2]++; return b }), "invalid"},
		"other form":    {"/scan?form=csv", token, "invalid"},
		"file":          {"/scan.arrow", token, "invalid"},
		"other's token": {"/../events/scan", token, "trimmed"},
	} {
		accept := "*/*"
		path, query, _ := strings.Cut(tc.path, "?")
		if query == "form=csv" {
			accept, query = "text/csv", ""
		}
		base := airports
		if strings.HasPrefix(path, "/..") {
			base, path = events, "/scan"
		}
		p := r.problem("GET", base+path+"?"+query+"&resume="+url.QueryEscape(tc.token), "", "Accept", accept)
		if p.Code != tc.code {
			t.Errorf("%s: %+v", name, p)
		}
	}
	r.put("acme", "airports", `{"state":"CA","iata":"SFO"}`)
	r.store.mu.Lock()
	c := *r.store.collections["acme/airports"].c
	evolved := *c.Schema
	evolved.ID = 99
	c.Schema = &evolved
	r.store.collections["acme/airports"].c = &c
	r.store.mu.Unlock()
	if p := r.problem("GET", airports+"/scan?resume="+token, ""); p.Code != "trimmed" || p.Status != http.StatusGone || !strings.Contains(p.Detail, "schema") {
		t.Errorf("evolved: %+v", p)
	}
}

// A client that has what it would be sent is told so, also after writes to other
// collections.
func TestNotModified(t *testing.T) {
	r := newRig(t)
	for _, accept := range []string{"application/vnd.apache.arrow.stream", "application/x-ndjson", "text/csv"} {
		ask := func(path, held, encoding string) *http.Response {
			res := r.do("GET", airports+path, "", "Accept", accept, "If-None-Match", held, "Accept-Encoding", encoding)
			_, _ = io.Copy(io.Discard, res.Body)
			return res
		}
		get := func(path, held string) *http.Response { return ask(path, held, "identity") }
		first := get("/scan", "")
		tag := first.Header.Get("ETag")
		if !strings.HasPrefix(tag, `"`) || first.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: ETag %s, %s", accept, tag, first.Header)
		}
		r.put("acme", "events", `{"id":1}`)
		for _, held := range []string{tag, `"x", ` + tag, "W/" + tag} {
			res := get("/scan", held)
			if res.StatusCode != http.StatusNotModified || res.Header.Get("ETag") != tag || res.ContentLength > 0 {
				t.Errorf("%s: held %s: %s %s", accept, held, res.Status, res.Header)
			}
			if pos, _ := schema.ParsePosition(res.Header.Get("Trine-Position")); pos.Chunk == 0 {
				t.Errorf("%s: no position: %s", accept, res.Header)
			}
		}
		for name, path := range map[string]string{"columns": "/scan?columns=name", "where": "/scan?where=delay%3E5", "limit": "/scan?limit=1"} {
			if res := get(path, tag); res.StatusCode != 200 || res.Header.Get("ETag") == tag {
				t.Errorf("%s: other %s: %s", accept, name, res.Status)
			}
		}
		if res := ask("/scan", tag, "gzip"); res.StatusCode != 200 {
			t.Errorf("%s: other coding: %s", accept, res.Status)
		}
		if res := get("/scan", "*"); res.StatusCode != 200 {
			t.Errorf("%s: anything: %s", accept, res.Status)
		}
		again := get("/scan", "").Header.Get("ETag")
		if again == tag {
			t.Errorf("%s: %s names bytes of two positions", accept, tag)
		}
		r.put("acme", "airports", fmt.Sprintf(`{"state":"CA","iata":"X%d"}`, len(accept)))
		if res := get("/scan", tag); res.StatusCode != 200 {
			t.Errorf("%s: after a write: %s", accept, res.Status)
		}
	}
	if r.store.scans != 0 {
		t.Errorf("%d scans not closed", r.store.scans)
	}
}

// A range is of the file that If-Range names, though its client has had a newer one;
// a file that is gone is sent whole.
func TestIfRange(t *testing.T) {
	r := newRig(t)
	old := r.do("GET", airports+"/scan.arrow", "")
	r.put("acme", "airports", `{"state":"CA","iata":"SFO"}`)
	newer := r.do("GET", airports+"/scan.arrow", "")
	if old.Header.Get("ETag") == newer.Header.Get("ETag") {
		t.Fatal("one tag for two files")
	}
	for _, file := range []*http.Response{old, newer} {
		res := r.do("GET", airports+"/scan.arrow", "", "Range", "bytes=8-11", "If-Range", file.Header.Get("ETag"))
		want := fmt.Sprintf("bytes 8-11/%d", file.ContentLength)
		if res.StatusCode != http.StatusPartialContent || res.Header.Get("Content-Range") != want {
			t.Errorf("%s, range %q, want %q", res.Status, res.Header.Get("Content-Range"), want)
		}
	}
	for _, gone := range []string{`"gone"`, `W/` + newer.Header.Get("ETag"), "Fri, 20 Nov 2026 08:00:00 GMT"} {
		res := r.do("GET", airports+"/scan.arrow", "", "Range", "bytes=8-11", "If-Range", gone)
		if res.StatusCode != 200 || res.ContentLength != newer.ContentLength {
			t.Errorf("If-Range %s: %s, %d bytes", gone, res.Status, res.ContentLength)
		}
	}
	res := r.do("GET", airports+"/scan.arrow", "", "If-None-Match", newer.Header.Get("ETag"))
	if res.StatusCode != http.StatusNotModified {
		t.Errorf("the file form: %s", res.Status)
	}
}
