package arrowhttp_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

func TestKindsOfFailure(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		err    error
		status int
		code   string
		retry  arrowhttp.Retry
	}{
		{schema.ErrInvalid, 400, "invalid", arrowhttp.RetryAfterChange},
		{schema.ErrIncompatible, 409, "incompatible", arrowhttp.RetryAfterChange},
		{schema.ErrTooLarge, 413, "too_large", arrowhttp.RetryAfterChange},
		{schema.ErrUnsupported, 501, "not_supported", arrowhttp.RetryNever},
		{schema.ErrNotFound, 404, "not_found", arrowhttp.RetryAfterChange},
		{schema.ErrConflict, 409, "conflict", arrowhttp.RetryAfterChange},
		{schema.ErrPrecondition, 412, "precondition_failed", arrowhttp.RetryAfterChange},
		{schema.ErrTrimmed, 410, "trimmed", arrowhttp.RetryAfterChange},
		{schema.ErrOverloaded, 503, "overloaded", arrowhttp.RetrySame},
		{schema.ErrNoSpace, 507, "no_space", arrowhttp.RetrySame},
		{schema.ErrUnavailable, 503, "unavailable", arrowhttp.RetrySame},
		{schema.ErrFenced, 503, "fenced", arrowhttp.RetrySame},
		{schema.ErrClosed, 503, "closing", arrowhttp.RetrySame},
		{schema.ErrCorrupt, 500, "corrupt", arrowhttp.RetryNever},
		{schema.ErrUnknownOutcome, 500, "unknown_outcome", arrowhttp.RetrySame},
		{fmt.Errorf("%w: %w", schema.ErrUnavailable, schema.ErrUnknownOutcome), 500, "unknown_outcome", arrowhttp.RetrySame},
		{errBoom, 500, "internal", arrowhttp.RetrySame},
	} {
		r.store.writeErr = fmt.Errorf("append batch: %w", tc.err)
		p := r.problem("POST", airports+"/records", "{}", "Idempotency-Key", "k1")
		if p.Status != tc.status || p.Code != tc.code || p.Retry != tc.retry || p.Type != "urn:trine:problem:"+tc.code {
			t.Errorf("%v: got %+v", tc.err, p)
		}
		if tc.code == "internal" && strings.Contains(p.Detail, "secret") {
			t.Errorf("an internal error is told: %s", p.Detail)
		}
	}
	r.store.writeErr = schema.ErrUnknownOutcome
	if p := r.problem("POST", airports+"/records", "{}", "Trine-Producer", "p", "Trine-Producer-Seq", "7"); p.Retry != arrowhttp.RetrySame {
		t.Errorf("unknown outcome of a producer: retry %s", p.Retry)
	}
	if p := r.problem("POST", airports+"/records", "{}"); p.Retry != arrowhttp.RetryNever {
		t.Errorf("unknown outcome without a key: retry %s", p.Retry)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", arrowhttp.MaxHeaderBytes)
	for _, tc := range []struct {
		method, path, body string
		header             []string
		status             int
		code, detail       string
	}{
		{"GET", "/", "", nil, 404, "no_such_route", "/openapi.json"},
		{"GET", "/v1/nothing", "", nil, 404, "no_such_route", ""},
		{"PATCH", airports, "", nil, 405, "method_not_allowed", "DELETE, GET, HEAD, PUT"},
		{"GET", airports + "/lookup", "", nil, 405, "method_not_allowed", "POST"},
		{"GET", "/v1/tenants/..%2f..%2fetc/collections/airports", "", nil, 400, "invalid", "tenant"},
		{"GET", "/v1/tenants/%2e%2e/collections/airports", "", nil, 400, "invalid", "tenant"},
		{"GET", "/v1/tenants/acme/collections/a%2Fb", "", nil, 400, "invalid", "lowercase letter"},
		{"GET", "/v1/tenants/acme/collections/a%00b", "", nil, 400, "invalid", "lowercase letter"},
		{"GET", "/v1/tenants/acme/collections/%C3%A5irports", "", nil, 400, "invalid", "lowercase letter"},
		{"GET", "/v1/tenants/acme/collections/a%CC%8Airports", "", nil, 400, "invalid", "lowercase letter"},
		{"GET", "/v1/tenants//collections/airports", "", nil, 400, "invalid", "tenant"},
		{"GET", "/v1/tenants/acme/collections/none", "", nil, 404, "not_found", "acme/none"},
		{"DELETE", "/v1/tenants/acme/collections/none", "", nil, 404, "not_found", ""},
		{"GET", airports + "/scan?colums=name", "", nil, 400, "invalid", "columns, where"},
		{"GET", airports + "/scan?limit=1&limit=2", "", nil, 400, "invalid", "2 times"},
		{"GET", airports + "/scan?where=%zz", "", nil, 400, "invalid", "query"},
		{"GET", airports + "/scan?where=nope%3D1", "", nil, 400, "invalid", "nope"},
		{"GET", airports + "/scan?columns=nope", "", nil, 400, "invalid", "state, iata"},
		{"GET", airports + "/scan?at_seq=-1", "", nil, 400, "invalid", "at_seq"},
		{"GET", airports + "/scan?at_seq=1&snapshot=2", "", nil, 400, "invalid", "give one"},
		{"GET", airports + "/scan", "", []string{"Accept", "image/png"}, 406, "not_acceptable", "arrow"},
		{"GET", airports + "/scan", "", []string{"Accept-Encoding", "br, identity;q=0"}, 406, "not_acceptable", "zstd"},
		{"GET", airports + "/records?limit=0", "", nil, 400, "invalid", "10000"},
		{"GET", airports + "/records?reverse=maybe", "", nil, 400, "invalid", "reverse"},
		{"GET", airports + "/records?prefix=[1]", "", nil, 400, "invalid", "state"},
		{"GET", airports + "/records?prefix=[%22WA%22,%22SEA%22,1]", "", nil, 400, "invalid", "state, iata"},
		{"GET", airports + "/records?after=xyz", "", nil, 400, "invalid", "token"},
		{"GET", airports + "/records?index=by_nothing", "", nil, 404, "not_found", "by_name, one_delay"},
		{"GET", airports + "/records?index=", "", nil, 404, "not_found", "by_name, one_delay"},
		{"GET", airports + "/records?index=by_name&prefix=[1]", "", nil, 400, "invalid", "name"},
		{"GET", airports + "/records?index=by_name&prefix=[%22a%22,%22WA%22,null]", "", nil, 400, "invalid", "iata"},
		{"GET", airports + "/records?index=by_name&from=[%22a%22,%22WA%22,%22SEA%22,%22x%22]", "", nil, 400, "invalid", "index by_name has 1: name"},
		{"GET", airports + "/records/a/b?index=by_name", "", nil, 400, "invalid", "index by_name has 1: name"},
		{"GET", airports + "/records/x?index=one_delay", "", nil, 400, "invalid", "delay"},
		{"GET", airports + "/records/7?index=one_delay&limit=1", "", nil, 400, "invalid", "limit"},
		{"GET", airports + "/records/7?index=one_delay", "", nil, 404, "not_found", "7"},
		{"GET", airports + "/records?allow_scan=perhaps", "", nil, 400, "invalid", "allow_scan"},
		{"POST", airports + "/lookup?index=by_name", `{"keys":[["a"]]}`, []string{"Content-Type", "application/json"}, 400, "invalid", "not unique"},
		{"POST", airports + "/lookup?index=one_delay", `{"keys":[["a"]]}`, []string{"Content-Type", "application/json"}, 400, "invalid", "delay"},
		{"POST", airports + "/records", "{}", []string{"Trine-If-Row-Seq", "soon"}, 400, "invalid", "none"},
		{"POST", "/v1/tenants/acme/write", "{}", []string{"Trine-If-Row-Seq", "1"}, 400, "invalid", "Trine-If-Row-Seq"},
		{"GET", airports + "/records/WA", "", nil, 400, "invalid", "state, iata"},
		{"GET", airports + "/records/WA/XXX", "", nil, 404, "not_found", "XXX"},
		{"GET", events + "/records/1", "", nil, 400, "invalid", "append-only"},
		{"GET", events + "/records", "", nil, 400, "invalid", "append-only"},
		{"POST", airports + "/fence", "{}", nil, 400, "invalid", "token"},
		{"POST", airports + "/fence", `{"token":"a","of":"b"}`, nil, 400, "invalid", "of"},
		{"POST", airports + "/fence", `{"token":"a","if_token":"b"}`, nil, 412, "precondition_failed", "token"},
		{"POST", airports + "/trim", "{}", nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", "", nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", `{"before_seq":null}`, nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", `{"before_seq":-1}`, nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", `{"before_seq":1.5}`, nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", `{"before_seq":"1"}`, nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", `{"before_seq":1}{"before_seq":2}`, nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", `{"before_seq":1,"keep":2}`, nil, 400, "invalid", "keep"},
		{"POST", airports + "/trim", `{"before_seq":18446744073709551616}`, nil, 400, "invalid", "before_seq"},
		{"POST", airports + "/trim", `{"before_seq":18446744073709551615}`, nil, 400, "invalid", "next change"},
		{"POST", airports + "/trim", `{"before_seq":99}`, nil, 400, "invalid", "next change"},
		{"POST", airports + "/trim", `{"before_seq":1` + strings.Repeat(" ", 5000) + `}`, nil, 413, "too_large", ""},
		{"POST", "/v1/tenants/acme/collections/nothing/trim", `{"before_seq":1}`, nil, 404, "not_found", ""},
		{"POST", airports + "/records", "x", []string{"Content-Type", "image/png"}, 415, "unsupported_media_type", "ndjson"},
		{"POST", airports + "/records", "x", []string{"Content-Type", "text/csv; charset=latin1"}, 415, "unsupported_media_type", "UTF-8"},
		{"POST", airports + "/records", "x", []string{"Content-Type", ""}, 415, "unsupported_media_type", ""},
		{"POST", airports + "/records", "x", []string{"Content-Encoding", "br"}, 415, "unsupported_media_type", "gzip"},
		{"POST", airports + "/records?op=replace", "x", nil, 400, "invalid", "upsert"},
		{"POST", airports + "/records", "{}", []string{"Trine-Producer", "p"}, 400, "invalid", "Trine-Producer-Seq"},
		{"POST", airports + "/records", "{}", []string{"Trine-Producer", "p", "Trine-Producer-Seq", "x"}, 400, "invalid", "Trine-Producer-Seq"},
		{"POST", "/v1/tenants/acme/write", "{}", []string{"Trine-Fence", "p"}, 400, "invalid", "Trine-Fence"},
		{"POST", airports + "/records", "{}", []string{"Trine-If-Seq", "-1"}, 400, "invalid", "Trine-If-Seq"},
		{"POST", airports + "/records", "{}", []string{"Idempotency-Key", long[:300]}, 400, "invalid", "255"},
		{"POST", airports + "/lookup", `{"keys":[["WA"]]}`, []string{"Content-Type", "application/json"}, 400, "invalid", "keys[0]"},
		{"POST", airports + "/lookup", `{"keys":[["WA",null]]}`, []string{"Content-Type", "application/json"}, 400, "invalid", "iata"},
		{"POST", airports + "/lookup", `{"kees":[]}`, []string{"Content-Type", "application/json"}, 400, "invalid", "kees"},
		{"POST", airports + "/lookup", `{"keys":[` + strings.Repeat(`[],`, arrowhttp.MaxLookupKeys) + `[]]}`, []string{"Content-Type", "application/json"}, 413, "too_large", "10000"},
		{"GET", airports + "/log?from_seq=1&tail=2", "", nil, 400, "invalid", "from_seq and tail"},
		{"GET", airports + "/log?follow=true&order=desc", "", nil, 400, "invalid", "follow"},
		{"GET", airports + "/log?from_time=yesterday", "", nil, 400, "invalid", "2006"},
		{"GET", airports + "/log", "", []string{"Accept", "text/event-stream", "Last-Event-ID", "x"}, 400, "invalid", "Last-Event-ID"},
		{"GET", airports, "", []string{"Trine-At-Least", "soon"}, 400, "invalid", "Trine-At-Least"},
		{"GET", airports, "", []string{"Trine-At-Least", "1-1", "Trine-Wait", "-1s"}, 400, "invalid", "negative"},
		{"GET", airports, "", []string{"X-Big", long}, 431, "header_too_large", ""},
		{"PUT", airports, "{", []string{"Content-Type", "application/json"}, 400, "invalid", ""},
		{"PUT", airports, "{collection: other, fields: [{name: x, type: int}]}", []string{"Content-Type", "application/yaml"}, 400, "invalid", "other"},
		{"PUT", airports, strings.Repeat(" ", arrowhttp.MaxDefinitionBytes+1), []string{"Content-Type", "application/yaml"}, 413, "too_large", ""},
		{"PUT", airports, "{fields: [{name: state, type: long, required: true}], key: [state]}", []string{"Content-Type", "application/yaml"}, 409, "incompatible", ""},
	} {
		p := r.problem(tc.method, tc.path, tc.body, tc.header...)
		if p.Status != tc.status || p.Code != tc.code || !strings.Contains(p.Detail, tc.detail) {
			t.Errorf("%s %s %.60q %.80q: got %d %s: %s", tc.method, tc.path, tc.header, tc.body, p.Status, p.Code, p.Detail)
		}
	}
}

func TestAllowIsTold(t *testing.T) {
	r := newRig(t)
	if got := r.do("POST", airports+"/log", "").Header.Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow: %q", got)
	}
}

func TestBadRecordsAreTold(t *testing.T) {
	r := newRig(t)
	p := r.problem("POST", events+"/records", "{\"id\":1}\n{\"id\":\"x\"}\n{\"idd\":3}")
	if p.Status != 400 || len(p.Errors) < 2 || p.Line != 2 || p.Field != "id" || p.Errors[0].Rule == "" {
		t.Errorf("got %+v", p)
	}
}

func TestBodyLimit(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) { o.MaxBodyBytes = 100 })
	if p := r.problem("POST", events+"/records", strings.Repeat(" ", 101)); p.Status != 413 {
		t.Errorf("got %+v", p)
	}
	r.text("POST", events+"/records", strings.Repeat(" ", 90)+`{"id":7}  `)
}

// A client that stops sending its body is told so and cut off.
func TestSlowBody(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) { o.StallTimeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 100\r\n\r\n{", events)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	res.Request, _ = http.NewRequest("POST", "/", nil)
	if p := r.readProblem(res); p.Status != 408 || p.Code != "request_timeout" {
		t.Errorf("got %+v", p)
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) { o.Tokens = []string{"one", "two"} })
	for _, h := range []string{"", "Bearer", "Bearer three", "Basic one", "Bearer on"} {
		if p := r.problem("GET", airports, "", "Authorization", h); p.Status != 401 || p.Code != "unauthorized" {
			t.Errorf("%q: got %+v", h, p)
		}
	}
	if p := r.problem("GET", "/nowhere", ""); p.Status != 401 {
		t.Errorf("a path is told without a token: %+v", p)
	}
	for _, h := range []string{"Bearer one", "bearer two"} {
		r.text("GET", airports, "", "Authorization", h)
	}
	r.text("GET", "/healthz", "")
	r.text("GET", "/openapi.json", "")
}

func TestPanicIsAProblem(t *testing.T) {
	r := newRig(t)
	r.store.scanErr, r.store.scanPanic = errBoom, true
	if p := r.problem("GET", airports+"/scan", ""); p.Code != "internal" {
		t.Errorf("got %+v", p)
	}
}

// mismatch is a condition that does not hold, as log and ingest tell it.
type mismatch struct{ error }

func (mismatch) NextSeq() schema.Seq { return 7 }
func (mismatch) FenceToken() string  { return "" }
func (m mismatch) Unwrap() error     { return m.error }

// A condition that does not hold tells what is so instead.
func TestConditionsAreTold(t *testing.T) {
	r := newRig(t)
	r.store.writeErr = fmt.Errorf("append: %w", mismatch{schema.ErrPrecondition})
	p := r.problem("POST", airports+"/records", "{}")
	if p.Status != 412 || p.NextSeq == nil || *p.NextSeq != 7 || p.FenceToken == nil || *p.FenceToken != "" {
		t.Errorf("got %+v", p)
	}
	r.store.writeErr = schema.ErrPrecondition
	if p := r.problem("POST", airports+"/records", "{}"); p.NextSeq != nil || p.FenceToken != nil {
		t.Errorf("of no condition: %+v", p)
	}
}
