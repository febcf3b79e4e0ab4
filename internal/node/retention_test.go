package node_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// metricSum is a metric over all its labels.
func metricSum(t *testing.T, r *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// retainingNode opens a node whose segments come and go within milliseconds, and
// whose clock is as far ahead as ahead says.
func retainingNode(t *testing.T, data string, ahead *atomic.Int64, mode node.SnapshotMode) (*node.Node, *prometheus.Registry) {
	t.Helper()
	o, metrics := retainingOptions(data, ahead, mode)
	return openNode(t, o), metrics
}

func retainingOptions(data string, ahead *atomic.Int64, mode node.SnapshotMode) (node.Options, *prometheus.Registry) {
	metrics := prometheus.NewRegistry()
	return node.Options{
		Data: data, SegmentBytes: 4 << 10, SegmentAge: time.Millisecond, SegmentGrace: time.Millisecond,
		AnswersKept: time.Millisecond, RetainEvery: time.Millisecond, Registerer: metrics,
		IndexSnapshots: node.IndexSnapshots{Mode: mode},
		Now:            func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}, metrics
}

// until writes to a collection until something holds: segments are made of writes. Now
// and then it lets time go by, as a segment that was looked at too soon is looked at
// again after a quarter of its age.
func until(t *testing.T, n *node.Node, ahead *atomic.Int64, c *schema.Collection, what string, holds func() bool) {
	t.Helper()
	for tries := 0; !holds(); tries++ {
		if tries == 10_000 {
			t.Fatalf("never: %s", what)
		}
		if tries%500 == 499 {
			ahead.Add(int64(31 * time.Minute))
		}
		write(t, n, c, ingest.OpInsert, `{"id":1,"v":"more"}`)
	}
}

// TestRetention lets two hours go by after most of the writes. What is older than a
// collection's retention is forgotten and its space comes back; what is for ever
// stays, and rows stay in any case, also when the index is lost.
func TestRetention(t *testing.T) {
	data := t.TempDir()
	var ahead atomic.Int64
	n, metrics := retainingNode(t, data, &ahead, node.SnapshotOn)
	make := func(name, rest string) *schema.Collection {
		return makeCollection(t, n, fmt.Sprintf(`{"tenant":"acme","collection":%q,"fields":[{"name":"id","type":"long","required":true},{"name":"v","type":"string"}],%s}`, name, rest))
	}
	plain := make("plain", `"options":{"lake":"off","log_retention":"1h"}`)
	keyed := make("keyed", `"key":["id"],"options":{"lake":"off","log_retention":"1h"}`)
	table := make("table", `"options":{"log_retention":"1h"}`)
	ever := make("ever", `"options":{"lake":"off","log_retention":"forever"}`)
	clock := make("clock", `"options":{"lake":"off","log_retention":"forever"}`)
	long := strings.Repeat("x", 500)
	for i := range 60 {
		for _, c := range []*schema.Collection{plain, table} {
			write(t, n, c, ingest.OpInsert, fmt.Sprintf(`{"id":%d,"v":"%s"}`, i, long))
		}
		write(t, n, keyed, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"v":"%d %s"}`, i%40, i, long))
		write(t, n, ever, ingest.OpInsert, fmt.Sprintf(`{"id":%d}`, i))
	}
	if _, err := n.TakeIndexSnapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := func(c *schema.Collection) schema.Seq {
		seq, err := n.Engine.FirstSeq(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	ahead.Add(int64(2 * time.Hour))
	until(t, n, &ahead, clock, "old changes are forgotten", func() bool { return first(plain) == 60 && first(keyed) == 60 })
	for range 10 {
		write(t, n, clock, ingest.OpInsert, `{"id":1}`)
	}
	if _, err := n.TakeIndexSnapshot(t.Context()); err != nil { // so that chunks are given up
		t.Fatal(err)
	}
	until(t, n, &ahead, clock, "their space comes back", func() bool { return metricSum(t, metrics, "trine_log_trimmed_bytes_total") > 20<<10 })
	if first(ever) != 0 || first(clock) != 0 || first(table) != 0 {
		t.Errorf("forgotten, though for ever: %d, %d; though in the log alone: %d", first(ever), first(clock), first(table))
	}
	if _, err := n.Engine.Flush(t.Context(), table); err != nil { // now that it is in its table
		t.Fatal(err)
	}
	until(t, n, &ahead, clock, "what its table holds is forgotten", func() bool { return first(table) == 60 })

	rows := func(when string) {
		t.Helper()
		for c, want := range map[*schema.Collection]int{plain: 0, keyed: 40, table: 60, ever: 60} {
			if got := scanRows(t, n, c, query.Scan{Columns: []string{"id"}}); len(got) != want {
				t.Errorf("%s: %s has %d rows, want %d", when, c, len(got), want)
			}
			if next, err := n.Engine.NextSeq(t.Context(), c); err != nil || next != 60 {
				t.Errorf("%s: next seq of %s is %d (%v)", when, c, next, err)
			}
		}
		for _, err := range n.Engine.Changes(t.Context(), plain, sync.ChangesRequest{From: 59, To: 60}) {
			if !errors.Is(err, schema.ErrTrimmed) {
				t.Errorf("%s: %v", when, err)
			}
		}
		mustVerify(t, n)
	}
	rows("live")
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(data, "kvindex")); err != nil {
		t.Fatal(err)
	}
	n, _ = retainingNode(t, data, &ahead, node.SnapshotOn)
	rows("restored")
	write(t, n, plain, ingest.OpInsert, `{"id":60}`)
	if got := scanRows(t, n, plain, query.Scan{Columns: []string{"id"}}); len(got) != 1 {
		t.Errorf("rows written since: %q", got)
	}
}

// TestRetentionOnDemand trims a keyed collection on a local disk, where no snapshot of
// the index is taken before the log waits for one that is smaller than what it keeps.
func TestRetentionOnDemand(t *testing.T) {
	var ahead atomic.Int64
	data := t.TempDir()
	open := func() (*node.Node, *prometheus.Registry) {
		o, metrics := retainingOptions(data, &ahead, node.SnapshotAuto)
		o.IndexSnapshots.Bytes = 32 << 10
		return openNode(t, o), metrics
	}
	n, _ := open()
	keyed := makeCollection(t, n, `{"tenant":"acme","collection":"keyed","key":["id"],"options":{"lake":"off","before_images":true},
		"fields":[{"name":"id","type":"long","required":true},{"name":"v","type":"string"}]}`)
	clock := makeCollection(t, n, `{"tenant":"acme","collection":"clock","options":{"lake":"off","log_retention":"forever"},
		"fields":[{"name":"id","type":"long","required":true},{"name":"v","type":"string"}]}`)
	noise := rand.NewChaCha8([32]byte{1}) // which does not compress
	value := make([]byte, 2000)
	for i := range 60 {
		noise.Read(value)
		write(t, n, keyed, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"v":"%x"}`, i%4, value))
	}
	if n.LastSnapshot() != (schema.Position{}) {
		t.Error("a snapshot that nobody waits for")
	}
	if _, err := n.Engine.Trim(t.Context(), keyed, 60); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		write(t, n, clock, ingest.OpInsert, `{"id":1}`)
	}
	closeNode(t, n) // its memtable is in a table now, so that chunks are given up
	n, metrics := open()
	until(t, n, &ahead, clock, "a snapshot is taken", func() bool { return n.LastSnapshot() != (schema.Position{}) })
	until(t, n, &ahead, clock, "space comes back", func() bool { return metricSum(t, metrics, "trine_log_trimmed_bytes_total") > 100<<10 })
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(data, "kvindex")); err != nil {
		t.Fatal(err)
	}
	n, _ = open()
	if got := scanRows(t, n, keyed, query.Scan{Columns: []string{"id"}}); len(got) != 4 {
		t.Errorf("%d rows, want 4", len(got))
	}
	mustVerify(t, n)
}

// TestRetentionOfDropped drops a collection: what segments have of it goes, and then
// the index forgets that it was there. An index that is built anew knows of it, until
// it finds nothing of it.
func TestRetentionOfDropped(t *testing.T) {
	var ahead atomic.Int64
	data := t.TempDir()
	n, metrics := retainingNode(t, data, &ahead, node.SnapshotOff)
	fields := `"fields":[{"name":"id","type":"long","required":true},{"name":"v","type":"string"}],"options":{"lake":"off","log_retention":"forever"}`
	doomed := makeCollection(t, n, `{"tenant":"acme","collection":"doomed",`+fields+`,"key":["id"]}`)
	clock := makeCollection(t, n, `{"tenant":"acme","collection":"clock",`+fields+`}`)
	for i := range 60 {
		write(t, n, doomed, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"v":%q}`, i, strings.Repeat("x", 500)))
	}
	if err := n.Backend().Collections.Drop(t.Context(), "acme", "doomed"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		write(t, n, clock, ingest.OpInsert, `{"id":1}`)
	}
	closeNode(t, n) // its memtable is in a table now, so that chunks are given up
	n, metrics = retainingNode(t, data, &ahead, node.SnapshotOff)
	until(t, n, &ahead, clock, "space comes back", func() bool { return metricSum(t, metrics, "trine_log_trimmed_bytes_total") > 28<<10 })
	forgotten := func() bool { return metricSum(t, metrics, "trine_sync_dropped_forgotten_total") == 1 }
	until(t, n, &ahead, clock, "the index forgets what was dropped", forgotten)
	mustVerify(t, n)
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(data, "kvindex")); err != nil {
		t.Fatal(err)
	}
	n, metrics = retainingNode(t, data, &ahead, node.SnapshotOff)
	until(t, n, &ahead, clock, "an index that is built anew forgets it too", forgotten)
	again := makeCollection(t, n, `{"tenant":"acme","collection":"doomed",`+fields+`,"key":["id"]}`)
	if got := scanRows(t, n, again, query.Scan{Columns: []string{"id"}}); len(got) != 0 {
		t.Errorf("%d rows of one that was dropped", len(got))
	}
	mustVerify(t, n)
}

// TestRetentionWithoutSnapshots trims a keyed collection whose rows no snapshot of
// the index holds: its changes stay in the segments, and the metric says so, and a
// lost index is built from them. Those of an append-only collection go.
func TestRetentionWithoutSnapshots(t *testing.T) {
	data := t.TempDir()
	var ahead atomic.Int64
	n, metrics := retainingNode(t, data, &ahead, node.SnapshotOff)
	fields := `"fields":[{"name":"id","type":"long","required":true},{"name":"v","type":"string"}]`
	keyed := makeCollection(t, n, `{"tenant":"acme","collection":"keyed",`+fields+`,"key":["id"],"options":{"lake":"off"}}`)
	plain := makeCollection(t, n, `{"tenant":"acme","collection":"plain",`+fields+`,"options":{"lake":"off"}}`)
	long := strings.Repeat("x", 500)
	for i := range 40 {
		write(t, n, keyed, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"v":%q}`, i%30, long))
	}
	for i := range 40 {
		write(t, n, plain, ingest.OpInsert, fmt.Sprintf(`{"id":%d,"v":%q}`, i, long))
	}
	for _, c := range []*schema.Collection{keyed, plain} {
		if done, err := n.Engine.Trim(t.Context(), c, 40); err != nil || done.First != 40 {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	for range 10 {
		write(t, n, plain, ingest.OpInsert, `{"id":1}`)
	}
	closeNode(t, n) // its memtable is in a table now, so that chunks are given up
	n, metrics = retainingNode(t, data, &ahead, node.SnapshotOff)
	until(t, n, &ahead, plain, "trimmed changes are held for want of a snapshot", func() bool {
		return metricSum(t, metrics, "trine_log_retention_held_bytes") > 0
	})
	until(t, n, &ahead, plain, "space comes back", func() bool { return metricSum(t, metrics, "trine_log_trimmed_bytes_total") > 4<<10 })
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(data, "kvindex")); err != nil {
		t.Fatal(err)
	}
	n, _ = retainingNode(t, data, &ahead, node.SnapshotOff)
	if got := scanRows(t, n, keyed, query.Scan{Columns: []string{"id"}}); len(got) != 30 {
		t.Errorf("%d rows, want 30", len(got))
	}
	st, err := n.Engine.Describe(t.Context(), plain)
	if err != nil || st.FirstSeq != 40 || st.Rows != int64(st.NextSeq-40) {
		t.Errorf("%+v, %v", st, err)
	}
	mustVerify(t, n)
}
