package registry_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	stdsync "sync"
	"testing"
	"testing/synctest"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Creations wait for durability together, not one after the other.
func TestCreationsShareAChunk(t *testing.T) {
	store := newMemStore()
	store.hold = true
	r := open(t, store)
	var wg stdsync.WaitGroup
	const n = 50
	made := make([]*schema.Collection, n)
	for i := range n {
		d := define(t, "acme", fmt.Sprintf("c%02d", i), "")
		wg.Go(func() {
			_, c, err := r.Apply(t.Context(), d, false)
			if err != nil {
				t.Error(err)
			}
			made[i] = c
		})
	}
	store.await(n) // each is sequenced though none is durable
	if _, err := r.Get(t.Context(), "acme", "c00"); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("before it is durable: %v", err)
	}
	store.land(n, nil, nil)
	wg.Wait()
	seen := map[schema.Instance]string{}
	for _, c := range made {
		if other, twice := seen[c.Instance]; twice {
			t.Errorf("%s and %s are both instance %d", c, other, c.Instance)
		}
		seen[c.Instance] = c.String()
		if c.Schema.ID != made[0].Schema.ID {
			t.Errorf("%s has schema %d, %s %d", c, c.Schema.ID, made[0], made[0].Schema.ID)
		}
	}
	page, err := r.List(t.Context(), "acme", "", "", n+1)
	if err != nil || len(page) != n {
		t.Errorf("list has %d, %v", len(page), err)
	}
	if got := store.records(schema.InstanceSchemas); got != 2 {
		t.Errorf("%d schema records for one schema", got)
	}
}

// Who loses a race gets what it would have got after the other: the collection
// as it is, an evolution of it, or a refusal.
func TestLosersGetTheSerialAnswer(t *testing.T) {
	for _, tc := range []struct {
		name, second string
		kind         definition.StepKind // of its one step; "": none
		err          error
	}{
		{"same", `{"name":"id","type":"string","required":true}`, "", nil},
		{"wider", `{"name":"id","type":"string","required":true},{"name":"x","type":"long"}`, definition.StepAdd, nil},
		{"other type", `{"name":"id","type":"long","required":true}`, "", schema.ErrIncompatible},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemStore()
				store.hold = true
				r := open(t, store)
				first := define(t, "acme", "a", "")
				second, err := definition.ParseOne(fmt.Appendf(nil, `{"tenant":"acme","collection":"a","key":["id"],"fields":[%s]}`, tc.second))
				if err != nil {
					t.Fatal(err)
				}
				var winner, loser registry.Applied
				var lost error
				var wg stdsync.WaitGroup
				wg.Go(func() {
					var err error
					if winner.Plan, winner.Collection, err = r.Apply(t.Context(), first, false); err != nil {
						t.Error(err)
					}
				})
				store.await(1)
				wg.Go(func() { loser.Plan, loser.Collection, lost = r.Apply(t.Context(), second, false) })
				synctest.Wait() // it is decided: sequenced, refused, or has nothing to write
				store.land(2, nil, nil)
				wg.Wait()
				if !errors.Is(lost, tc.err) {
					t.Fatalf("error %v, want %v", lost, tc.err)
				}
				if lost != nil {
					return
				}
				if loser.Collection.Instance != winner.Collection.Instance {
					t.Errorf("instances %d and %d", loser.Collection.Instance, winner.Collection.Instance)
				}
				if got := loser.Plan.Steps; tc.kind == "" && len(got) > 0 || tc.kind != "" && (len(got) != 1 || got[0].Kind != tc.kind) {
					t.Errorf("steps %v, want %q", got, tc.kind)
				}
				c, err := r.Get(t.Context(), "acme", "a")
				if err != nil || len(c.Schema.Fields) != len(second.Fields) || c.Schema.ID != loser.Collection.Schema.ID {
					t.Errorf("in force is %+v, %v", c, err)
				}
			})
		})
	}
}

// ApplyAll is atomic, shares schemas within itself, and refuses what is wrong
// by name.
func TestApplyAll(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	a, b := define(t, "acme", "a", ""), define(t, "acme", "b", "")
	c := define(t, "other", "c", `,{"name":"x","type":"long"}`)
	out, err := r.ApplyAll(t.Context(), []definition.Definition{a, b, c}, false)
	if err != nil || store.appends != 1 {
		t.Fatalf("%d appends, %v", store.appends, err)
	}
	if out[0].Collection.Schema.ID != out[1].Collection.Schema.ID || out[0].Collection.Schema.ID == out[2].Collection.Schema.ID {
		t.Errorf("schemas %d %d %d", out[0].Collection.Schema.ID, out[1].Collection.Schema.ID, out[2].Collection.Schema.ID)
	}
	for _, reg := range []*registry.Registry{r, open(t, store)} {
		for _, o := range out {
			got, err := reg.Get(t.Context(), o.Collection.Tenant, o.Collection.Name)
			if err != nil || got.Instance != o.Collection.Instance || got.Schema.ID != o.Collection.Schema.ID {
				t.Errorf("got %+v, %v, want %+v", got, err, o.Collection)
			}
			if by, err := reg.ByInstance(t.Context(), o.Collection.Instance); err != nil || by.String() != o.Collection.String() {
				t.Errorf("by instance: %v, %v", by, err)
			}
		}
	}
	if out, err = r.ApplyAll(t.Context(), []definition.Definition{a, b, c}, false); err != nil || store.appends != 1 || len(out[1].Plan.Steps) != 0 {
		t.Errorf("again: %v, %d appends, %v", out, store.appends, err)
	}
	bad, err := definition.ParseOne([]byte(`{"tenant":"acme","collection":"b","key":["id"],"fields":[{"name":"id","type":"long","required":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, defs := range map[string][]definition.Definition{
		"incompatible": {define(t, "acme", "d", ""), bad},
		"twice":        {define(t, "acme", "d", ""), define(t, "acme", "d", "")},
		"none":         {},
		"too many":     make([]definition.Definition, registry.MaxApply+1),
	} {
		if _, err := r.ApplyAll(t.Context(), defs, false); err == nil {
			t.Errorf("%s is taken", name)
		}
		if _, err := r.Get(t.Context(), "acme", "d"); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("%s left a part: %v", name, err)
		}
	}
}

// Random changes by many, with chunks that are lost, or land and are not known
// to: what every registry reads is what is durable, no instance and no schema
// number ever means two things, and one that is new means nothing old.
func TestSimulatedChanges(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { simulate(t, seed) })
	}
}

func simulate(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	store := newMemStore()
	store.hold = true
	r := open(t, store)
	names := []string{"a", "b", "c", "d"}
	shapes := []string{"", `,{"name":"x","type":"long"}`, `,{"name":"y","type":"string"}`}
	owner := map[schema.Instance]string{} // every one that was ever acknowledged
	for range 12 {
		synctest.Test(t, func(t *testing.T) {
			var mu stdsync.Mutex
			var wg stdsync.WaitGroup
			for range 1 + rnd.IntN(6) {
				name, shape, drop := names[rnd.IntN(len(names))], shapes[rnd.IntN(len(shapes))], rnd.IntN(4) == 0
				d := define(t, "acme", name, shape)
				wg.Go(func() {
					if drop {
						_, _ = r.Drop(t.Context(), "acme", name)
						return
					}
					_, c, err := r.Apply(t.Context(), d, false)
					if err != nil {
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if was, known := owner[c.Instance]; known && was != name {
						t.Errorf("seed %d: instance %d is of %s, was of %s", seed, c.Instance, name, was)
					}
					owner[c.Instance] = name
				})
			}
			synctest.Wait()
			for _, name := range names { // fills caches while changes are under way
				_, _ = r.Get(t.Context(), "acme", name)
			}
			store.mu.Lock()
			n := len(store.waiting)
			store.mu.Unlock()
			switch keep := rnd.IntN(n + 1); rnd.IntN(3) {
			case 0:
				store.land(n, nil, nil)
			case 1:
				store.land(keep, nil, schema.ErrUnavailable)
			default:
				store.land(keep, schema.ErrUnknownOutcome, schema.ErrUnknownOutcome)
			}
			wg.Wait()
		})
		agree(t, seed, r, open(t, store), names)
		if rnd.IntN(4) == 0 {
			r = open(t, store)
		}
	}
}

// agree compares a registry with one that has just been opened.
func agree(t *testing.T, seed uint64, used, fresh *registry.Registry, names []string) {
	t.Helper()
	for _, name := range names {
		got, gerr := used.Get(t.Context(), "acme", name)
		want, werr := fresh.Get(t.Context(), "acme", name)
		if errors.Is(gerr, schema.ErrNotFound) && errors.Is(werr, schema.ErrNotFound) {
			continue
		}
		if gerr != nil || werr != nil || got.Instance != want.Instance || got.Schema.ID != want.Schema.ID {
			t.Fatalf("seed %d: %s is %+v (%v), durable is %+v (%v)", seed, name, got, gerr, want, werr)
		}
		if len(got.Schema.Fields) != len(want.Schema.Fields) || got.Schema.Fields[len(got.Schema.Fields)-1].Name != want.Schema.Fields[len(want.Schema.Fields)-1].Name {
			t.Fatalf("seed %d: schema %d of %s is %+v, durable is %+v", seed, got.Schema.ID, name, got.Schema, want.Schema)
		}
		if by, err := used.ByInstance(t.Context(), got.Instance); err != nil || by.Name != name {
			t.Fatalf("seed %d: instance %d is %v (%v), want %s", seed, got.Instance, by, err, name)
		}
	}
}
