package node_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
)

var catchUpRows = flag.Int("catchup.rows", 200_000, "changes that the benchmark of catching up writes")

// BenchmarkCatchUp starts a node without an index, on a log whose first 95% a
// snapshot has, and on the log alone, in alternation; the ratio of the times is the
// figure. A quarter of the changes are to rows that are there.
func BenchmarkCatchUp(b *testing.B) {
	o := node.Options{
		Data: dataDir(b), MinFreeBytes: -1,
		IndexSnapshots: node.IndexSnapshots{Mode: node.SnapshotOn, BytesPerSecond: -1, Bytes: 1 << 50, Interval: 1 << 60},
	}
	n := openNode(b, o)
	c := makeCollection(b, n, fmt.Sprintf(itemsDef, `,"options":{"lake":"off"}`))
	w := &rowWriter{n: n, c: c}
	w.write(b, *catchUpRows*95/100)
	info, err := n.TakeIndexSnapshot(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	w.write(b, *catchUpRows*5/100)
	closeNode(b, n)

	var fromLog, fromSnapshot time.Duration
	b.ResetTimer()
	for b.Loop() {
		fromLog += timeOpen(b, o, node.RebuildFromLog)
		fromSnapshot += timeOpen(b, o, node.RebuildFromSnapshot)
	}
	b.ReportMetric(fromLog.Seconds()/float64(b.N), "s-from-log")
	b.ReportMetric(fromSnapshot.Seconds()/float64(b.N), "s-from-snapshot")
	b.ReportMetric(fromLog.Seconds()/fromSnapshot.Seconds(), "times-faster")
	b.ReportMetric(float64(info.Bytes)/1e6, "MB-snapshot")
}

func timeOpen(b *testing.B, o node.Options, from node.Rebuild) time.Duration {
	removeAll(b, filepath.Join(o.Data, "kvindex"))
	o.RebuildIndex = from
	start := time.Now()
	n, err := node.Open(context.Background(), o)
	took := time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	closeNode(b, n)
	return took
}

// rowWriter writes changes in batches of 10,000, each key once in a batch: as many
// keys as three quarters of all rows, in an order that looks random.
type rowWriter struct {
	n    *node.Node
	c    *schema.Collection
	done int
}

func (w *rowWriter) write(b *testing.B, rows int) {
	const batch, prime = 10_000, 1_000_003
	for end := w.done + rows; w.done < end; {
		var body bytes.Buffer
		for range min(end-w.done, batch) {
			fmt.Fprintf(&body, `{"id":%d,"name":"a row of some sixty bytes, number %020d"}`+"\n", w.done*prime%(*catchUpRows*3/4), w.done)
			w.done++
		}
		_, err := w.n.Writer.Write(context.Background(), ingest.Request{
			Tenant: w.c.Tenant, Collection: w.c.Name, Op: ingest.OpUpsert, Format: "application/x-ndjson", Body: &body,
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
