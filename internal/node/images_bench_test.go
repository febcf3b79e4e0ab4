package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
)

// BenchmarkImages is what before images cost an upsert: batches go in turn to a
// collection with the option and to one without.
func BenchmarkImages(b *testing.B) {
	const rows = 1000
	for _, kind := range []string{"new", "there"} {
		b.Run(kind, func(b *testing.B) {
			n := openNode(b, node.Options{Data: dataDir(b)})
			def := `{"tenant":"shop","collection":%q,"key":["id"],"fields":[{"name":"id","type":"long","required":true},
				{"name":"name","type":"string"}],"options":{"before_images":%t}}`
			makeCollection(b, n, fmt.Sprintf(def, "with", true))
			makeCollection(b, n, fmt.Sprintf(def, "without", false))
			name := strings.Repeat("a text of words, ", 6)[:90]
			var took [2]time.Duration
			round := 0
			for ; b.Loop(); round++ {
				var lines strings.Builder
				for i := range rows {
					key := round*rows + i
					if kind == "there" {
						key = (round%20)*rows + i
					}
					fmt.Fprintf(&lines, "{\"id\":%d,\"name\":\"%d %s\"}\n", key, round, name)
				}
				for turn := range 2 {
					which := (turn + round) % 2
					at := time.Now()
					_, err := n.Writer.Write(context.Background(), ingest.Request{
						Tenant: "shop", Collection: []string{"with", "without"}[which], Op: ingest.OpUpsert,
						Format: "application/x-ndjson", Body: strings.NewReader(lines.String()), Size: int64(lines.Len()),
					})
					if err != nil {
						b.Fatal(err)
					}
					took[which] += time.Since(at)
				}
			}
			b.ReportMetric(float64(took[0])/float64(took[1]), "with/without")
			b.ReportMetric(float64(rows*round)/took[0].Seconds(), "rows/s-with")
			b.ReportMetric(float64(rows*round)/took[1].Seconds(), "rows/s-without")
		})
	}
}
