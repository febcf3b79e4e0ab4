package node_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
)

// TestLoadRequests counts what loading a table asks of the lake's store: what
// docs/engines.md tells.
func TestLoadRequests(t *testing.T) {
	o := s3Options(t, false)
	registry := prometheus.NewRegistry()
	o.LakeStore, o.Store, o.Registerer = o.Store, "", registry
	o.NoUpkeep, o.IndexSnapshots.Mode = true, node.SnapshotOff
	n := openNode(t, o)
	server := httptest.NewServer(n.Iceberg())
	t.Cleanup(server.Close)
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, ingest.OpUpsert, threeItems...)

	load := func() map[string]int {
		before := s3Requests(t, registry)
		var answer map[string]any
		getJSON(t, server.URL+"/v1/namespaces/shop/tables/items", &answer)
		made := map[string]int{}
		for verb, count := range s3Requests(t, registry) {
			if count > before[verb] {
				made[verb] = count - before[verb]
			}
		}
		return made
	}
	for _, test := range []struct {
		what   string
		before func()
		want   map[string]int
	}{
		{"the first load", func() {}, map[string]int{"put": 4, "get": 5}},
		{"with nothing new", func() {}, map[string]int{"get": 2}},
		{"after a row was added", func() { write(t, n, c, ingest.OpUpsert, `{"id":7,"name":"g"}`) }, map[string]int{"put": 4, "get": 4}},
		{"after a row was changed", func() { write(t, n, c, ingest.OpUpsert, `{"id":2,"name":"h"}`) }, map[string]int{"put": 6, "get": 4}},
	} {
		test.before()
		if got := load(); !maps.Equal(got, test.want) {
			t.Errorf("%s makes %v, want %v", test.what, got, test.want)
		}
	}
}

// s3Requests are all requests so far, by verb.
func s3Requests(t *testing.T, registry *prometheus.Registry) map[string]int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, f := range families {
		if f.GetName() != "trine_s3_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "verb" {
					counts[l.GetValue()] += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return counts
}
