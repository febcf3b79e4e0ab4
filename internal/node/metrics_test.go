package node_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	stdsync "sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
)

var updateDocs = flag.Bool("update-docs", false, "write docs/metrics.md anew")

const (
	metricsDoc   = "../../docs/metrics.md"
	metricsBegin = "<!-- metrics: go test ./internal/node -run TestMetricsAreDocumented -update-docs -->\n"
)

// descriptions is a registerer that notes what is registered, whether or not
// it has a series yet.
type descriptions struct {
	prometheus.Registerer
	mu   *stdsync.Mutex // a zone is opened beside the others
	help map[string]string
}

var describedAs = regexp.MustCompile(`fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)"`)

func (d descriptions) Register(c prometheus.Collector) error {
	if err := d.Registerer.Register(c); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	descs := make(chan *prometheus.Desc, 100)
	c.Describe(descs)
	close(descs)
	for desc := range descs {
		m := describedAs.FindStringSubmatch(desc.String())
		d.help[m[1]] = m[2]
	}
	return nil
}

func (d descriptions) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := d.Register(c); err != nil {
			panic(err)
		}
	}
}

// TestMetricsAreDocumented compares docs/metrics.md with what a node and its
// HTTP surface register, on a local disk and on S3.
func TestMetricsAreDocumented(t *testing.T) {
	var mu stdsync.Mutex
	help := map[string]string{}
	_, zoned := zoneBuckets(t)
	for _, o := range []node.Options{{Data: dataDir(t)}, s3Options(t, true), zoned} {
		reg := prometheus.NewRegistry()
		o.Registerer = descriptions{reg, &mu, help}
		n := openNode(t, o)
		srv, err := arrowhttp.New(arrowhttp.Options{Backend: n.Backend(), SpoolDir: t.TempDir(), Registerer: o.Registerer, Gatherer: reg})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	var table strings.Builder
	table.WriteString("| metric | what it tells |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(help)) {
		fmt.Fprintf(&table, "| `%s` | %s |\n", name, help[name])
	}
	doc, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	text, old, ok := strings.Cut(string(doc), metricsBegin)
	if !ok {
		t.Fatalf("%s has no line %s", metricsDoc, metricsBegin)
	}
	if *updateDocs {
		if err := os.WriteFile(metricsDoc, []byte(text+metricsBegin+"\n"+table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if strings.TrimSpace(old) != strings.TrimSpace(table.String()) {
		t.Errorf("%s is not what is registered; run the test with -update-docs:\n%s", metricsDoc, table.String())
	}
	for _, name := range regexp.MustCompile("`(trine_[a-z_]+)").FindAllStringSubmatch(text, -1) {
		if _, ok := help[name[1]]; !ok {
			t.Errorf("%s speaks of %s, which there is not", metricsDoc, name[1])
		}
	}
}

// TestStagesAreMeasured finds each stage of a write in the metrics, and none of
// what is durable missing in the index once it has caught up.
func TestStagesAreMeasured(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := openNode(t, node.Options{Data: dataDir(t), Registerer: reg})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, ingest.OpUpsert, threeItems...)
	if _, err := n.Engine.Flush(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Engine.Describe(t.Context(), c); err != nil { // waits for the index
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]uint64{}
	lag := -1.0
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				if l.GetName() == "stage" {
					name += " " + l.GetValue()
				}
			}
			count[name] += m.GetHistogram().GetSampleCount()
			if name == "trine_sync_index_lag_chunks" {
				lag = m.GetGauge().GetValue()
			}
		}
	}
	for name, want := range map[string]uint64{
		"trine_ingest_decode_seconds": 1, "trine_sync_lake_lag_seconds": 1,
		// The collection's creation is a batch and a chunk too.
		"trine_log_stage_seconds queue": 2, "trine_log_stage_seconds decide": 2, "trine_log_stage_seconds linger": 2,
		"trine_log_stage_seconds encode": 2, "trine_log_put_seconds": 2, "trine_log_stage_seconds publish": 2, "trine_log_ack_seconds": 2,
	} {
		if count[name] != want {
			t.Errorf("%s was measured %d times, want %d", name, count[name], want)
		}
	}
	if lag != 0 {
		t.Errorf("index lags by %v chunks", lag)
	}
}
