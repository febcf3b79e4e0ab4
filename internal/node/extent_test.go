package node_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// chunkReads is how often the store of the log was read from.
func chunkReads(t *testing.T, reg *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range families {
		if f.GetName() != "trine_store_requests_total" {
			continue
		}
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["store"] == "log" && strings.HasPrefix(labels["verb"], "get") {
				found = true
				n += m.Counter.GetValue()
			}
		}
	}
	if !found {
		t.Fatal("no count of reads")
	}
	return n
}

// TestExtentReadsNoChunk tells how long logs are, of random batches, before and
// after a restart that leaves none of them in memory, and reads no chunk for it.
func TestExtentReadsNoChunk(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 1))
	data := dataDir(t)
	n := openNode(t, node.Options{Data: data})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, `,"options":{"before_images":true}`))
	empty := makeCollection(t, n, strings.Replace(fmt.Sprintf(itemsDef, ""), "items", "nothing", 1))
	var below []int64 // bytes of the changes below each seq
	total := int64(0)
	for range 60 {
		var lines []string
		for id := range 1 + random.IntN(9) { // a batch has each key once
			lines = append(lines, fmt.Sprintf(`{"id":%d,"name":%q}`, id, strings.Repeat("n", random.IntN(40))))
		}
		write(t, n, c, ingest.OpUpsert, lines...)
	}
	var borders []schema.Seq // where chunks begin
	for _, ck := range n.Chunks(t) {
		g, ok := ck.Group(c.Instance)
		if !ok {
			continue
		}
		borders = append(borders, g.FirstSeq)
		for _, rec := range g.Records {
			below = append(below, total)
			total += int64(rec.Bytes())
		}
	}
	below = append(below, total)
	next := schema.Seq(len(below) - 1)
	borders = append(borders, next, next+100)
	at := func(seq schema.Seq) int64 { return below[min(seq, next)] }
	check := func(when string) {
		t.Helper()
		for range 200 {
			i := random.IntN(len(borders))
			j := i + random.IntN(len(borders)-i)
			from, to := borders[i], borders[j]
			x, err := n.Engine.Extent(t.Context(), c, from, to)
			if err != nil || x.Bytes != at(to)-at(from) || x.LastMicros == 0 {
				t.Fatalf("%s: [%d, %d) is %+v, %v, want %d bytes", when, from, to, x, err, at(to)-at(from))
			}
			// Within a chunk by share: between the chunk's borders.
			if i+1 < len(borders) && borders[i+1] <= next {
				x, err := n.Engine.Extent(t.Context(), c, 0, from+schema.Seq(random.IntN(int(borders[i+1]-from))))
				if err != nil || x.Bytes < at(from) || x.Bytes > at(borders[i+1]) {
					t.Fatalf("%s: below a seq of [%d, %d) are %d bytes, %v", when, from, borders[i+1], x.Bytes, err)
				}
			}
		}
		if x, err := n.Engine.Extent(t.Context(), empty, 0, 100); err != nil || x != (sync.Extent{}) {
			t.Errorf("%s: an empty log is %+v, %v", when, x, err)
		}
	}
	check("written")
	closeNode(t, n)
	reg := prometheus.NewRegistry()
	n = openNode(t, node.Options{Data: data, Registerer: reg})
	// The archivist reads chunks too, beside us, until it is where the log is.
	before, reads := 0.0, 1.0
	for tries := 0; reads > 0 && tries < 200; tries++ {
		before = chunkReads(t, reg)
		check("restarted")
		reads = chunkReads(t, reg) - before
	}
	if reads > 0 {
		t.Errorf("%v reads of chunks to tell how long logs are", reads)
	}
	for _, err := range n.Engine.Changes(t.Context(), c, sync.ChangesRequest{To: 1}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if chunkReads(t, reg) == before {
		t.Error("reading a log is not counted, so that the above shows nothing")
	}
}

// TestExtentWhileWriting measures a log that grows, and that the index applies
// meanwhile: every change counts once.
func TestExtentWhileWriting(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 150 {
			write(t, n, c, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"name":"%d"}`, i, i))
		}
	}()
	seen := map[schema.Seq]int64{}
	for writing := true; writing; {
		select {
		case <-done:
			writing = false
		default:
		}
		next, err := n.Engine.NextSeq(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		x, err := n.Engine.Extent(t.Context(), c, 0, next)
		if err != nil {
			t.Fatal(err)
		}
		seen[next] = x.Bytes
	}
	total := int64(0)
	for _, ck := range n.Chunks(t) {
		g, _ := ck.Group(c.Instance)
		for _, rec := range g.Records {
			total += int64(len(rec.Key) + len(rec.Row))
		}
		if got, ok := seen[g.NextSeq()]; ok && len(g.Records) > 0 && got != total {
			t.Fatalf("below %d are %d bytes, measured were %d", g.NextSeq(), total, got)
		}
	}
	if len(seen) < 20 {
		t.Errorf("measured at %d lengths only", len(seen))
	}
}
