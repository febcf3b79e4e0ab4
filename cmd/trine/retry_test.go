package main

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trinedb/trine/client"
)

// TestRetryGetsTheSameAnswer sends a batch again with its idempotency key: at
// once, after a clean restart, and after a crash.
// The answer is the same to the byte, and nothing is written twice.
func TestRetryGetsTheSameAnswer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := serveProcess(t, dir)
	c, err := client.New(client.Options{Server: p.url})
	if err != nil {
		t.Fatal(err)
	}
	items := client.Ref{Tenant: "shop", Collection: "items"}
	def := `{"fields":[{"name":"id","type":"long","required":true}]}`
	if _, err := c.Apply(t.Context(), items, []byte(def), false); err != nil {
		t.Fatal(err)
	}
	first, replayed := writeWithKey(t, p.url)
	if replayed {
		t.Error("the first write is called a replay")
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"at once", func() {}},
		{"after a restart", func() {
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			p = serveProcess(t, dir)
		}},
		{"after a crash", func() { p.kill(); p = serveProcess(t, dir) }},
	} {
		step.do()
		again, replayed := writeWithKey(t, p.url)
		if !bytes.Equal(again, first) || !replayed {
			t.Errorf("%s: answer %s (replayed %v), first %s", step.name, again, replayed, first)
		}
	}
	if c, err = client.New(client.Options{Server: p.url}); err != nil {
		t.Fatal(err)
	}
	if col, err := c.Describe(t.Context(), items); err != nil || col.NextSeq != 2 {
		t.Errorf("next seq %d, want 2 (%v)", col.NextSeq, err)
	}
}

func writeWithKey(t *testing.T, url string) (body []byte, replayed bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		url+"/v1/tenants/shop/collections/items/records", strings.NewReader("{\"id\":1}\n{\"id\":2}\n"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", client.NDJSON)
	req.Header.Set("Idempotency-Key", "order-17")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("write: %s: %s, %v", resp.Status, body, err)
	}
	return body, resp.Header.Get("Trine-Replayed") == "true"
}
