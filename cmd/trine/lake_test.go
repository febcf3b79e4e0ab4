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
	definition := filepath.Join(t.TempDir(), "items.json")
	err := os.WriteFile(definition, []byte(`{"tenant":"shop","collection":"items","key":["id"],
		"fields":[{"name":"id","type":"int","required":true},{"name":"n","type":"int"}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, "", "apply", "-f", definition)
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

// mustRun runs a command that must succeed, and gives what it prints.
func mustRun(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := command(args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("trine %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
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
