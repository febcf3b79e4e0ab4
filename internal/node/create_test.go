package node_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	stdsync "sync"
	"sync/atomic"
	"testing"

	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

func define(t testing.TB, name, fields string) definition.Definition {
	t.Helper()
	d, err := definition.ParseOne(fmt.Appendf(nil, `{"tenant":"acme","collection":%q,"key":["id"],"fields":[{"name":"id","type":"string","required":true}%s]}`, name, fields))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCreateThroughTakeOver creates, evolves and drops collections by many at
// once, while a second node takes the store over from the first. What was
// acknowledged is there after, and no instance was ever given out twice.
func TestCreateThroughTakeOver(t *testing.T) {
	const clients, each = 16, 60
	store := "file://" + t.TempDir()
	first, err := node.Open(t.Context(), node.Options{Data: dataDir(t), Store: store, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		// It has noticed only if it tried to write.
		if err := first.Close(context.Background()); err != nil && !errors.Is(err, schema.ErrFenced) {
			t.Errorf("close of the node that was taken over: %v", err)
		}
	}()
	var current atomic.Pointer[node.Node]
	current.Store(first)
	var mu stdsync.Mutex
	owners := map[schema.Instance]string{} // of all instances that were acknowledged
	var wg stdsync.WaitGroup
	half := make(chan struct{})
	var done atomic.Int64
	last := make([]map[string]*schema.Collection, clients) // nil: dropped; missing: unknown
	for w := range clients {
		names := map[string]*schema.Collection{}
		last[w] = names
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			for range each {
				if done.Add(1) == clients*each/2 {
					close(half)
				}
				name := fmt.Sprintf("w%02d_%d", w, random.IntN(8))
				n := current.Load()
				if random.IntN(3) == 0 {
					if _, err := n.Registry.Drop(t.Context(), "acme", name); err == nil {
						names[name] = nil
					} else {
						delete(names, name)
					}
					continue
				}
				_, c, err := n.Registry.Apply(t.Context(), define(t, name, []string{"", `,{"name":"x","type":"long"}`}[random.IntN(2)]), false)
				if err != nil {
					delete(names, name) // fenced, or nobody knows
					continue
				}
				names[name] = c
				mu.Lock()
				if was, known := owners[c.Instance]; known && was != name {
					t.Errorf("instance %d is of %s and of %s", c.Instance, was, name)
				}
				owners[c.Instance] = name
				mu.Unlock()
			}
		})
	}
	<-half
	second := openNode(t, node.Options{Data: dataDir(t), Store: store})
	current.Store(second)
	wg.Wait()
	checked := 0
	for _, names := range last {
		for name, want := range names {
			got, err := second.Registry.Get(t.Context(), "acme", name)
			switch {
			case want == nil && err == nil:
				t.Errorf("%s was dropped and is instance %d", name, got.Instance)
			case want != nil && (err != nil || got.Instance != want.Instance || got.Schema.ID != want.Schema.ID):
				t.Errorf("%s is %+v (%v), acknowledged was %+v", name, got, err, want)
			}
			checked++
		}
	}
	if checked < clients {
		t.Errorf("only %d names are known well enough to compare", checked)
	}
	mustVerify(t, second)
}

// BenchmarkCreate creates collections by 64 clients, in process, on a local
// disk. In the serial case one waits for the other, as if the definitions were
// under a lock: the others are to be compared with it.
func BenchmarkCreate(b *testing.B) {
	const clients = 64
	def := define(b, "any", "")
	for _, bc := range []struct {
		name   string
		serial bool
		each   int
	}{{"serial", true, 1}, {"shared", false, 1}, {"bulk100", false, 100}} {
		b.Run(bc.name, func(b *testing.B) {
			n := openNode(b, node.Options{Data: dataDir(b)})
			var lock stdsync.Mutex
			var next atomic.Int64
			var wg stdsync.WaitGroup
			b.ResetTimer()
			for range clients {
				wg.Go(func() {
					for {
						at := int(next.Add(int64(bc.each))) - bc.each
						if at >= b.N {
							return
						}
						var defs []definition.Definition
						for i := at; i < min(at+bc.each, b.N); i++ {
							def := def
							def.Collection = fmt.Sprintf("c%08d", i)
							defs = append(defs, def)
						}
						if bc.serial {
							lock.Lock()
						}
						_, err := n.Registry.ApplyAll(b.Context(), defs, false)
						if bc.serial {
							lock.Unlock()
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}
