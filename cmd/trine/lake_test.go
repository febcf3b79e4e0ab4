package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trinedb/trine/client"
)

// TestLakeByHand lets a table grow, and looks after it by the commands.
func TestLakeByHand(t *testing.T) {
	data := t.TempDir()
	p := serveProcess(t, data, "--lake-upkeep=off", "--lake-snapshots=1", "--lake-file-grace=1ms")
	t.Setenv("TRINE_SERVER", p.url)
	applyItems(t, "")
	for n := range 6 {
		var lines strings.Builder
		for id := range 100 {
			fmt.Fprintf(&lines, "{\"id\":%d,\"n\":%d}\n", 50*n+id, n)
		}
		mustRun(t, lines.String(), "write", "shop/items")
		load(t, p.url)
	}
	before := tableStatus(t)
	if before.Files != 6 || before.Rows != 350 || before.DeletedRows != 250 || before.Rewrite != 6 {
		t.Errorf("before: %+v", before)
	}
	if out := mustRun(t, "", "lake", "compact", "shop/items"); !strings.Contains(out, "6 files of") || !strings.Contains(out, "350 rows") {
		t.Errorf("compact: %s", out)
	}
	if out := mustRun(t, "", "lake", "compact", "shop/items"); !strings.Contains(out, "nothing is worth merging") {
		t.Errorf("compact again: %s", out)
	}
	if out := mustRun(t, "", "lake", "expire", "shop/items"); !strings.Contains(out, "0 orphans") {
		t.Errorf("expire: %s", out)
	}
	mustRun(t, "", "lake", "expire", "shop/items")
	after := tableStatus(t)
	if after.Files != 1 || after.Rows != 350 || after.DeletedRows != 0 || after.Rewrite != 0 || after.Snapshots != 1 {
		t.Errorf("after: %+v", after)
	}
	if text := mustRun(t, "", "lake", "status", "shop/items"); !strings.Contains(text, "after the next commit") {
		t.Errorf("status: %s", text)
	}
	left, err := filepath.Glob(filepath.Join(data, "lake", "shop", "*", "data", "*.parquet"))
	if err != nil || len(left) != 1 {
		t.Errorf("data files left: %v (%v)", left, err)
	}
	mustRun(t, "", "verify")
}

// applyItems defines the collection, with more members of its definition.
func applyItems(t *testing.T, more string) {
	t.Helper()
	definition := filepath.Join(t.TempDir(), "items.json")
	err := os.WriteFile(definition, []byte(`{"tenant":"shop","collection":"items","key":["id"],
		"fields":[{"name":"id","type":"int","required":true},{"name":"n","type":"int"}]`+more+`}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "apply", "-f", definition)
}

// TestLakeFormatByHand converts a table by an apply, and has its data verified before
// and after a compaction.
func TestLakeFormatByHand(t *testing.T) {
	p := serveProcess(t, t.TempDir(), "--lake-upkeep=off")
	t.Setenv("TRINE_SERVER", p.url)
	applyItems(t, "")
	write := func(from, n int) {
		t.Helper()
		var lines strings.Builder
		for id := from; id < from+100; id++ {
			fmt.Fprintf(&lines, "{\"id\":%d,\"n\":%d}\n", id, n)
		}
		mustRun(t, lines.String(), "write", "shop/items")
		load(t, p.url)
	}
	for n := range 3 {
		write(50*n, n)
	}
	if s := tableStatus(t); s.FormatVersion != 2 || s.DeletedRows != 100 {
		t.Errorf("before: %+v", s)
	}
	applyItems(t, `,"options":{"lake_format":3}`)
	load(t, p.url)
	if s := tableStatus(t); s.FormatVersion != 3 || s.Files != 3 || s.DeletedRows != 100 {
		t.Errorf("converted: %+v", s)
	}
	mustRun(t, "", "verify")
	write(180, 3)
	write(30, 4)
	mustRun(t, "", "verify")
	mustRun(t, "", "lake", "compact", "shop/items")
	if s := tableStatus(t); s.Files != 1 || s.Rows != 280 || s.DeletedRows != 0 {
		t.Errorf("compacted: %+v", s)
	}
	if text := mustRun(t, "", "lake", "status", "shop/items"); !strings.Contains(text, "of Iceberg format 3") {
		t.Errorf("status: %s", text)
	}
	mustRun(t, "", "verify")
}

func tableStatus(t *testing.T) (s client.TableStatus) {
	t.Helper()
	if err := json.Unmarshal([]byte(mustRun(t, "", "lake", "status", "shop/items", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// load loads the table as an engine does, which flushes it.
func load(t *testing.T, url string) {
	t.Helper()
	res, err := http.Get(url + "/iceberg/v1/namespaces/shop/tables/items")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("load: %s", res.Status)
	}
}
