package node_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// A crash between a drop and the removal of its table leaves files; the next start
// removes them, and leaves a new collection of the same name alone.
func TestCrashInADrop(t *testing.T) {
	dir := dataDir(t)
	n := openNode(t, node.Options{Data: dir})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, "", `{"id":1,"name":"old"}`)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	// What a drop does before it removes the table.
	if err := n.Engine.MarkTable(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Registry.Drop(context.Background(), c.Tenant, c.Name); err != nil {
		t.Fatal(err)
	}
	again := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, again, "", `{"id":2,"name":"new"}`)
	if _, err := n.Engine.Flush(context.Background(), again); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)

	left := func(inst uint64) int {
		found, err := filepath.Glob(filepath.Join(dir, "lake", c.Tenant, fmt.Sprintf("%s-%016x", c.Name, inst), "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if left(uint64(c.Instance)) == 0 {
		t.Fatal("the dropped table is gone already")
	}
	n = openNode(t, node.Options{Data: dir})
	for deadline := time.Now().Add(30 * time.Second); left(uint64(c.Instance)) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the dropped table is still there after 30 s")
		}
	}
	if got := fmt.Sprint(scanRows(t, n, again, query.Scan{})); got != "[2 new]" || left(uint64(again.Instance)) == 0 {
		t.Errorf("the new collection has %s", got)
	}
	mustVerify(t, n)
}

// Small flushes are merged by themselves, and a scan in between sees all.
func TestCompactionByItself(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	for i := range 12 {
		write(t, n, c, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"name":"a"}`, i))
		write(t, n, c, ingest.OpUpsert, fmt.Sprintf(`{"id":%d,"name":"b"}`, i/2))
		if _, err := n.Engine.Flush(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		if got := len(scanRows(t, n, c, query.Scan{})); got != i+1 {
			t.Fatalf("%d rows after %d flushes", got, i+1)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, err := n.Engine.TableStatus(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if s.Rewrite == 0 && s.Files < 5 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not merged after 30 s: %+v", s)
		}
	}
	mustVerify(t, n)
}

// A collection that never had a table is dropped without a thing to do later.
func TestDropWithoutTable(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, "", `{"id":1,"name":"old"}`)
	drop := func(c *schema.Collection) {
		t.Helper()
		if err := n.Backend().Collections.Drop(context.Background(), c.Tenant, c.Name); err != nil {
			t.Fatal(err)
		}
	}
	drop(c)
	if marked := n.Marked(t); len(marked) > 0 {
		t.Errorf("%d are marked for upkeep", marked)
	}
	c = makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, "", `{"id":1,"name":"new"}`)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	drop(c)
	if marked := n.Marked(t); !slices.Equal(marked, []schema.Instance{c.Instance}) {
		t.Errorf("%d are marked for upkeep, want %d, which had a table", marked, c.Instance)
	}
}
