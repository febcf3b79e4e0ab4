package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/trinedb/trine/client"
	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// TestVerifyEndsWithOne adds a row to a table behind the log's back: verify
// names it and ends with 1, with the server up and with it stopped.
func TestVerifyEndsWithOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := serveProcess(t, dir)
	c, err := client.New(client.Options{Server: p.url})
	if err != nil {
		t.Fatal(err)
	}
	items := client.Ref{Tenant: "shop", Collection: "items"}
	def := `{"key":["id"],"fields":[{"name":"id","type":"long","required":true}],"options":{"lake":"pinned","lake_freshness":"1s"}}`
	if _, err := c.Apply(t.Context(), items, []byte(def), false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(t.Context(), items, []byte(`{"id":1}`), client.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if out, code := trine(t, "verify", "--data", dir); code != exitOK {
		t.Fatalf("verify before: %d\n%s", code, out)
	}
	addRow(t, dir, items, 9)
	if out, code := trine(t, "verify", "--data", dir); code != exitFailed || !strings.Contains(out, "key [9]: want absent") {
		t.Errorf("verify of the stopped server: %d\n%s", code, out)
	}
	p = serveProcess(t, dir)
	if out, code := trine(t, "verify", "--server", p.url); code != exitFailed || !strings.Contains(out, "key [9]: want absent") {
		t.Errorf("verify of the live server: %d\n%s", code, out)
	}
}

// addRow commits a row to a collection's table, which it makes if need be.
func addRow(t *testing.T, dir string, ref client.Ref, id int64) {
	t.Helper()
	n, err := node.Open(t.Context(), node.Options{Data: dir, MustExist: true, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.Registry.Get(t.Context(), ref.Tenant, ref.Collection)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Engine.Flush(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "lake")
	objects, err := blob.OpenDir(root, blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	lake, err := lakehouse.Open(lakehouse.Options{Objects: objects, BaseURI: "file://" + root})
	if err != nil {
		t.Fatal(err)
	}
	base, err := lake.Current(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	row := lakehouse.Row{Values: []schema.Value{schema.Int(id)}, Seq: 0}
	_, _, err = lake.Commit(t.Context(), lakehouse.Commit{
		Collection: c, Base: base, NextSeq: base.NextSeq(), Position: base.Position(),
		Rows: func(yield func(lakehouse.Row, error) bool) { yield(row, nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
}
