package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// file reads a collection file, in YAML.
func file(t testing.TB, text string) definition.File {
	t.Helper()
	f, err := definition.ParseFile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// event is the named schema with these fields beside its key.
func event(t testing.TB, fields ...string) definition.File {
	t.Helper()
	return file(t, "schema: event\nkey: [id]\nfields:\n  - {name: id, type: long, required: true}\n"+
		strings.Join(append(fields, ""), "\n"))
}

const (
	fieldKind = "  - {name: kind, type: string}"
	fieldNote = "  - {name: note, type: string}"
)

// of is a collection of the schema event; rest is more of its definition.
func of(t testing.TB, name, rest string) definition.File {
	t.Helper()
	tenant, coll, _ := strings.Cut(name, "/")
	return file(t, fmt.Sprintf("tenant: %s\ncollection: %s\nschema: event\n%s", tenant, coll, rest))
}

func must(t testing.TB, r *registry.Registry, f definition.File) ([]registry.AppliedSchema, []registry.Applied) {
	t.Helper()
	s, c, err := r.ApplyFile(context.Background(), f, false)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func fieldsOf(c *schema.Collection) string {
	var names []string
	for _, f := range c.Schema.Fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, " ")
}

// One schema evolves for collections of two tenants, with one write of one size;
// a registry opened later reads the same.
func TestNamedSchemaEvolves(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	made, _ := must(t, r, event(t, fieldKind))
	for _, name := range []string{"acme/a", "acme/b", "globex/a"} {
		must(t, r, of(t, name, ""))
	}
	a, err := r.Get(t.Context(), "acme", "a")
	if err != nil || a.SchemaName != "event" || a.Named != made[0].Schema.ID || fieldsOf(a) != "id kind" {
		t.Fatalf("%+v, %v", a, err)
	}
	appends, records := store.appends, store.records(schema.InstanceSchemas)+store.records(schema.InstanceCollections)
	evolved, _ := must(t, r, event(t, fieldKind, fieldNote))
	if got := store.records(schema.InstanceSchemas) + store.records(schema.InstanceCollections) - records; store.appends != appends+1 || got != 3 {
		t.Errorf("%d records in %d appends, want the row and the new schema's two in one", got, store.appends-appends)
	}
	for _, reg := range []*registry.Registry{r, open(t, store)} {
		for _, name := range []string{"acme/a", "acme/b", "globex/a"} {
			tenant, coll, _ := strings.Cut(name, "/")
			c, err := reg.Get(t.Context(), tenant, coll)
			if err != nil || fieldsOf(c) != "id kind note" || c.Schema.ID != evolved[0].Schema.Schema.ID {
				t.Errorf("%s is %+v, %v", name, c, err)
			}
			if by, err := reg.ByInstance(t.Context(), c.Instance); err != nil || fieldsOf(by) != "id kind note" {
				t.Errorf("%s by its instance is %+v, %v", name, by, err)
			}
		}
		page, err := reg.List(t.Context(), "acme", "", "", 10)
		if err != nil || len(page) != 2 || fieldsOf(page[0]) != "id kind note" {
			t.Errorf("list %v, %v", page, err)
		}
	}
	// Back to what it was: the content has its number already.
	records = store.records(schema.InstanceSchemas)
	back, _ := must(t, r, event(t, fieldKind, "  - {name: more, type: string, was: note}"))
	if _, _, err := r.ApplyFile(t.Context(), event(t, fieldKind, "  - {name: more, type: string}"), false); err != nil {
		t.Fatal(err)
	}
	if got := store.records(schema.InstanceSchemas) - records; got != 3 {
		t.Errorf("%d records for one evolution and none", got)
	}
	if f := back[0].Schema.Schema.Fields[2]; f.Name != "more" || f.ID != 3 {
		t.Errorf("renamed field is %+v", f)
	}
}

// A file has schemas and collections in any order, and all of it is true or none.
func TestApplyFile(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	text := "tenant: acme\ncollection: a\nschema: event\n---\nschema: event\nfields: [{name: id, type: long}]\n"
	s, c, err := r.ApplyFile(t.Context(), file(t, text), true)
	if err != nil || store.appends != 0 || len(s[0].Plan.Steps) != 1 || len(c[0].Plan.Steps) != 1 {
		t.Fatalf("dry run: %v %v, %d appends, %v", s, c, store.appends, err)
	}
	for name, bad := range map[string]string{
		"unknown schema":  text + "---\ntenant: acme\ncollection: b\nschema: evnt\n",
		"unknown field":   text + "---\ntenant: acme\ncollection: b\nschema: event\nindexes: [{name: x, fields: [no]}]\n",
		"index, no key":   text + "---\ntenant: acme\ncollection: b\nschema: event\nindexes: [{name: x, fields: [id]}]\n",
		"images, no key":  text + "---\ntenant: acme\ncollection: b\nschema: event\noptions: {before_images: true}\n",
		"lake of version": text + "---\ntenant: acme\ncollection: b\nschema: event\noptions: {lake_format: 4}\n",
	} {
		f, err := definition.ParseFile([]byte(bad))
		if err == nil {
			_, _, err = r.ApplyFile(t.Context(), f, false)
		}
		if !errors.Is(err, schema.ErrInvalid) || store.appends != 0 {
			t.Errorf("%s: %v, %d appends", name, err, store.appends)
		}
	}
	s, c, err = r.ApplyFile(t.Context(), file(t, text), false)
	if err != nil || store.appends != 1 || c[0].Collection.Named != s[0].Schema.ID || c[0].Collection.Schema.ID == 0 {
		t.Fatalf("%+v %+v, %d appends, %v", s[0].Schema, c[0].Collection, store.appends, err)
	}
	if _, c, err = r.ApplyFile(t.Context(), file(t, text), false); err != nil || store.appends != 1 || len(c[0].Plan.Steps) != 0 {
		t.Errorf("again: %v, %d appends, %v", c, store.appends, err)
	}
	wider := strings.Replace(text, "type: long}]", "type: long}, {name: x, type: int}]", 1)
	if _, c, err = r.ApplyFile(t.Context(), file(t, wider), false); err != nil || fieldsOf(c[0].Collection) != "id x" || c[0].Collection.Schema.ID == 0 {
		t.Errorf("the collection beside its schema is %+v, %v", c[0].Collection, err)
	}
}

// A field with an index on it stays until no collection has one.
func TestIndexedFieldOfNamedSchema(t *testing.T) {
	r := open(t, newMemStore())
	must(t, r, event(t, fieldKind, fieldNote))
	const indexed = "indexes: [{name: by_kind, fields: [kind, id]}, {name: by_kind2, fields: [kind]}]"
	must(t, r, of(t, "acme/a", indexed))
	must(t, r, of(t, "acme/b", indexed))
	must(t, r, of(t, "acme/c", ""))
	refused := func(want string) {
		t.Helper()
		_, _, err := r.ApplyFile(t.Context(), event(t, fieldNote), false)
		if !errors.Is(err, schema.ErrIncompatible) || !strings.Contains(err.Error(), want) {
			t.Fatalf("drop of an indexed field: %v", err)
		}
	}
	refused("field kind: dropped: secondary indexes of 2 collections are on it")
	// Renamed, the index is on it still, and a file names it as it is called now.
	must(t, r, event(t, "  - {name: sort, type: string, was: kind}", fieldNote))
	c, err := r.Get(t.Context(), "acme", "a")
	if err != nil || c.Indexes[0].Fields[0] != "sort" {
		t.Fatalf("index on %v, %v", c.Indexes, err)
	}
	_, out := must(t, r, of(t, "acme/a", strings.ReplaceAll(indexed, "fields: [kind", "fields: [sort")))
	if len(out[0].Plan.Steps) != 0 {
		t.Errorf("steps %v", out[0].Plan.Steps)
	}
	must(t, r, of(t, "acme/a", ""))
	if _, err := r.Drop(t.Context(), "acme", "b"); err != nil {
		t.Fatal(err)
	}
	must(t, r, event(t, fieldNote))
	// At once: the index goes and the field with it.
	must(t, r, of(t, "acme/a", "indexes: [{name: n, fields: [note]}]"))
	f := event(t)
	if _, _, err := r.ApplyFile(t.Context(), f, false); !errors.Is(err, schema.ErrIncompatible) {
		t.Fatalf("drop of an indexed field: %v", err)
	}
	f.Collections = of(t, "acme/a", "").Collections
	must(t, r, f)
}

// A schema is dropped once no collection has it, and its name is another's then.
func TestDropSchema(t *testing.T) {
	store := newMemStore()
	r := open(t, store)
	if err := r.DropSchema(t.Context(), "event"); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	first, _ := must(t, r, event(t))
	must(t, r, of(t, "acme/a", "indexes: [{name: x, fields: [id]}]"))
	must(t, r, of(t, "acme/b", ""))
	if err := r.DropSchema(t.Context(), "event"); !errors.Is(err, schema.ErrConflict) || !strings.Contains(err.Error(), "have it: 2") {
		t.Errorf("in use: %v", err)
	}
	if _, err := r.Drop(t.Context(), "acme", "a"); err != nil {
		t.Fatal(err)
	}
	apply(t, r, file(t, "{tenant: acme, collection: b, key: [id], fields: [{name: id, type: long, required: true}]}").Collections[0])
	if err := r.DropSchema(t.Context(), "event"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.NamedSchema(t.Context(), "event"); !errors.Is(err, schema.ErrNotFound) {
		t.Errorf("dropped: %v", err)
	}
	if _, _, err := r.ApplyFile(t.Context(), of(t, "acme/c", ""), false); !errors.Is(err, schema.ErrInvalid) {
		t.Errorf("collection of a schema that was dropped: %v", err)
	}
	for key := range store.durable.rows[schema.InstanceCollections] {
		if key[0] == 'u' {
			t.Errorf("a row of uses is left: %x", key)
		}
	}
	again, _ := must(t, r, event(t, fieldKind))
	if again[0].Schema.ID == first[0].Schema.ID {
		t.Errorf("number %d is given again", first[0].Schema.ID)
	}
	if b, err := r.Get(t.Context(), "acme", "b"); err != nil || fieldsOf(b) != "id" || b.Named != 0 {
		t.Errorf("b is %+v, %v", b, err)
	}
}

func TestListSchemas(t *testing.T) {
	r := open(t, newMemStore())
	for _, name := range []string{"click", "event", "event_b", "view"} {
		must(t, r, file(t, "{schema: "+name+", fields: [{name: id, type: long}]}"))
	}
	for _, tc := range []struct {
		prefix, after string
		limit         int
		want          string
	}{{"", "", 10, "click event event_b view"}, {"event", "", 10, "event event_b"}, {"", "event", 1, "event_b"}, {"x", "", 10, ""}, {"event", "click", 10, "event event_b"}} {
		page, err := r.NamedSchemas(t.Context(), tc.prefix, tc.after, tc.limit)
		var names []string
		for _, n := range page {
			names = append(names, n.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != tc.want {
			t.Errorf("%+v: got %q, %v", tc, got, err)
		}
	}
	for _, bad := range []string{"", "Event", "a b", "event;"} {
		if _, err := r.NamedSchema(t.Context(), bad); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := r.DropSchema(t.Context(), bad); !errors.Is(err, schema.ErrInvalid) {
			t.Errorf("drop %q: %v", bad, err)
		}
	}
}
