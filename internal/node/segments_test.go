package node_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// TestIndexFromSegments removes the index after the log's chunks became segments
// and were deleted: it comes back from them, and all stores agree.
func TestIndexFromSegments(t *testing.T) {
	data := t.TempDir()
	o := node.Options{
		Data: data, MinFreeBytes: -1, SegmentBytes: 4 << 10,
		SegmentAge: time.Millisecond, SegmentGrace: time.Millisecond, AnswersKept: time.Millisecond,
	}
	n := openNode(t, o)
	fields := `"fields":[{"name":"id","type":"long","required":true},{"name":"v","type":"string"}]`
	keyed := makeCollection(t, n, `{"tenant":"acme","collection":"keyed",`+fields+`,"key":["id"]}`)
	plain := makeCollection(t, n, `{"tenant":"acme","collection":"plain",`+fields+`}`)
	for i := range 40 {
		write(t, n, keyed, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"v":"a%d"}`, i%7, i))
		write(t, n, plain, ingest.OpInsert, fmt.Sprintf(`{"id":%d,"v":"b%d"}`, i, i))
	}
	closeNode(t, n) // its memtable is in a table now
	n = openNode(t, o)
	for tries := 0; deleted(t, data) < 30; tries++ {
		if tries == 10_000 {
			t.Fatal("no chunks were deleted")
		}
		write(t, n, plain, ingest.OpInsert, `{"id":1,"v":"more"}`)
	}
	check(t, n)
	backward(t, n, plain)
	if _, err := n.Engine.Flush(t.Context(), keyed); err != nil { // of changes that no pointer leads to
		t.Fatal(err)
	}
	check(t, n)
	closeNode(t, n)

	if err := os.RemoveAll(filepath.Join(data, "kvindex")); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, o)
	check(t, n)
	backward(t, n, keyed)
	for _, c := range []*schema.Collection{keyed, plain} {
		if _, err := n.Engine.Flush(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	check(t, n)
}

// deleted is how many of the first 60 chunks are gone.
func deleted(t *testing.T, data string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(data, "log", "ch", "0", "0", "*"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range found {
		there[filepath.Base(f)] = true
	}
	gone := 0
	for i := range 60 {
		if !there[fmt.Sprintf("%020d", i+1)] {
			gone++
		}
	}
	return gone
}

// check demands that log, index and lake agree.
func check(t *testing.T, n *node.Node) {
	t.Helper()
	for r, err := range n.Verify(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() || r.Changes == 0 {
			t.Errorf("%s: %d changes, %+v", r.Collection, r.Changes, r.Differences)
		}
	}
}

// backward demands that a log read backward is the log read forward, and that a
// change is found by its time.
func backward(t *testing.T, n *node.Node, c *schema.Collection) {
	t.Helper()
	ctx := context.Background()
	next, err := n.Engine.NextSeq(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	var forward []schema.Change
	for ch, err := range n.Engine.Changes(ctx, c, sync.ChangesRequest{To: next}) {
		if err != nil {
			t.Fatal(err)
		}
		forward = append(forward, ch)
	}
	i := len(forward)
	for ch, err := range n.Engine.Changes(ctx, c, sync.ChangesRequest{To: next, Descending: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if i--; i < 0 || ch.Seq != forward[i].Seq || string(ch.Row) != string(forward[i].Row) {
			t.Fatalf("seq %d backward is not what it is forward", ch.Seq)
		}
	}
	if i != 0 || schema.Seq(len(forward)) != next {
		t.Errorf("%d changes forward, %d of them not backward, want %d", len(forward), i, next)
	}
	seq, err := n.Engine.SeqAt(ctx, c, forward[3].TimeMicros)
	if err != nil || forward[seq].TimeMicros != forward[3].TimeMicros || seq > 3 {
		t.Errorf("seq at the time of 3 is %d (%v)", seq, err)
	}
}
