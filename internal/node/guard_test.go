package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	stdsync "sync"
	"testing"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

const guardedDef = `{"tenant":"acme","collection":"c","fields":[{"name":"k","type":"int","required":true}],"key":["k"]}`

func guardedWrite(n *node.Node, c *schema.Collection, change func(*ingest.Request), lines ...string) (ingest.Result, error) {
	r := ingest.Request{
		Tenant: c.Tenant, Collection: c.Name, Format: "application/x-ndjson", Body: strings.NewReader(strings.Join(lines, "\n")),
	}
	change(&r)
	return n.Writer.Write(context.Background(), r)
}

// TestGuardsSurvive sets a token and writes as a producer, and finds both after
// a restart, and after the index was lost.
func TestGuardsSurvive(t *testing.T) {
	data := t.TempDir()
	n := openNode(t, node.Options{Data: data})
	c := makeCollection(t, n, guardedDef)
	if _, err := n.Writer.Fence(t.Context(), ingest.FenceRequest{Tenant: c.Tenant, Collection: c.Name, Token: "a"}); err != nil {
		t.Fatal(err)
	}
	as := func(token string, seq uint64) func(*ingest.Request) {
		return func(r *ingest.Request) { r.Fence, r.Producer, r.ProducerSeq = token, "p", seq }
	}
	first, err := guardedWrite(n, c, as("a", 5), `{"k":1}`, `{"k":2}`)
	if err != nil || first.FirstSeq != 0 || first.Count != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	for i, lose := range []string{"", "", "kvindex"} {
		closeNode(t, n)
		if lose != "" {
			if err := os.RemoveAll(filepath.Join(data, lose)); err != nil {
				t.Fatal(err)
			}
		}
		n = openNode(t, node.Options{Data: data})
		if _, err := guardedWrite(n, c, as("b", 99), `{"k":9}`); !errors.Is(err, schema.ErrPrecondition) {
			t.Errorf("%d: %v", i, err)
		}
		if res, err := guardedWrite(n, c, as("a", uint64(5+i)), `{"k":9}`); err != nil || !res.Replayed || res.Position.Compare(first.Position) < 0 {
			t.Errorf("%d: %+v, %v", i, res, err)
		}
		if res, err := guardedWrite(n, c, as("a", uint64(6+i)), `{"k":3}`); err != nil || res.FirstSeq != schema.Seq(2+i) || res.Count != 1 {
			t.Errorf("%d: %+v, %v", i, res, err)
		}
		mustVerify(t, n)
	}
	if _, err := n.Registry.Drop(t.Context(), c.Tenant, c.Name); err != nil {
		t.Fatal(err)
	}
	c = makeCollection(t, n, guardedDef)
	if res, err := guardedWrite(n, c, as("", 1), `{"k":1}`); err != nil || res.Replayed || res.FirstSeq != 0 {
		t.Errorf("made again: %+v, %v", res, err)
	}
}

// TestFencedWriterStops has writers take a collection from each other while
// they write: after a fence nothing of its predecessor follows.
func TestFencedWriterStops(t *testing.T) {
	n := openNode(t, node.Options{Data: t.TempDir()})
	c := makeCollection(t, n, guardedDef)
	const writers = 8
	var wg stdsync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			token := fmt.Sprint("t", i)
			if _, err := n.Writer.Fence(context.Background(), ingest.FenceRequest{Tenant: c.Tenant, Collection: c.Name, Token: token}); err != nil {
				t.Error(err)
				return
			}
			for range 20 {
				_, err := guardedWrite(n, c, func(r *ingest.Request) { r.Fence = token }, fmt.Sprintf(`{"k":%d}`, i))
				if errors.Is(err, schema.ErrPrecondition) {
					return
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// Writers do not come back once another has written.
	s, err := n.Engine.Describe(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var order []int64
	for change, err := range n.Engine.Changes(t.Context(), c, sync.ChangesRequest{To: s.NextSeq}) {
		if err != nil {
			t.Fatal(err)
		}
		if k := int64(change.Record.Key[len(change.Record.Key)-1]); len(order) == 0 || order[len(order)-1] != k {
			order = append(order, k)
		}
	}
	seen := map[int64]bool{}
	for _, k := range order {
		if seen[k] {
			t.Fatalf("writer %d wrote after another had: %v", k, order)
		}
		seen[k] = true
	}
}

// TestProducerWritesOnce sends each number from several goroutines at once.
func TestProducerWritesOnce(t *testing.T) {
	n := openNode(t, node.Options{Data: t.TempDir()})
	c := makeCollection(t, n, guardedDef)
	var wg stdsync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for seq := range uint64(25) {
				_, err := guardedWrite(n, c, func(r *ingest.Request) { r.Producer, r.ProducerSeq = "p", seq }, fmt.Sprintf(`{"k":%d}`, seq))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := n.Engine.Describe(t.Context(), c)
	if err != nil || s.NextSeq != 25 || s.Rows != 25 {
		t.Errorf("%+v, %v", s, err)
	}
	mustVerify(t, n)
}
