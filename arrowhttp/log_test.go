package arrowhttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// seqsOf lists the seqs of NDJSON changes.
func seqsOf(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, `{"seq":`)
		if !ok {
			return text
		}
		n, _, _ := strings.Cut(rest, ",")
		out = append(out, n)
	}
	return strings.Join(out, " ")
}

func TestLog(t *testing.T) {
	r := newRig(t)
	r.text("POST", airports+"/records?op=delete", sea)
	wantText(t, "changes", r.text("GET", airports+"/log?from_seq=2", ""),
		`{"seq":2,"time":"2023-11-14T22:13:22Z","op":"upsert","record":`+pdx+`}
{"seq":3,"time":"2023-11-14T22:13:24Z","op":"delete","record":{"state":"WA","iata":"SEA"}}`)
	for _, tc := range []struct{ query, want string }{
		{"", "0 1 2 3"},
		{"from_seq=1", "1 2 3"},
		{"from_seq=4", ""},
		{"from_seq=9&clamp=true", ""},
		{"from_seq=2&clamp=true", "2 3"},
		{"to_seq=2", "0 1"},
		{"to_seq=0", ""},
		{"to_seq=99", "0 1 2 3"},
		{"from_seq=1&to_seq=3", "1 2"},
		{"from_seq=3&to_seq=3", ""},
		{"order=desc&to_seq=3", "2 1 0"},
		{"tail=2&to_seq=1", ""},
		{"until_time=2023-11-14T22:13:24Z", "0 1 2"},
		{"until_time=2001-01-01T00:00:00Z", ""},
		{"until_time=2101-01-01T00:00:00Z", "0 1 2 3"},
		{"from_time=2023-11-14T22:13:23Z&until_time=2023-11-14T22:13:23Z", ""},
		{"order=desc&until_time=2023-11-14T22:13:24Z", "2 1 0"},
		{"limit_bytes=1", "0"},
		{"limit_bytes=1&from_seq=2", "2"},
		{"limit_bytes=1&order=desc", "3"},
		{"limit_bytes=100000", "0 1 2 3"},
		{"limit_bytes=1&where=delay+%3E+10", "2"},
		{"follow=true&to_seq=2", "0 1"},
		{"follow=true&from_seq=9&to_seq=9", ""},
		{"follow=true&until_time=2023-11-14T22:13:24Z", "0 1 2"},
		{"follow=true&limit_bytes=1", "0"},
		{"tail=2", "2 3"},
		{"tail=0", ""},
		{"tail=99", "0 1 2 3"},
		{"order=desc", "3 2 1 0"},
		{"order=desc&limit=2", "3 2"},
		{"order=desc&tail=2", "3 2"},
		{"limit=2", "0 1"},
		{"where=delay+%3E+5", "0 2"},
		{"where=delay+%3E+5&limit=1", "0"},
		{"where=_seq+%3E+1", "2 3"},
		{"where=iata+%3D+'SEA'", "0 3"},
		{"from_time=2023-11-14T22:13:23Z", "3"},
		{"from_time=2023-11-15T00:13:23+02:00", "3"},
	} {
		res := r.do("GET", airports+"/log?"+tc.query, "")
		body, err := io.ReadAll(res.Body)
		if got := seqsOf(string(body)); err != nil || got != tc.want {
			t.Errorf("%s: %v, got %s, want %s", tc.query, err, got, tc.want)
		}
		if res.Trailer.Get("Trine-Status") != "complete" || res.Header.Get("Trine-Position") == "" {
			t.Errorf("%s: %s %s", tc.query, res.Header, res.Trailer)
		}
	}
}

func TestLogArrow(t *testing.T) {
	r := newRig(t)
	r.text("POST", airports+"/records?op=delete", sea)
	s := readStream(t, r.do("GET", airports+"/log", "", "Accept", "application/vnd.apache.arrow.stream").Body)
	if rows, ok := s.complete(); s.err != nil || s.rows != 4 || !ok || rows != "4" {
		t.Fatalf("got %+v", s)
	}
	var names []string
	for _, f := range s.schema.Fields() {
		names = append(names, fmt.Sprintf("%s:%t", f.Name, f.Nullable))
	}
	wantText(t, "columns", strings.Join(names, " "), "state:false iata:false name:true delay:true tags:true _op:false _seq:false _time:false")
}

func TestLogFails(t *testing.T) {
	r := newRig(t)
	r.store.logErr = schema.ErrTrimmed
	if p := r.problem("GET", airports+"/log?from_seq=3&follow=true", ""); p.Code != "trimmed" {
		t.Errorf("at once: %+v", p)
	}
	res := r.do("GET", airports+"/log", "")
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(string(body), `{"problem":{`) {
		t.Errorf("cut text: %v\n%s", err, body)
	}
	s := readStream(t, r.do("GET", airports+"/log", "", "Accept", "application/vnd.apache.arrow.stream").Body)
	if s.err == nil {
		t.Errorf("cut Arrow: %+v", s)
	}
}

// A follower sees what is written, and a shutdown ends it cleanly.
func TestFollow(t *testing.T) {
	for _, accept := range []string{"application/x-ndjson", "application/vnd.apache.arrow.stream", "text/event-stream"} {
		r := newRig(t)
		res := r.do("GET", events+"/log?tail=1&follow=true", "", "Accept", accept)
		body := &strings.Builder{}
		lines := make(chan string)
		go func() {
			defer close(lines)
			in := bufio.NewReader(res.Body)
			for {
				line, err := in.ReadString('\n')
				body.WriteString(line)
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					return
				}
				if strings.Contains(line, `"seq"`) {
					lines <- line
				}
			}
		}()
		if accept != "application/vnd.apache.arrow.stream" {
			<-lines
			r.put("acme", "events", `{"id":4}`)
			if got := <-lines; !strings.Contains(got, `"seq":3`) {
				t.Errorf("got %s", got)
			}
		}
		if err := r.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for range lines {
		}
		if got := res.Trailer.Get("Trine-Status"); got != "complete" {
			t.Errorf("%s: trailer %q after %s", accept, got, body)
		}
		if accept == "application/vnd.apache.arrow.stream" {
			if s := readStream(t, strings.NewReader(body.String())); s.err != nil || s.rows != 1 {
				t.Errorf("got %+v", s)
			}
		}
	}
}

// A follower goes on when its collection evolves, in the new shape.
func TestFollowEvolution(t *testing.T) {
	r := newRig(t)
	res := r.do("GET", events+"/log?tail=1&follow=true", "")
	in := bufio.NewReader(res.Body)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	body := `{"fields":[{"name":"id","type":"long","required":true},{"name":"text","type":"string","was":"note"},{"name":"more","type":"int"}]}`
	r.text("PUT", events, body, "Content-Type", "application/json")
	r.put("acme", "events", `{"id":4,"text":"w","more":1}`)
	line, err := in.ReadString('\n')
	if err != nil || !strings.Contains(line, `"record":{"id":4,"text":"w","more":1}`) {
		t.Errorf("got %s, %v", line, err)
	}
	_ = res.Body.Close()
}

func TestFollowLimit(t *testing.T) {
	r := newRig(t)
	done := make(chan string)
	go func() { done <- r.text("GET", events+"/log?from_seq=2&follow=true&limit=3", "") }()
	r.put("acme", "events", `{"id":4}`)
	r.put("acme", "events", `{"id":5}`)
	wantText(t, "limit", seqsOf(<-done), "2 3 4")
}

func TestEvents(t *testing.T) {
	r := newRig(t)
	sse := []string{"Accept", "text/event-stream"}
	res := r.do("GET", events+"/log?limit=2", "", sse...)
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	body, _ := io.ReadAll(res.Body)
	wantText(t, "events", string(body), `id: 0
data: {"seq":0,"time":"2023-11-14T22:13:23Z","op":"upsert","record":{"id":1,"note":"x"}}

id: 1
data: {"seq":1,"time":"2023-11-14T22:13:23Z","op":"upsert","record":{"id":2,"note":null}}`)
	body2 := r.text("GET", events+"/log?from_seq=0", "", append(sse, "Last-Event-ID", "1")...)
	if !strings.HasPrefix(body2, "id: 2\n") || strings.Count(body2, "id:") != 1 {
		t.Errorf("resumed: %s", body2)
	}
	if res := r.do("GET", events+"/log", "", append(sse, "Last-Event-ID", "2")...); res.StatusCode != 204 {
		t.Errorf("nothing left: %s", res.Status)
	}
}

// Much log arrives whole and in order, through a pump that fills and waits.
func TestLogOfManyChanges(t *testing.T) {
	r := newRig(t)
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, "{\"id\":%d,\"note\":%q}\n", i, strings.Repeat("n", i%200))
	}
	r.put("acme", "events", lines.String())
	for _, encoding := range []string{"identity", "gzip", "zstd"} {
		res := r.do("GET", events+"/log", "", "Accept-Encoding", encoding)
		in := bufio.NewScanner(decode(t, res))
		n := 0
		for ; in.Scan(); n++ {
			if !strings.HasPrefix(in.Text(), fmt.Sprintf(`{"seq":%d,`, n)) {
				t.Fatalf("line %d: %s", n, in.Text())
			}
		}
		if n != 20_003 || in.Err() != nil {
			t.Errorf("%s: %d changes, %v", encoding, n, in.Err())
		}
	}
}

var _ arrowhttp.Changes = changes{}

// A log that does not reach to where a read begins says where it ends.
func TestLogBeyondTail(t *testing.T) {
	r := newRig(t)
	for _, header := range [][]string{nil, {"Accept", "text/event-stream"}, {"Accept", "application/vnd.apache.arrow.stream"}} {
		p := r.problem("GET", airports+"/log?from_seq=9", "", header...)
		if p.Status != 416 || p.Code != "beyond_tail" || p.NextSeq == nil || *p.NextSeq != 3 {
			t.Errorf("%v: %+v", header, p)
		}
	}
	if p := r.problem("GET", airports+"/log", "", "Accept", "text/event-stream", "Last-Event-ID", "9"); p.Code != "beyond_tail" {
		t.Errorf("resumed: %+v", p)
	}
	done := make(chan string)
	go func() { done <- r.text("GET", events+"/log?from_seq=4&follow=true&limit=1", "") }()
	r.put("acme", "events", `{"id":4}`)
	r.put("acme", "events", `{"id":5}`)
	wantText(t, "a follower waits", seqsOf(<-done), "4")
}

func TestLogParametersThatMakeNoSense(t *testing.T) {
	r := newRig(t)
	for _, query := range []string{
		"to_seq=-1", "to_seq=x", "to_seq=99999999999999999999", "from_seq=3&to_seq=2", "limit_bytes=0", "limit_bytes=-5", "limit_bytes=1e3",
		"until_time=soon", "from_time=2023-11-14T22:13:24Z&until_time=2023-11-14T22:13:23Z",
		"heartbeat=5s", "follow=true&heartbeat=1ms", "follow=true&heartbeat=9h", "follow=true&heartbeat=often", "follow=true&heartbeat=NaN",
		"clamp=perhaps", "follow=true&order=desc", "from_seq=1&from_seq=2", "since=1",
	} {
		if p := r.problem("GET", airports+"/log?"+query, ""); p.Code != "invalid" {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

// A follower with an end gets what comes until then, and the end of the stream.
func TestFollowUntil(t *testing.T) {
	for query, want := range map[string]string{
		"to_seq=5":                        "2 3 4",
		"until_time=2023-11-14T22:13:26Z": "2 3 4", // changes come a second apart
		"to_seq=5&where=id+%3C+5":         "2 3",
		"limit=3":                         "2 3 4",
		"limit_bytes=9":                   "2 3",
		"to_seq=6&until_time=2101-01-01T00:00:00Z": "2 3 4 5",
	} {
		r := newRig(t)
		res := r.do("GET", events+"/log?follow=true&from_seq=2&"+query, "") // it has begun when this returns
		for id := range 3 {
			r.put("acme", "events", fmt.Sprintf(`{"id":%d}`, 4+id))
		}
		body, err := io.ReadAll(res.Body)
		if got := seqsOf(string(body)); err != nil || got != want || res.Trailer.Get("Trine-Status") != "complete" {
			t.Errorf("%s: %v, got %s, want %s", query, err, got, want)
		}
	}
}

// The tail and the length of a log are told without reading it.
func TestLogTailAndEstimate(t *testing.T) {
	r := newRig(t)
	wantText(t, "tail", r.text("GET", events+"/log/tail", ""), `{"first_seq":0,"next_seq":3,"last_time":"2023-11-14T22:13:23Z","changes":3,"bytes":13,"position":"1-4"}`)
	r.text("PUT", "/v1/tenants/acme/collections/none", `{"fields":[{"name":"id","type":"long"}]}`, "Content-Type", "application/json")
	wantText(t, "tail of nothing", r.text("GET", "/v1/tenants/acme/collections/none/log/tail", ""), `{"first_seq":0,"next_seq":0,"last_time":null,"changes":0,"bytes":0,"position":"1-5"}`)
	if p := r.problem("GET", "/v1/tenants/acme/collections/no/log/tail", ""); p.Code != "not_found" {
		t.Errorf("of no collection: %+v", p)
	}
	if p := r.problem("GET", events+"/log/tail?from_seq=4", ""); p.Code != "beyond_tail" || *p.NextSeq != 3 {
		t.Errorf("from beyond: %+v", p)
	}
	all := 0
	for _, ch := range r.store.collections["acme/airports"].changes {
		all += len(ch.Key) + len(ch.Row)
	}
	last := r.store.collections["acme/airports"].changes[2]
	for _, tc := range []struct{ method, query, want string }{
		{"GET", "", fmt.Sprintf("changes=3, bytes=%d", all)},
		{"HEAD", "", fmt.Sprintf("changes=3, bytes=%d", all)},
		{"GET", "from_seq=2", fmt.Sprintf("changes=1, bytes=%d", len(last.Key)+len(last.Row))},
		{"GET", "tail=1&limit=1", fmt.Sprintf("changes=1, bytes=%d", len(last.Key)+len(last.Row))},
		{"GET", "from_seq=3", "changes=0, bytes=0"},
		{"HEAD", "from_seq=7&follow=true", "changes=0, bytes=0"},
		{"HEAD", "follow=true", fmt.Sprintf("changes=3, bytes=%d", all)},
		{"GET", "from_seq=1&to_seq=1", "changes=0, bytes=0"},
	} {
		res := r.do(tc.method, airports+"/log?"+tc.query, "")
		if got := res.Header.Get("Trine-Log-Estimate"); got != tc.want || res.Header.Get("Trine-Next-Seq") != "3" {
			t.Errorf("%s %s: estimate %q, want %q; next %q", tc.method, tc.query, got, tc.want, res.Header.Get("Trine-Next-Seq"))
		}
	}
}

// An idle follower hears of the server: on SSE by itself, elsewhere if it asks.
func TestHeartbeats(t *testing.T) {
	for _, tc := range []struct {
		accept, query, beat string
		beats               int // in 61 seconds
	}{
		{"text/event-stream", "", ": still here\n\n", 4},
		{"text/event-stream", "&heartbeat=20", ": still here\n\n", 3},
		{"application/x-ndjson", "", "\n", 0},
		{"application/x-ndjson", "&heartbeat=10s", "\n", 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := newStore()
			srv, err := arrowhttp.New(arrowhttp.Options{Backend: store.backend()})
			if err != nil {
				t.Fatal(err)
			}
			def, err := definition.ParseOne([]byte(`{tenant: acme, collection: events, fields: [{name: id, type: long}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Apply(t.Context(), []definition.Definition{def}, false); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			req := httptest.NewRequestWithContext(ctx, "GET", events+"/log?follow=true"+tc.query, nil)
			req.Header.Set("Accept", tc.accept)
			rec := httptest.NewRecorder()
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }() // the client is gone, so the answer is cut
				srv.Handler().ServeHTTP(rec, req)
			}()
			time.Sleep(61 * time.Second)
			cancel()
			<-done
			if got := rec.Body.String(); got != strings.Repeat(tc.beat, tc.beats) {
				t.Errorf("%s%s: got %q", tc.accept, tc.query, got)
			}
			if err := srv.Shutdown(context.WithoutCancel(ctx)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Arrow has empty batches for it, which readers pass over.
func TestArrowHeartbeat(t *testing.T) {
	r := newRig(t)
	res := r.do("GET", events+"/log?follow=true&tail=1&to_seq=4&heartbeat=1s", "", "Accept", "application/vnd.apache.arrow.stream")
	in := bufio.NewReader(res.Body)
	first, err := in.Peek(64)
	if err != nil || len(first) < 64 {
		t.Fatal(err)
	}
	r.put("acme", "events", `{"id":4}`)
	if s := readStream(t, in); s.err != nil || s.rows != 2 {
		t.Errorf("got %+v", s)
	}
}
