package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	stdsync "sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/catalogtest"
	restcatalog "github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// engine is Iceberg's Go library attached to a node's catalog over HTTP.
func engine(t *testing.T, n *node.Node) *restcatalog.Catalog {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/iceberg/", http.StripPrefix("/iceberg", n.Iceberg()))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := restcatalog.NewCatalog(t.Context(), "trine", server.URL+"/iceberg")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// suiteVar has the test binary run Iceberg's suite of catalogs, and nothing else.
const suiteVar = "TRINE_TEST_CATALOG_SUITE"

// suiteFailures are the parts of the suite that Trine's catalog does not pass.
var suiteFailures = map[string]string{
	"BasicCreateTable":                  "a table has _seq and _time after the columns that it was created with",
	"BasicCreateTableThatAlreadyExists": "the same",
	"CreateNamespace":                   "a tenant is there while it has a collection, so that one without is not recorded",
	"CreateNamespaceThatAlreadyExists":  "the same",
	"DropNamespace":                     "the same",
	"ListNamespaces":                    "the same",
	"LoadNamespaceProperties":           "the same",
}

// The suite that Iceberg's Go library has for catalogs passes but for what is listed,
// and all that is listed does fail.
func TestCatalogSuite(t *testing.T) {
	if os.Getenv(suiteVar) != "" {
		catalogtest.RunCatalogTests(t, catalogtest.Config{NewCatalog: func(t *testing.T) catalog.Catalog {
			return engine(t, openNode(t, node.Options{Data: t.TempDir(), EngineDrops: true}))
		}})
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCatalogSuite$", "-test.v")
	cmd.Env = append(os.Environ(), suiteVar+"=1")
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	results := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^    --- (PASS|FAIL|SKIP): TestCatalogSuite/(\w+)`).FindAllSubmatch(out, -1) {
		results[string(m[2])] = string(m[1])
	}
	if len(results) < 15 {
		t.Fatalf("only %d parts of the suite ran:\n%s", len(results), out)
	}
	for name, result := range results {
		if why, listed := suiteFailures[name]; (result == "FAIL") != listed {
			t.Errorf("%s: %s, listed: %v (%s)\n%s", name, result, listed, why, partOf(out, name))
		}
	}
	for name := range suiteFailures {
		if results[name] == "" {
			t.Errorf("%s is listed and did not run", name)
		}
	}
}

func partOf(out []byte, name string) []byte {
	_, rest, _ := bytes.Cut(out, []byte("=== RUN   TestCatalogSuite/"+name))
	part, _, _ := bytes.Cut(rest, []byte("=== RUN"))
	return part
}

// TestEnginesBesideWriters has an engine append to one table and rewrite another,
// over HTTP, while rows are written, flushed and compacted. In the end each row is
// there once, and the stores agree.
func TestEnginesBesideWriters(t *testing.T) {
	random := seedtest.Rand(t)
	dir := dataDir(t)
	n := openNode(t, node.Options{Data: dir})
	items := makeCollection(t, n, `{"tenant":"acme","collection":"items","fields":[{"name":"id","type":"long","required":true},{"name":"n","type":"long"}],"key":["id"]}`)
	events := makeCollection(t, n, `{"tenant":"acme","collection":"events","fields":[{"name":"id","type":"long","required":true},{"name":"n","type":"long"}]}`)
	cat := engine(t, n)
	ctx := t.Context()
	model, written := map[int]int{}, map[int]bool{}
	done := make(chan struct{})
	var work stdsync.WaitGroup
	work.Go(func() { // the writer
		defer close(done)
		for i := range 60 {
			id := random.IntN(300)
			var lines []string
			for k := range 20 {
				model[id+k] = i
				lines = append(lines, fmt.Sprintf(`{"id":%d,"n":%d}`, id+k, i))
			}
			write(t, n, items, ingest.OpUpsert, lines...)
			if i%4 == 0 {
				write(t, n, items, ingest.OpDelete, fmt.Sprintf(`{"id":%d}`, id))
				delete(model, id)
			}
			write(t, n, events, ingest.OpInsert, fmt.Sprintf(`{"id":%d,"n":0}`, i))
			written[i] = true
			if i%3 == 0 {
				if _, err := n.Engine.Flush(ctx, items); err != nil {
					t.Error(err)
				}
			}
			if i%10 == 9 {
				if err := n.Engine.Compact(ctx, items, func(sync.Compaction) error { return nil }); err != nil && !errors.Is(err, schema.ErrConflict) {
					t.Error(err)
				}
			}
		}
	})
	appended, rewritten, overtaken := map[int]bool{}, 0, 0
	for i, alone := 0, 0; alone == 0 || alone < 50 && (rewritten == 0 || len(appended) == 0); i++ {
		select {
		case <-done:
			alone++ // but for the node's own upkeep
		default:
		}
		id := 1_000_000 + i
		switch err := appendOne(ctx, cat, id); {
		case err == nil:
			appended[id] = true
		case errors.Is(err, restcatalog.ErrCommitFailed):
			overtaken++
		default:
			t.Fatalf("append: %v", err)
		}
		switch err := rewriteAll(ctx, cat); {
		case err == nil:
			rewritten++
		case errors.Is(err, restcatalog.ErrCommitFailed):
			overtaken++
		default:
			t.Fatalf("rewrite: %v", err)
		}
	}
	work.Wait()
	check := func() {
		t.Helper()
		var want []string
		for id, v := range model {
			want = append(want, fmt.Sprintf("%d %d", id, v))
		}
		if got := scanRows(t, n, items, query.Scan{}); !slices.Equal(sortedText(got), sortedText(want)) {
			t.Errorf("items: %d rows, want %d", len(got), len(want))
		}
		want = nil
		for _, ids := range []map[int]bool{written, appended} {
			for id := range maps.Keys(ids) {
				want = append(want, fmt.Sprint(id))
			}
		}
		if got := scanRows(t, n, events, query.Scan{Columns: []string{"id"}}); !slices.Equal(sortedText(got), sortedText(want)) {
			t.Errorf("events: %d rows, want %d: %v", len(got), len(want), got)
		}
		at := schema.Seq(len(written) - 1)
		if got := scanRows(t, n, events, query.Scan{AtSeq: &at}); len(got) != len(written) {
			t.Errorf("events as of seq %d: %d rows, want %d", at, len(got), len(written))
		}
		if got := scanRows(t, n, events, query.Scan{Where: "_seq is null"}); len(got) != len(appended) {
			t.Errorf("%d rows without a seq, want %d", len(got), len(appended))
		}
		mustVerify(t, n)
	}
	check()
	t.Logf("%d appended, %d rewritten, %d overtaken", len(appended), rewritten, overtaken)
	if len(appended) == 0 || rewritten == 0 {
		t.Error("the engine never won")
	}
	closeNode(t, n)
	n = openNode(t, node.Options{Data: dir})
	check()
	closeNode(t, n)
	removeAll(t, filepath.Join(dir, "kvindex"))
	n = openNode(t, node.Options{Data: dir})
	check()
}

func sortedText(rows []string) []string {
	rows = slices.Clone(rows)
	slices.Sort(rows)
	return rows
}

func appendOne(ctx context.Context, cat *restcatalog.Catalog, id int) error {
	tbl, err := cat.LoadTable(ctx, table.Identifier{"acme", "events"})
	if err != nil {
		return err
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}, nil))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).Append(int64(id))
	b.Field(1).AppendNull()
	batch := b.NewRecordBatch()
	rows, err := array.NewRecordReader(batch.Schema(), []arrow.RecordBatch{batch})
	if err != nil {
		return err
	}
	tx := tbl.NewTransaction()
	if err := tx.Append(ctx, rows, nil); err != nil {
		return err
	}
	_, err = tx.Commit(ctx)
	return err
}

func rewriteAll(ctx context.Context, cat *restcatalog.Catalog) error {
	tbl, err := cat.LoadTable(ctx, table.Identifier{"acme", "items"})
	if err != nil {
		return err
	}
	tasks, err := tbl.Scan().PlanFiles(ctx)
	if err != nil || len(tasks) == 0 {
		return err
	}
	tx := tbl.NewTransaction()
	if _, err := tx.RewriteDataFiles(ctx, []table.CompactionTaskGroup{{Tasks: tasks}}, table.RewriteDataFilesOptions{}); err != nil {
		return err
	}
	_, err = tx.Commit(ctx)
	return err
}
