package registry_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	stdsync "sync"
	"testing"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

func open(t *testing.T, store registry.Store) *registry.Registry {
	t.Helper()
	r, err := newRegistry(store)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newRegistry(store registry.Store) (*registry.Registry, error) {
	return registry.New(registry.Options{Store: store})
}

func define(t *testing.T, tenant, name, fields string) definition.Definition {
	t.Helper()
	d, err := definition.ParseOne(fmt.Appendf(nil,
		`{"tenant":%q,"collection":%q,"key":["id"],"fields":[{"name":"id","type":"string","required":true}%s]}`, tenant, name, fields))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func apply(t *testing.T, r *registry.Registry, d definition.Definition) *schema.Collection {
	t.Helper()
	_, c, err := r.Apply(t.Context(), d, false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSchemaIsShared(t *testing.T) {
	r := open(t, newMemStore())
	a := apply(t, r, define(t, "acme", "a", ""))
	b := apply(t, r, define(t, "acme", "b", ""))
	c := apply(t, r, define(t, "acme", "c", `,{"name":"x","type":"long"}`))
	if a.Schema.ID != b.Schema.ID {
		t.Errorf("schemas %d and %d for one content", a.Schema.ID, b.Schema.ID)
	}
	if a.Schema.ID == c.Schema.ID {
		t.Errorf("schema %d for two contents", c.Schema.ID)
	}
	if a.Instance == b.Instance || a.Instance < schema.FirstUserInstance {
		t.Errorf("instances %d and %d", a.Instance, b.Instance)
	}
}

func TestApplyTwiceWritesOnce(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	apply(t, r, define(t, "acme", "a", ""))
	plan, _, err := r.Apply(t.Context(), define(t, "acme", "a", ""), false)
	if err != nil || len(plan.Steps) != 0 || store.appends != 1 {
		t.Errorf("steps %v, %d appends, %v", plan.Steps, store.appends, err)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	if _, _, err := r.Apply(t.Context(), define(t, "acme", "a", ""), true); err != nil || store.appends != 0 {
		t.Errorf("%d appends, %v", store.appends, err)
	}
	if _, err := r.Get(t.Context(), "acme", "a"); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("collection after a dry run: %v", err)
	}
}

func TestFailedApplyIsNotSeen(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	apply(t, r, define(t, "acme", "a", ""))
	store.fail = schema.ErrUnavailable
	if _, _, err := r.Apply(t.Context(), define(t, "acme", "a", `,{"name":"x","type":"long"}`), false); !errors.Is(err, schema.ErrUnavailable) {
		t.Fatalf("apply: %v", err)
	}
	c, err := r.Get(t.Context(), "acme", "a")
	if err != nil || len(c.Schema.Fields) != 1 {
		t.Errorf("after a failed apply: %v, %v", c, err)
	}
}

func TestDropFreesTheName(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	first := apply(t, r, define(t, "acme", "a", ""))
	if _, err := r.Drop(t.Context(), "acme", "a"); err != nil {
		t.Fatal(err)
	}
	for _, reg := range []*registry.Registry{r, open(t, store)} {
		if _, err := reg.Get(t.Context(), "acme", "a"); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("get after drop: %v", err)
		}
		if _, err := reg.ByInstance(t.Context(), first.Instance); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("instance after drop: %v", err)
		}
	}
	if second := apply(t, r, define(t, "acme", "a", "")); second.Instance == first.Instance {
		t.Errorf("instance %d is used again", first.Instance)
	}
}

func TestReopen(t *testing.T) {
	store := newMemStore()
	want := apply(t, open(t, store), define(t, "acme", "a", `,{"name":"x","type":"long"}`))
	r := open(t, store)
	got, err := r.Get(t.Context(), "acme", "a")
	if err != nil {
		t.Fatal(err)
	}
	if got.Instance != want.Instance || got.Schema.ID != want.Schema.ID || len(got.Schema.Fields) != 2 || !got.Schema.Keyed() || !reflect.DeepEqual(got.Options, want.Options) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	byInst, err := r.ByInstance(t.Context(), want.Instance)
	if err != nil || byInst.String() != "acme/a" {
		t.Errorf("by instance: %v, %v", byInst, err)
	}
}

func TestListPages(t *testing.T) {
	r := open(t, newMemStore())
	for _, tenant := range []string{"acme", "acme2", "beta"} {
		for i := range 5 {
			apply(t, r, define(t, tenant, fmt.Sprintf("c%d", i), ""))
		}
	}
	var names []string
	for after := ""; ; {
		page, err := r.List(t.Context(), "acme", "c", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page {
			names = append(names, c.String())
			after = c.Name
		}
		if len(page) < 2 {
			break
		}
	}
	if want := []string{"acme/c0", "acme/c1", "acme/c2", "acme/c3", "acme/c4"}; !slices.Equal(names, want) {
		t.Errorf("list %v, want %v", names, want)
	}
	tenants, err := r.Tenants(t.Context(), "", 10)
	if err != nil || !slices.Equal(tenants, []string{"acme", "acme2", "beta"}) {
		t.Errorf("tenants %v, %v", tenants, err)
	}
	if after, err := r.Tenants(t.Context(), "acme", 1); err != nil || !slices.Equal(after, []string{"acme2"}) {
		t.Errorf("tenants after acme: %v, %v", after, err)
	}
}

func TestConcurrentApply(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	var wg stdsync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, _, err := r.Apply(t.Context(), define(t, "acme", fmt.Sprintf("c%d", i%2), ""), false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if store.records(schema.InstanceCollections) != 4 {
		t.Errorf("%d records for 2 collections", store.records(schema.InstanceCollections))
	}
}

// A table's format version rises with the definition, and never falls.
func TestLakeFormatRises(t *testing.T) {
	r := open(t, newMemStore())
	apply := func(format string) (*schema.Collection, error) {
		d, err := definition.ParseOne(fmt.Appendf(nil,
			`{"tenant":"acme","collection":"a","key":["id"],"fields":[{"name":"id","type":"string","required":true}]%s}`, format))
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := r.Apply(t.Context(), d, false)
		return c, err
	}
	for _, step := range []struct {
		options string
		format  int // 0: refused
	}{
		{"", 2}, {`,"options":{"lake_format":3}`, 3}, {`,"options":{"lake_format":2}`, 0}, {"", 0}, {`,"options":{"lake_format":3}`, 3},
	} {
		c, err := apply(step.options)
		if step.format == 0 {
			if err == nil || !strings.Contains(err.Error(), "state lake_format: 3") {
				t.Errorf("options %q: %v", step.options, err)
			}
		} else if err != nil || c.Options.LakeFormat != step.format {
			t.Errorf("options %q: %+v %v", step.options, c, err)
		}
	}
}

func TestIndexesAreNumbered(t *testing.T) {
	store := newMemStore()
	apply := func(r *registry.Registry, indexes string) *schema.Collection {
		t.Helper()
		d, err := definition.ParseOne(fmt.Appendf(nil, `{"tenant":"acme","collection":"a","key":["id"],"indexes":[%s],
			"fields":[{"name":"id","type":"string","required":true},{"name":"n","type":"int"}]}`, indexes))
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := r.Apply(t.Context(), d, false)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const byN, byID = `{"name":"by_n","fields":["n"],"unique":true}`, `{"name":"by_id","fields":["id","n"]}`
	apply(open(t, store), byN)
	apply(open(t, store), byID)
	want := schema.IndexSpec{Name: "by_n", Fields: []string{"n"}, Unique: true, ID: 3, FieldIDs: []int{2}}
	if c := apply(open(t, store), byID+","+byN); !reflect.DeepEqual(c.Indexes[1], want) || c.Indexes[0].ID != 2 {
		t.Errorf("an index made again: %+v, want %+v: a number is never given twice", c.Indexes, want)
	}
	c, err := open(t, store).Get(t.Context(), "acme", "a")
	if err != nil || !reflect.DeepEqual(c.Indexes[1], want) || c.LastIndexID != 3 {
		t.Errorf("read back: %+v %v", c, err)
	}
	for key, row := range store.durable.rows[schema.InstanceCollections] {
		inst, list, ok, err := registry.DefinedIndexes(schema.Record{Op: schema.OpUpsert, Key: []byte(key), Row: row})
		if err != nil || ok != (key[0] == 'n') || ok && (inst != c.Instance || !reflect.DeepEqual(list, c.Indexes)) {
			t.Errorf("record %q: %d %+v %t %v", key, inst, list, ok, err)
		}
	}
}
