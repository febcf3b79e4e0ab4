package client_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/client"
)

var ref = client.Ref{Tenant: "acme", Collection: "t"}

// exchange is a server as a function.
type exchange func(*http.Request) (*http.Response, error)

func (f exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	return f(r)
}

// answer is a response whose body ends with err; nil for io.EOF.
func answer(status int, contentType, body string, err error) *http.Response {
	var end io.Reader = strings.NewReader("")
	if err != nil {
		end = failing{err}
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{"Content-Type": {contentType}},
		Body: io.NopCloser(io.MultiReader(strings.NewReader(body), end)),
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func problem(status int, code, retry string) *http.Response {
	return answer(status, "application/problem+json",
		fmt.Sprintf(`{"status":%d,"code":%q,"title":"title","detail":"what happened","retry":%q}`, status, code, retry), nil)
}

func open(t *testing.T, f exchange, o client.Options) *client.Client {
	t.Helper()
	o.HTTP = &http.Client{Transport: f}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const written = `{"first_seq":4,"last_seq":4,"count":1,"position":"0-9"}`

// A write is sent again, with the same key, until its answer is there.
func TestWriteIsRetried(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	broken := func(resp *http.Response, err error) exchange {
		return func(*http.Request) (*http.Response, error) { return resp, err }
	}
	for name, first := range map[string]exchange{
		"connection breaks":    broken(nil, io.ErrUnexpectedEOF),
		"not there yet":        broken(nil, dial),
		"same request":         broken(problem(503, "closing", "same_request"), nil),
		"unknown outcome":      broken(problem(500, "unknown_outcome", "same_request"), nil),
		"proxy":                broken(answer(502, "text/html", "<html>", nil), nil),
		"answer breaks off":    broken(answer(200, "application/json", `{"first_`, io.ErrUnexpectedEOF), nil),
		"problem breaks off":   broken(answer(503, "application/problem+json", `{"sta`, io.ErrUnexpectedEOF), nil),
		"answer does not come": broken(answer(200, "application/json", "", io.ErrUnexpectedEOF), nil),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var keys []string
				c := open(t, func(r *http.Request) (*http.Response, error) {
					if keys = append(keys, r.Header.Get("Idempotency-Key")); len(keys) == 1 {
						return first(r)
					}
					again := answer(200, "application/json", written, nil)
					again.Header.Set("Trine-Replayed", "true")
					return again, nil
				}, client.Options{})
				w, err := c.Write(t.Context(), ref, []byte(`{}`), client.WriteOptions{})
				if err != nil || w.Count != 1 || *w.LastSeq != 4 || !w.Replayed {
					t.Errorf("got %+v, %v", w, err)
				}
				if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
					t.Errorf("keys %q", keys)
				}
			})
		})
	}
}

// What another try cannot change is not tried again.
func TestProblemIsNotRetried(t *testing.T) {
	tries := 0
	c := open(t, func(*http.Request) (*http.Response, error) {
		tries++
		return answer(400, "application/problem+json",
			`{"status":400,"code":"invalid","retry":"after_change","detail":"no","errors":[{"line":3,"field":"id","rule":"is required"}]}`, nil), nil
	}, client.Options{})
	_, err := c.Write(t.Context(), ref, nil, client.WriteOptions{})
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != "invalid" || p.Status != 400 || tries != 1 {
		t.Fatalf("%v after %d tries", err, tries)
	}
	if text := err.Error(); !strings.Contains(text, "line 3") || !strings.Contains(text, "is required") {
		t.Errorf("problem reads %q", text)
	}
	c = open(t, func(*http.Request) (*http.Response, error) { return problem(404, "not_found", "after_change"), nil }, client.Options{})
	if _, err := c.Get(t.Context(), ref, "k"); !client.IsNotFound(err) {
		t.Errorf("get: %v", err)
	}
	c = open(t, func(*http.Request) (*http.Response, error) { return answer(418, "text/plain", "teapot", nil), nil }, client.Options{})
	if _, err := c.Describe(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "teapot") {
		t.Errorf("no problem at all: %v", err)
	}
}

// A drop has another effect the second time, and is sent once.
func TestDropIsSentOnce(t *testing.T) {
	tries := 0
	c := open(t, func(*http.Request) (*http.Response, error) { tries++; return nil, io.ErrUnexpectedEOF }, client.Options{})
	if err := c.Drop(t.Context(), ref); err == nil || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// A server that never answered is given up soon; one that did may restart.
func TestServerThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := false
		c := open(t, func(*http.Request) (*http.Response, error) {
			if up {
				return answer(200, "application/json", `{}`, nil), nil
			}
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}, client.Options{})
		for _, want := range []struct{ least, most time.Duration }{{time.Second, 10 * time.Second}, {30 * time.Second, time.Minute}} {
			start := time.Now()
			_, err := c.Describe(t.Context(), ref)
			if took := time.Since(start); !errors.Is(err, syscall.ECONNREFUSED) || took < want.least || took > want.most {
				t.Errorf("%v after %v, want %v to %v", err, took, want.least, want.most)
			}
			up = true
			if _, err := c.Describe(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			up = false
		}
	})
}

// A text is whole when its trailer says so.
func TestCutText(t *testing.T) {
	status := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Trine-Status")
		_, _ = io.WriteString(w, "{}\n")
		if status == "abort" {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		if status != "" {
			w.Header().Set("Trine-Status", status)
		}
	}))
	defer server.Close()
	c, err := client.New(client.Options{Server: server.URL, Retry: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, status = range []string{"", "error", "abort", "complete"} {
		var out bytes.Buffer
		scan := c.ScanText(t.Context(), ref, client.ScanOptions{}, client.NDJSON, &out)
		body, err := c.Log(t.Context(), ref, client.LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, log := io.Copy(&out, body)
		body.Close()
		for what, err := range map[string]error{"scan": scan, "log": log} {
			if whole := status == "complete"; errors.Is(err, client.ErrIncomplete) == whole || (err == nil) != whole {
				t.Errorf("%s with status %q: %v", what, status, err)
			}
		}
	}
}

// A line of a log is a Change.
func TestChange(t *testing.T) {
	c := open(t, func(*http.Request) (*http.Response, error) {
		res := answer(200, client.NDJSON, `{"seq":7,"time":"2026-11-20T16:48:11.5Z","op":"delete","record":{"id":1},"before":{"id":1,"n":2}}`+"\n"+
			`{"seq":8,"time":"2026-11-20T16:48:12Z","op":"insert","record":{"id":1,"n":3}}`+"\n", nil)
		res.Trailer = http.Header{"Trine-Status": {"complete"}}
		return res, nil
	}, client.Options{})
	body, err := c.Log(t.Context(), ref, client.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var got []string
	for in := json.NewDecoder(body); ; {
		var ch client.Change
		if err := in.Decode(&ch); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %s %s %s", ch.Seq, ch.Time.Format(time.TimeOnly), ch.Op, ch.Record, ch.Before))
	}
	if want := `[7 16:48:11 delete {"id":1} {"id":1,"n":2} 8 16:48:12 insert {"id":1,"n":3} ]`; fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A comparison that the server could not end tells why, and is no report.
func TestVerifyFails(t *testing.T) {
	c := open(t, func(*http.Request) (*http.Response, error) {
		return answer(200, client.NDJSON, `{"collection":"acme/t","ok":true}`+"\n"+
			`{"problem":{"status":500,"code":"corrupt","detail":"a bad chunk"}}`+"\n", io.ErrUnexpectedEOF), nil
	}, client.Options{})
	reports, failed := 0, error(nil)
	for r, err := range c.Verify(t.Context(), "") {
		if failed = err; err == nil {
			if reports++; !r.OK {
				t.Errorf("report %+v", r)
			}
		}
	}
	var p *client.Problem
	if reports != 1 || !errors.As(failed, &p) || p.Code != "corrupt" {
		t.Errorf("%d reports, %v", reports, failed)
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", "acme", "acme/", "/t", "a/b/c"} {
		if _, err := client.ParseRef(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, bad := range []string{"localhost:7744", "ftp://x", "http://", "::"} {
		if _, err := client.New(client.Options{Server: bad}); err == nil {
			t.Errorf("server %q is taken", bad)
		}
	}
	c := open(t, func(r *http.Request) (*http.Response, error) {
		if got := r.URL.EscapedPath(); got != "/v1/tenants/acme/collections/t/records/a%2Fb/%25/" {
			t.Errorf("path %s", got)
		}
		return answer(200, client.JSON, `{}`, nil), nil
	}, client.Options{})
	if _, err := c.Get(t.Context(), ref, "a/b", "%", ""); err != nil {
		t.Error(err)
	}
}

// A guarded write sends its conditions, and tells what they were compared with.
func TestGuardedWrite(t *testing.T) {
	seq := uint64(41)
	for _, tc := range []struct {
		o       client.WriteOptions
		want    map[string]string
		withKey bool
	}{
		{client.WriteOptions{}, nil, true},
		{client.WriteOptions{IfSeq: &seq, Fence: "a"}, map[string]string{"Trine-If-Seq": "41", "Trine-Fence": "a"}, true},
		{client.WriteOptions{Producer: "p"}, map[string]string{"Trine-Producer": "p", "Trine-Producer-Seq": "0"}, false},
	} {
		var got http.Header
		c := open(t, func(r *http.Request) (*http.Response, error) {
			got = r.Header
			return answer(412, "application/problem+json", `{"status":412,"code":"precondition_failed","detail":"no","next_seq":7,"fence_token":"b"}`, nil), nil
		}, client.Options{})
		_, err := c.Write(t.Context(), ref, []byte("{}"), tc.o)
		var p *client.Problem
		if !errors.As(err, &p) || p.NextSeq == nil || *p.NextSeq != 7 || p.FenceToken == nil || *p.FenceToken != "b" {
			t.Errorf("%+v: %v", tc.o, err)
		}
		for _, name := range []string{"Trine-If-Seq", "Trine-Fence", "Trine-Producer", "Trine-Producer-Seq"} {
			if got.Get(name) != tc.want[name] {
				t.Errorf("%+v: header %s is %q", tc.o, name, got.Get(name))
			}
		}
		if (got.Get("Idempotency-Key") != "") != tc.withKey {
			t.Errorf("%+v: idempotency key %q", tc.o, got.Get("Idempotency-Key"))
		}
	}
}

// A token is set again when its answer was lost; a swap of tokens is not, as it
// would be refused for its own first try.
func TestFenceIsRetried(t *testing.T) {
	was := "a"
	for _, tc := range []struct {
		ifToken *string
		tries   int
	}{{nil, 2}, {&was, 1}} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			c := open(t, func(*http.Request) (*http.Response, error) {
				if tries++; tries == 1 {
					return problem(503, "unavailable", "same_request"), nil
				}
				return answer(200, client.JSON, `{"token":"b","position":"1-9"}`, nil), nil
			}, client.Options{})
			pos, err := c.Fence(t.Context(), ref, "b", tc.ifToken)
			if tries != tc.tries || (err == nil) != (tc.tries == 2) || err == nil && pos != "1-9" {
				t.Errorf("if_token %v: %d tries, %q, %v", tc.ifToken, tries, pos, err)
			}
		})
	}
}
