package node_test

import (
	"fmt"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/sync"
)

// TestReadRightAfterAck reads a log as soon as a write is acknowledged, while the
// index applies the write: it is there, whoever has it at that moment.
func TestReadRightAfterAck(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	for i := range 1500 {
		write(t, n, c, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"name":"n"}`, i%5))
		next, err := n.Engine.NextSeq(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		from, seen := max(next, 3)-3, 0
		for _, err := range n.Engine.Changes(t.Context(), c, sync.ChangesRequest{From: from, To: next}) {
			if err != nil {
				t.Fatalf("after write %d: %v", i, err)
			}
			seen++
		}
		if seen != int(next-from) {
			t.Fatalf("after write %d: %d changes from %d to %d", i, seen, from, next)
		}
	}
}
