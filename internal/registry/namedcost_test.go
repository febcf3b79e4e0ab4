package registry_test

import (
	"fmt"
	"testing"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema/definition"
)

// What an evolution writes does not depend on how many collections have the schema.
func TestEvolutionIsOneSize(t *testing.T) {
	type cost struct{ appends, records, bytes int }
	costs := map[int]cost{}
	for _, n := range []int{10, 100_000} {
		store := newMemStore()
		r := open(t, store)
		made, _ := must(t, r, event(t))
		for i := 0; i < n; i += registry.MaxApply {
			var f definition.File
			for j := i; j < min(n, i+registry.MaxApply); j++ {
				f.Collections = append(f.Collections, definition.Definition{Tenant: "acme", Collection: fmt.Sprintf("c%06d", j), Schema: "event"})
			}
			must(t, r, f)
		}
		before := store.written
		appends := store.appends
		must(t, r, event(t, fieldKind))
		costs[n] = cost{store.appends - appends, store.written.records - before.records, store.written.bytes - before.bytes}
		for _, i := range []int{0, n / 2, n - 1} {
			if c, err := r.Get(t.Context(), "acme", fmt.Sprintf("c%06d", i)); err != nil || fieldsOf(c) != "id kind" {
				t.Errorf("of %d, %d is %v, %v", n, i, c, err)
			}
		}
		if uses, err := r.Uses(t.Context(), made[0].Schema.ID); err != nil || uses != uint64(n) {
			t.Errorf("%d uses of %d, %v", uses, n, err)
		}
	}
	if costs[10] != costs[100_000] || costs[10].appends != 1 {
		t.Errorf("an evolution costs %+v with 10 collections, %+v with 100,000", costs[10], costs[100_000])
	}
	t.Logf("an evolution writes %+v", costs[10])
}

// A collection of a named schema is as many bytes in log and index as one with
// fields of its own; a batch of them counts itself in one record more.
func TestNamedCollectionIsAsSmall(t *testing.T) {
	sizes := map[string]int{}
	for _, shape := range []string{"schema: event\n", "key: [id]\nfields: [{name: id, type: long, required: true}]\n"} {
		store := newMemStore()
		r := open(t, store)
		must(t, r, event(t))
		must(t, r, file(t, "tenant: acme\ncollections: [first]\n"+shape)) // its schema is there now
		text := "tenant: acme\n" + shape + "collections:\n"
		for i := range registry.MaxApply {
			text += fmt.Sprintf("  - c%04d\n", i)
		}
		before := store.written
		must(t, r, file(t, text))
		records, bytes := store.written.records-before.records, store.written.bytes-before.bytes
		if shape[0] == 's' {
			records, bytes = records-1, bytes-7 // 'u', the number, the count
		}
		if records != 2*registry.MaxApply {
			t.Errorf("%d records for %d collections", records, registry.MaxApply)
		}
		sizes[shape] = bytes
	}
	for shape, n := range sizes {
		for _, m := range sizes {
			if n != m {
				t.Errorf("%q: %v", shape, sizes)
			}
		}
	}
}
