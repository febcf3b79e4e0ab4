package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLayoutByHand changes what a table is partitioned and sorted by, and follows it
// by the commands.
func TestLayoutByHand(t *testing.T) {
	p := serveProcess(t, t.TempDir(), "--lake-upkeep=off")
	t.Setenv("TRINE_SERVER", p.url)
	definition := filepath.Join(t.TempDir(), "items.yaml")
	apply := func(options string) string {
		t.Helper()
		file := "tenant: shop\ncollection: items\nkey: [id]\nfields:\n" +
			"  - {name: id, type: int, required: true}\n  - {name: day, type: date}\n  - {name: who, type: string}\n" + options
		if err := os.WriteFile(definition, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		return mustRun(t, "", "apply", "-f", definition)
	}
	apply("options: {lake_partition: [month(day)], lake_sort: [who]}\n")
	mustRun(t, `{"id":1,"day":"2026-10-31","who":"b"}
		{"id":2,"day":"2026-11-01","who":"a"}
		{"id":3,"day":"2026-11-30"}`, "write", "shop/items")
	load(t, p.url)
	if s := tableStatus(t); s.Files != 2 || s.Partitions != 2 || strings.Join(s.Partition, ";") != "month(day)" || strings.Join(s.Sort, ";") != "who" {
		t.Errorf("partitioned by month: %+v", s)
	}
	plan := apply("options: {lake_partition: [bucket(2, id), who], lake_sort: [{field: day, desc: true}]}\n")
	for _, want := range []string{"lake_partition [month(day)] to [bucket(2, id), who]", "lake_sort [who] to [day desc]"} {
		if !strings.Contains(plan, want) {
			t.Errorf("plan lacks %q: %s", want, plan)
		}
	}
	load(t, p.url)
	if s := tableStatus(t); s.OldSpecFiles != 2 || s.Rewrite != 2 || s.Rows != 3 || s.Spec != 1 || s.OtherOrderFiles != 2 {
		t.Errorf("the new spec, no file of it yet: %+v", s)
	}
	mustRun(t, "", "lake", "compact", "shop/items")
	if s := tableStatus(t); s.OldSpecFiles != 0 || s.Partitions != 3 || s.Rows != 3 || s.OtherOrderFiles != 0 {
		t.Errorf("brought over: %+v", s)
	}
	if text := mustRun(t, "", "lake", "status", "shop/items"); !strings.Contains(text, "bucket(2, id), who; 3 partitions (spec 1)") || !strings.Contains(text, "day desc (order 2)") {
		t.Errorf("status: %s", text)
	}
	if out := mustRun(t, "", "scan", "shop/items", "--where", "who = 'a'", "--format", "csv"); !strings.Contains(out, "2026-11-01") {
		t.Errorf("scan: %s", out)
	}
	cmd := command("apply", "-f", definition)
	if err := os.WriteFile(definition, []byte("tenant: shop\ncollection: items\nkey: [id]\nfields:\n  - {name: id, type: int, required: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "is or was partitioned by this field") {
		t.Errorf("a partition field is dropped: %v %s", err, out)
	}
	mustRun(t, "", "verify")
}
