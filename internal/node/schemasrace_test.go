package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	stdsync "sync"
	"sync/atomic"
	"testing"

	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/internal/query"
)

// TestSchemaEvolvesUnderWriters evolves a schema while its collections are written,
// patched and flushed, and leave the schema and come back: a write that begins after
// an evolution was answered may have its field, no value is lost or turns up in
// another field, and the stores agree at the end.
func TestSchemaEvolvesUnderWriters(t *testing.T) {
	const versions, seed = 12, 7
	n := openNode(t, node.Options{Data: t.TempDir()})
	s := openSurface(t, n)
	doc := func(v int) string {
		out := "key: [id]\nfields:\n  - {name: id, type: long, required: true}\n"
		for i := 1; i <= v; i++ {
			out += fmt.Sprintf("  - {name: f%d, type: string}\n", i)
		}
		return out
	}
	s.do(201, "PUT", "/v1/schemas/event", doc(0))
	names := []string{"a", "b", "c"}
	s.do(200, "POST", "/v1/tenants/acme/collections", "schema: event\ncollections: [a, b, c]\nindexes: []\n")

	var version atomic.Int64 // that was answered
	done, wrote := make(chan struct{}), make(chan struct{})
	ended := func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	written := make([]map[int]int, len(names)) // by collection: the version that a row's fields are of
	var wg stdsync.WaitGroup
	for w, name := range names {
		written[w] = map[int]int{}
		rnd := rand.New(rand.NewPCG(seed, uint64(w)))
		wg.Go(func() {
			for id := 0; !ended(); id++ {
				v := int(version.Load())
				row := fmt.Sprintf(`{"id":%d`, id)
				for i := 1; i <= v; i++ {
					row += fmt.Sprintf(`,"f%d":"%d of %d"`, i, i, id)
				}
				ops := []string{row + "}"}
				if v > 0 && rnd.IntN(3) == 0 { // its newest field as a patch
					ops = []string{fmt.Sprintf(`{"id":%d}`, id), row + "}"}
				}
				for i, body := range ops {
					op := []string{"upsert", "patch"}[i]
					if err := s.try("POST", "/v1/tenants/acme/collections/"+name+"/records?op="+op, body); err != nil {
						t.Errorf("seed %d: %s %d of %s, version %d: %v", seed, op, id, name, v, err)
					}
				}
				written[w][id] = v
				select {
				case wrote <- struct{}{}:
				case <-done:
				}
			}
		})
	}
	wg.Go(func() { // flushes of all, as engines that load tables do
		for i := 0; !ended(); i++ {
			c, err := n.Registry.Get(context.Background(), "acme", names[i%len(names)])
			if err == nil {
				_, err = n.Engine.Flush(context.Background(), c)
			}
			if err != nil {
				t.Errorf("flush: %v", err)
			}
		}
	})
	for v := 1; v <= versions && !t.Failed(); v++ {
		for range 30 {
			<-wrote
		}
		s.do(200, "PUT", "/v1/schemas/event", doc(v))
		version.Store(int64(v))
		// One leaves with the fields of now, and comes back before the next.
		name := names[v%len(names)]
		s.do(200, "PUT", "/v1/tenants/acme/collections/"+name, doc(v))
		s.do(200, "PUT", "/v1/tenants/acme/collections/"+name, "schema: event")
	}
	close(done)
	wg.Wait()
	rows := 0
	for w, name := range names {
		c, err := n.Registry.Get(t.Context(), "acme", name)
		if err != nil || len(c.Schema.Fields) != versions+1 || c.SchemaName != "event" {
			t.Fatalf("%s is %+v, %v", name, c, err)
		}
		want := make([]string, 0, len(written[w]))
		for id, v := range written[w] {
			cells := []string{fmt.Sprint(id)}
			for i := 1; i <= versions; i++ {
				if i <= v {
					cells = append(cells, fmt.Sprintf("%d of %d", i, id))
				} else {
					cells = append(cells, "(null)")
				}
			}
			want = append(want, strings.Join(cells, " "))
		}
		got := sorted(scanRows(t, n, c, query.Scan{}))
		if want = sorted(want); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("seed %d: %s has %d rows, want %d", seed, name, len(got), len(want))
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("seed %d: %s\n got %s\nwant %s", seed, name, got[i], want[i])
					break
				}
			}
		}
		rows += len(got)
	}
	if rows < versions {
		t.Errorf("%d rows: the writers did not come to write", rows)
	}
	t.Logf("%d rows under %d versions", rows, versions)
	mustVerify(t, n)
}

// try sends a request from any goroutine.
func (s surface) try(method, path, body string) error {
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-ndjson")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code >= 300 {
		return fmt.Errorf("%d: %s", w.Code, w.Body)
	}
	return nil
}
