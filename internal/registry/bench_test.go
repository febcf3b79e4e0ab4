package registry_test

import (
	"testing"
)

// BenchmarkGet looks a collection up, from memory: with fields of its own, and of a
// named schema.
func BenchmarkGet(b *testing.B) {
	r, err := newRegistry(newMemStore())
	if err != nil {
		b.Fatal(err)
	}
	must(b, r, event(b, fieldKind))
	must(b, r, of(b, "acme/named", ""))
	must(b, r, file(b, "{tenant: acme, collection: own, fields: [{name: id, type: long}, {name: kind, type: string}]}"))
	for _, name := range []string{"own", "named"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Get(b.Context(), "acme", name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
