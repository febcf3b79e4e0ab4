package registry_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trinedb/trine/schema"
)

// A named schema keeps the fields that tables of its collections are sorted by, and
// those that they are or were partitioned by as they are.
func TestLayoutsOfNamedSchema(t *testing.T) {
	r := open(t, newMemStore())
	fieldN := "  - {name: n, type: int}"
	must(t, r, event(t, fieldKind, fieldNote, fieldN))
	must(t, r, of(t, "acme/a", "options: {lake_partition: [\"bucket(4, kind)\", n, day(_time)], lake_sort: [note, _seq]}"))
	must(t, r, of(t, "acme/b", ""))
	refused := func(want string, fields ...string) {
		t.Helper()
		_, _, err := r.ApplyFile(t.Context(), event(t, fields...), false)
		if !errors.Is(err, schema.ErrIncompatible) || !strings.Contains(err.Error(), want) {
			t.Fatalf("want %q, got %v", want, err)
		}
	}
	refused("field note: dropped", fieldKind, fieldN)
	refused("field kind: dropped", fieldNote, fieldN)
	refused("field n: int to long: the tables of 1 collection", fieldKind, fieldNote, "  - {name: n, type: long}")
	must(t, r, event(t, "  - {name: sort, type: string, was: kind}", fieldNote, fieldN))
	// The order is given up, the partitions are part of the table for good.
	must(t, r, of(t, "acme/a", "options: {lake_partition: [\"bucket(4, sort)\"]}"))
	c, err := r.Get(t.Context(), "acme", "a")
	if err != nil || len(c.Partitioned) != 3 || len(c.Options.LakePartition) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	must(t, r, event(t, "  - {name: sort, type: string}", fieldN))
	refused("field n: dropped", "  - {name: sort, type: string}")
	refused("field n: int to long", "  - {name: sort, type: string}", "  - {name: n, type: long}")
	if _, err := r.Drop(t.Context(), "acme", "a"); err != nil {
		t.Fatal(err)
	}
	must(t, r, event(t, "  - {name: n, type: long}"))
}
