package node_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
	"github.com/trinedb/trine/sync"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnv); dir != "" {
		fmt.Fprintln(os.Stderr, serve(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m,
		// Badger's and Ristretto's own, which live as long as the process.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}

// openNode opens a node that the test closes.
func openNode(t testing.TB, o node.Options) *node.Node {
	t.Helper()
	o.MinFreeBytes = -1
	n, err := node.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	return n
}

func closeNode(t testing.TB, n *node.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Errorf("close node: %v", err)
	}
}

// makeCollection applies a definition in JSON.
func makeCollection(t testing.TB, n *node.Node, def string) *schema.Collection {
	t.Helper()
	d, err := definition.ParseOne([]byte(def))
	if err != nil {
		t.Fatal(err)
	}
	_, c, err := n.Registry.Apply(context.Background(), d, false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// write writes NDJSON lines as one batch.
func write(t testing.TB, n *node.Node, c *schema.Collection, op ingest.Op, lines ...string) ingest.Result {
	t.Helper()
	res, err := n.Writer.Write(context.Background(), ingest.Request{
		Tenant: c.Tenant, Collection: c.Name, Op: op, Format: "application/x-ndjson",
		Body: strings.NewReader(strings.Join(lines, "\n")),
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// scanRows is a scan as one string a row, in the order of the stream.
func scanRows(t testing.TB, n *node.Node, c *schema.Collection, q query.Scan) []string {
	t.Helper()
	s, err := n.Engine.Scan(context.Background(), c, q)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := textRows(s)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func textRows(s *sync.Scan) ([]string, error) {
	var rows []string
	for batch, err := range s.Batches {
		if err != nil {
			return nil, err
		}
		for r := range int(batch.NumRows()) {
			cells := make([]string, batch.NumCols())
			for c := range cells {
				cells[c] = batch.Column(c).ValueStr(r)
			}
			rows = append(rows, strings.Join(cells, " "))
		}
	}
	return rows, nil
}

// mustVerify compares the stores of every collection.
func mustVerify(t testing.TB, n *node.Node) {
	t.Helper()
	for r, err := range n.Verify(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() {
			t.Errorf("stores of %s differ: %+v", r.Collection, r.Differences)
		}
	}
}

const itemsDef = `{"tenant":"shop","collection":"items","key":["id"],"fields":[
	{"name":"id","type":"long","required":true},{"name":"name","type":"string"}]%s}`

const eventsDef = `{"tenant":"shop","collection":"events","fields":[{"name":"n","type":"long","required":true}]%s}`

func dataDir(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }

func TestSecondProcessIsRefused(t *testing.T) {
	dir := dataDir(t)
	openNode(t, node.Options{Data: dir})
	_, err := node.Open(context.Background(), node.Options{Data: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("second open: %v", err)
	}
}

func TestScanJoinsLakeAndTail(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, ingest.OpUpsert, `{"id":1,"name":"a"}`, `{"id":2,"name":"b"}`, `{"id":3,"name":"c"}`)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	write(t, n, c, ingest.OpUpsert, `{"id":2,"name":"B"}`, `{"id":4,"name":"d"}`)
	write(t, n, c, ingest.OpDelete, `{"id":1}`)
	want := "[3 c 2 B 4 d]"
	if got := fmt.Sprint(scanRows(t, n, c, query.Scan{})); got != want {
		t.Errorf("lake and tail: %s, want %s", got, want)
	}
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(scanRows(t, n, c, query.Scan{})); got != want {
		t.Errorf("flushed: %s, want %s", got, want)
	}
	mustVerify(t, n)

	// As of earlier changes, from the log.
	for at, want := range []string{"[1 a]", "[1 a 2 b]", "[1 a 2 b 3 c]", "[1 a 2 B 3 c]", "[1 a 2 B 3 c 4 d]", want} {
		seq := schema.Seq(at)
		if got := fmt.Sprint(scanRows(t, n, c, query.Scan{AtSeq: &seq})); got != want {
			t.Errorf("at seq %d: %s, want %s", at, got, want)
		}
	}
	got := scanRows(t, n, c, query.Scan{Columns: []string{"_seq", "id"}, Where: "_seq >= 3", Limit: 1})
	if fmt.Sprint(got) != "[3 2]" {
		t.Errorf("system columns, predicate and limit: %v", got)
	}
}

func TestBackgroundFlush(t *testing.T) {
	for _, tc := range []struct {
		name, options string
		restart       bool // between the write and the flush
	}{
		{"by size", "", false},
		{"by age", `,"options":{"lake":"pinned","lake_freshness":"1s"}`, false},
		{"by age after a restart", `,"options":{"lake":"pinned","lake_freshness":"2s"}`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := node.Options{Data: dataDir(t)}
			if tc.name == "by size" {
				o.FlushBytes = 1
			}
			n := openNode(t, o)
			c := makeCollection(t, n, fmt.Sprintf(eventsDef, tc.options))
			write(t, n, c, "", `{"n":1}`, `{"n":2}`)
			if tc.restart {
				closeNode(t, n)
				n = openNode(t, o)
			}
			deadline := time.Now().Add(30 * time.Second)
			for {
				s, err := n.Engine.Describe(context.Background(), c)
				if err != nil {
					t.Fatal(err)
				}
				if s.Lake.NextSeq == 2 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("not flushed after 30 s: %+v", s.Lake)
				}
				time.Sleep(20 * time.Millisecond)
			}
			mustVerify(t, n)
		})
	}
}

func TestSmallIdleCollectionHasNoTable(t *testing.T) {
	dir := dataDir(t)
	n := openNode(t, node.Options{Data: dir})
	c := makeCollection(t, n, fmt.Sprintf(eventsDef, ""))
	write(t, n, c, "", `{"n":1}`)
	mustVerify(t, n)
	found, err := filepath.Glob(filepath.Join(dir, "lake", c.Tenant, "*"))
	if err != nil || len(found) > 0 {
		t.Errorf("lake holds %v (%v)", found, err)
	}
}

func TestDropAndCreateAgain(t *testing.T) {
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	write(t, n, c, "", `{"id":1,"name":"old"}`)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if err := n.Backend().Collections.Drop(context.Background(), c.Tenant, c.Name); err != nil {
		t.Fatal(err)
	}
	c = makeCollection(t, n, fmt.Sprintf(itemsDef, ""))
	if rows := scanRows(t, n, c, query.Scan{}); len(rows) != 0 {
		t.Errorf("new life shows %v", rows)
	}
	write(t, n, c, "", `{"id":2,"name":"new"}`)
	if _, err := n.Engine.Flush(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(scanRows(t, n, c, query.Scan{})); got != "[2 new]" {
		t.Errorf("new life shows %s", got)
	}
	mustVerify(t, n)
}

func removeAll(t testing.TB, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}
