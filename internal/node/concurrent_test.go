package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	stdsync "sync"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// TestScanIsOfOnePosition scans while writers upsert and delete and tables are
// flushed. Each batch moves every key of its writer to the same new value, so
// a scan that saw a part of one would show two values; and the rows of each
// scan must be the fold of the log at the highest seq that it shows.
func TestScanIsOfOnePosition(t *testing.T) {
	const writers, batches, keys, scans = 3, 60, 20, 40
	n := openNode(t, node.Options{Data: dataDir(t), FlushBytes: 2000})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	var wg stdsync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for b := range batches {
				var lines []string
				for k := range keys {
					lines = append(lines, fmt.Sprintf(`{"id":%d,"name":"%d"}`, w*keys+k, b))
				}
				op := ingest.OpUpsert
				if random.IntN(8) == 0 {
					op = ingest.OpDelete
				}
				write(t, n, c, op, lines...)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for range scans {
		checkScan(t, n, c, keys)
		select {
		case <-done:
		default:
		}
	}
	<-done
	checkScan(t, n, c, keys)
	mustVerify(t, n)
}

func checkScan(t *testing.T, n *node.Node, c *schema.Collection, keys int) {
	t.Helper()
	s, err := n.Engine.Scan(context.Background(), c, query.Scan{Columns: []string{"id", "name"}})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := textRows(s)
	if err != nil {
		t.Fatal(err)
	}
	values := map[int64]map[string]int{}
	for _, row := range rows {
		var id int64
		var name string
		if _, err := fmt.Sscan(row, &id, &name); err != nil {
			t.Fatal(err)
		}
		w := id / int64(keys)
		if values[w] == nil {
			values[w] = map[string]int{}
		}
		values[w][name]++
	}
	for w, seen := range values {
		if len(seen) != 1 {
			t.Fatalf("scan at %s shows parts of batches of writer %d: %v", s.Position, w, seen)
		}
		for value, count := range seen {
			if count != keys {
				t.Fatalf("scan at %s shows %d of %d rows of batch %s of writer %d", s.Position, count, keys, value, w)
			}
		}
	}
	checkFold(t, n, c, s.Position, rows)
}

// checkFold compares rows with the fold of the chunks up to position.
func checkFold(t *testing.T, n *node.Node, c *schema.Collection, position schema.Position, rows []string) {
	t.Helper()
	next := n.NextSeqAt(t, c, position)
	if next == 0 {
		if len(rows) > 0 {
			t.Fatalf("scan at %s shows %d rows of an empty log", position, len(rows))
		}
		return
	}
	at := next - 1
	s, err := n.Engine.Scan(context.Background(), c, query.Scan{AtSeq: &at})
	if err != nil {
		t.Fatal(err)
	}
	want, err := textRows(s)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Fatalf("scan at %s (seq %d) shows %d rows, the log folds to %d", position, at, len(rows), len(want))
	}
}
