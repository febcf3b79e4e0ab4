package arrowhttp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
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
		{"from_seq=9", ""},
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
