package arrowhttp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
)

// So many answers of a kind are given at a time, more are refused at once, and
// one that ends makes room. The kinds do not take each other's room.
func TestStreamsAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := newRig(t, func(o *arrowhttp.Options) {
		o.Registerer, o.Gatherer = reg, reg
		o.MaxScans, o.MaxLogReads, o.MaxFollows, o.MaxVerifies = 1, 1, 1, 1
	})
	r.store.endless = true
	ctx, cancel := context.WithCancel(t.Context())
	for _, path := range []string{"/scan", "/log?follow=true"} {
		res, err := r.try(ctx, "GET", airports+path, "")
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %v, %v", path, res, err)
		}
		defer res.Body.Close()
	}
	for _, path := range []string{"/scan", "/scan.arrows", "/scan.arrow", "/log?follow=true"} {
		res := r.do("GET", airports+path, "")
		if p := r.readProblem(res); p.Status != 503 || p.Code != "overloaded" || p.Retry != arrowhttp.RetrySame || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %+v, %v", path, p, res.Header)
		}
	}
	r.text("GET", airports+"/log", "") // is of a kind of its own
	r.text("POST", "/v1/verify", "")
	wantText(t, "under way", series(t, reg, "trine_http_streams"), "follow 1, log 0, scan 1, upkeep 0, verify 0")
	wantText(t, "refused", series(t, reg, "trine_http_streams_refused_total"), "follow 1, log 0, scan 3, upkeep 0, verify 0")
	cancel()
	<-r.store.closed
	<-r.store.readEnded
	<-r.store.readEnded
	r.store.endless = false
	if err := r.srv.Shutdown(t.Context()); err != nil { // when it returns each has given its place back
		t.Error(err)
	}
	wantText(t, "at the end", series(t, reg, "trine_http_streams"), "follow 0, log 0, scan 0, upkeep 0, verify 0")
}

// series lists a metric as its label and value.
func series(t *testing.T, reg *prometheus.Registry, name string) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name {
				out = append(out, fmt.Sprintf("%s %v", m.Label[0].GetValue(), m.GetGauge().GetValue()+m.GetCounter().GetValue()))
			}
		}
	}
	return strings.Join(out, ", ")
}

// Reads and verifications that fail or end give their places back.
func TestPlacesComeBack(t *testing.T) {
	r := newRig(t, func(o *arrowhttp.Options) { o.MaxScans, o.MaxLogReads, o.MaxVerifies = 1, 1, 1 })
	for range 3 {
		r.text("GET", airports+"/scan", "")
		r.text("GET", airports+"/scan.arrow", "")
		r.text("GET", airports+"/log", "")
		r.text("POST", "/v1/verify", "")
		if p := r.problem("GET", airports+"/scan?where=nonsense", ""); p.Code != "invalid" {
			t.Errorf("scan: %+v", p)
		}
		if p := r.problem("POST", "/v1/verify?collection=acme/none", ""); p.Code != "not_found" {
			t.Errorf("verify: %+v", p)
		}
		r.store.scanOpenErr = schema.ErrUnavailable
		if p := r.problem("GET", airports+"/scan", ""); p.Code != "unavailable" {
			t.Errorf("scan that cannot begin: %+v", p)
		}
		r.store.scanOpenErr = nil
		if res := r.do("HEAD", airports+"/scan", ""); res.StatusCode != 200 {
			t.Errorf("head: %s", res.Status)
		}
	}
}

// A follower that stops reading is cut off, with all that ran for it, and
// counted; another one goes on.
func TestStalledFollower(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := newRig(t, func(o *arrowhttp.Options) {
		o.Registerer, o.Gatherer = reg, reg
		o.StallTimeout = time.Second // a reader that is merely slow must not be cut
	})
	stalled := r.do("GET", events+"/log?follow=true", "")
	other := r.do("GET", events+"/log?follow=true&to_seq=2000", "")
	done := make(chan int)
	go func() {
		body, err := io.ReadAll(other.Body)
		if err != nil {
			t.Error(err)
		}
		done <- bytes.Count(body, []byte("\n"))
	}()
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, "{\"id\":%d,\"note\":%q}\n", i, strings.Repeat("n", 10_000))
	}
	for range 2 {
		r.put("acme", "events", lines.String())
	}
	<-r.store.readEnded
	<-r.store.readEnded // of the one that reads and, without anybody's doing, of the one that does not
	if got := <-done; got != 2000 {
		t.Errorf("the other follower got %d changes", got)
	}
	if err := r.srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	wantText(t, "cut", series(t, reg, "trine_http_cut_total"), "/v1/tenants/{tenant}/collections/{collection}/log 1")
	_ = stalled.Body.Close()
}
