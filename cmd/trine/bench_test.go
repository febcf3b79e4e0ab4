package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/trinedb/trine/bench"
)

// An interrupt ends a workload with what it has measured, and with its data
// directory removed.
func TestBenchInterrupt(t *testing.T) {
	folder := t.TempDir()
	cmd := command("bench", "log", "--folder", folder, "--duration", "1h", "--senders", "2", "--json")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The floor's file begins anew with each of its turns. It was seen to shrink
	// twice: the turn that warmed up is over, and so is the one that counts.
	for shrunk, size := 0, int64(0); shrunk < 2; time.Sleep(5 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(folder, "*", "floor"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			continue
		}
		if info, err := os.Stat(files[0]); err == nil {
			if info.Size() < size {
				shrunk++
			}
			size = info.Size()
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("%s is left behind", left[0].Name())
	}
	if err != nil {
		t.Fatal(err, errs.String())
	}
	var report struct {
		Interrupted bool               `json:"interrupted"`
		Counts      map[string]float64 `json:"counts"`
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err, out.String())
	}
	if !report.Interrupted || report.Counts["records"] == 0 {
		t.Errorf("%+v", report)
	}
}

// A small fleet is looked at in a server of its own, killed, and dropped.
func TestBenchFleet(t *testing.T) {
	folder := t.TempDir()
	out, code := spawn(t, "bench", "fleet", "--n", "200", "--tenants", "7", "--workers", "20",
		"--idle", "10ms", "--drop", "--folder", folder, "--json")
	if code != 0 {
		t.Fatalf("ended with %d: %s", code, out)
	}
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("%s is left behind", left[0].Name())
	}
	var report struct {
		Counts map[string]float64 `json:"counts"`
		Fleet  []bench.FleetPoint `json:"fleet"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err, out)
	}
	if len(report.Fleet) != 1 || report.Counts["dropped"] != 200 {
		t.Fatalf("%+v", report)
	}
	p := report.Fleet[0]
	if p.Collections != 200 || p.LogBytes == 0 || p.IndexBytes == 0 || p.AgedLogBytes == 0 || p.AgedIndexBytes == 0 || p.AgedAnonymous == 0 || p.AgedStartMS == 0 || p.Resident == 0 || p.Goroutines == 0 ||
		p.OpenFiles == 0 || p.StartMS == 0 || p.KilledMS == 0 || p.Describe.P50 == 0 || p.Get.P99 == 0 || p.List.P50 == 0 {
		t.Errorf("%+v", p)
	}
}
