//go:build torture && linux

package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/client"
)

// mountDisk mounts a file system of its own with that many bytes. It needs the
// right to mount: the torture suite runs as root or in a user namespace.
func mountDisk(t *testing.T, dir string, bytes int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Fatalf("mount a small disk on %s: %v; run the torture suite as root", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

var diskRows = client.Ref{Tenant: "disk", Collection: "rows"}

func diskCollection(t *testing.T, c *client.Client) {
	t.Helper()
	def := `{"fields":[{"name":"id","type":"long","required":true},{"name":"pad","type":"binary"}],"key":["id"]}`
	if _, err := c.Apply(t.Context(), diskRows, []byte(def), false); err != nil {
		t.Fatal(err)
	}
}

// fillDisk writes rows that do not compress until a write is refused, and
// tells how many were acknowledged and what the refusal was.
func fillDisk(t *testing.T, c *client.Client, from int) (int, *client.Problem) {
	t.Helper()
	pad := make([]byte, 48<<10)
	for id := from; ; id++ {
		if id-from > 100_000 {
			t.Fatal("the disk is never full")
		}
		if _, err := unix.Getrandom(pad, 0); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf(`{"id":%d,"pad":"%s"}`, id, base64.StdEncoding.EncodeToString(pad))
		_, err := c.Write(t.Context(), diskRows, []byte(line), client.WriteOptions{})
		var p *client.Problem
		if errors.As(err, &p) {
			return id, p
		}
		if err != nil {
			t.Fatalf("write %d: %v", id, err)
		}
	}
}

func checkDisk(t *testing.T, c *client.Client, rows int) {
	t.Helper()
	n := 0
	for rec, err := range c.Range(t.Context(), diskRows, client.RangeOptions{Columns: []string{"id"}}) {
		if err != nil {
			t.Fatalf("range on a full disk: %v", err)
		}
		if want := fmt.Sprintf(`{"id":%d}`, n); string(rec) != want {
			t.Fatalf("record %d is %s", n, rec)
		}
		n++
	}
	if n < rows {
		t.Fatalf("%d rows, %d were acknowledged", n, rows)
	}
	if _, err := c.Get(t.Context(), diskRows, "0"); err != nil {
		t.Fatalf("get on a full disk: %v", err)
	}
}

func diskClient(t *testing.T, p *process) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: p.url, Retry: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDiskNearlyFull fills a real disk down to the watermark: writes are
// refused with a clear problem, reads go on, and writes go on once there is
// room again.
func TestDiskNearlyFull(t *testing.T) {
	disk := t.TempDir()
	mountDisk(t, disk, 640<<20)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 256<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	p := serveProcess(t, filepath.Join(disk, "data"), "--min-free-bytes", fmt.Sprint(64<<20))
	c := diskClient(t, p)
	diskCollection(t, c)
	acked, refusal := fillDisk(t, c, 0)
	t.Logf("refused after %d rows: %d %s: %s", acked, refusal.Status, refusal.Code, refusal.Detail)
	if refusal.Status != http.StatusInsufficientStorage || !strings.Contains(refusal.Detail, "full") {
		t.Errorf("refusal is %d %q", refusal.Status, refusal.Detail)
	}
	checkDisk(t, c, acked)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := c.Write(t.Context(), diskRows, fmt.Appendf(nil, `{"id":%d}`, acked), client.WriteOptions{}); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("write with room again: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if out, code := trine(t, "verify", "--data", filepath.Join(disk, "data")); code != exitOK {
		t.Fatalf("verify: %d\n%s", code, out)
	}
}

// TestLogDiskFull runs the log's own disk to the last byte: the write that
// finds it full is refused and leaves nothing behind.
func TestLogDiskFull(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	mountDisk(t, filepath.Join(data, "log"), 24<<20)
	p := serveProcess(t, data)
	c := diskClient(t, p)
	diskCollection(t, c)
	acked, refusal := fillDisk(t, c, 0)
	t.Logf("refused after %d rows: %d %s: %s", acked, refusal.Status, refusal.Code, refusal.Detail)
	if refusal.Status != http.StatusInsufficientStorage {
		t.Errorf("refusal is %d %q", refusal.Status, refusal.Detail)
	}
	checkDisk(t, c, acked)
	p.kill()
	p = serveProcess(t, data)
	c = diskClient(t, p)
	checkDisk(t, c, acked)
	if _, err := c.Get(t.Context(), diskRows, fmt.Sprint(acked)); !client.IsNotFound(err) {
		t.Errorf("the refused row: %v", err)
	}
	if out, code := trineAt(t, p.url, "verify"); code != exitOK {
		t.Fatalf("verify: %d\n%s", code, out)
	}
}

// trineAt is trine against a server.
func trineAt(t testing.TB, url string, args ...string) (stdout string, code int) {
	t.Helper()
	return trine(t, append(args, "--server", url)...)
}
