package arrowhttp_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// namedSchemas is the store as arrowhttp.NamedSchemas: it keeps the schemas, and
// says that one collection has each whose name begins with used.
type namedSchemas struct{ *store }

func (n namedSchemas) Find(_ context.Context, name string) (*schema.NamedSchema, uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := n.named[name]
	if found == nil {
		return nil, 0, fmt.Errorf("schema %s: %w", name, schema.ErrNotFound)
	}
	return found, uses(name), nil
}

func uses(name string) uint64 {
	if strings.HasPrefix(name, "used") {
		return 1
	}
	return 0
}

func (n namedSchemas) List(_ context.Context, prefix, after string, limit int) (out []*schema.NamedSchema, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range slices.SortedFunc(maps.Values(n.named), func(a, b *schema.NamedSchema) int { return cmp.Compare(a.Name, b.Name) }) {
		if strings.HasPrefix(s.Name, prefix) && s.Name > after && len(out) < limit {
			out = append(out, s)
		}
	}
	return out, nil
}

func (n namedSchemas) Apply(ctx context.Context, file definition.File, dryRun bool) (out []arrowhttp.AppliedSchema, _ []arrowhttp.Applied, err error) {
	collections, err := n.store.Apply(ctx, file.Collections, dryRun)
	if err != nil {
		return nil, nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, def := range file.Schemas {
		plan, err := definition.EvolveSchema(n.named[def.Name], def)
		if err != nil {
			return nil, nil, err
		}
		next := &schema.NamedSchema{ID: 1, Name: def.Name, Schema: plan.Schema}
		if !dryRun {
			n.named[def.Name] = next
		}
		out = append(out, arrowhttp.AppliedSchema{Plan: plan, Schema: next})
	}
	return out, collections, nil
}

func (n namedSchemas) Drop(_ context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.named[name] == nil:
		return schema.ErrNotFound
	case uses(name) > 0:
		return fmt.Errorf("drop schema %s: 1 collections have it: %w", name, schema.ErrConflict)
	}
	delete(n.named, name)
	return nil
}

func TestSchemas(t *testing.T) {
	r := newRig(t)
	yaml := []string{"Content-Type", "application/yaml"}
	const event = "/v1/schemas/event"
	doc := "fields: [{name: id, type: int, required: true}]\nkey: [id]\n"
	if got := r.text("PUT", event+"?dry_run=true", doc, yaml...); !strings.Contains(got, `"created":true,"steps":[{"kind":"create","field":"schema event","detail":"1 field, key id"}]`) {
		t.Errorf("dry run: %s", got)
	}
	if p := r.problem("GET", event, ""); p.Status != 404 {
		t.Errorf("after a dry run: %+v", p)
	}
	if res := r.do("PUT", event, doc, yaml...); res.StatusCode != 201 || res.Header.Get("Trine-Position") == "" {
		t.Errorf("create: %s", res.Status)
	}
	if got := r.text("PUT", event, "schema: event\n"+strings.Replace(doc, "int", "long", 1), yaml...); !strings.Contains(got, `"created":false,"steps":[{"kind":"widen"`) {
		t.Errorf("evolve: %s", got)
	}
	var got struct {
		Name        string
		Key         []string
		Collections *int
		Definition  json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.text("GET", event, "")), &got); err != nil || got.Name != "event" || len(got.Key) != 1 || got.Collections == nil {
		t.Fatalf("describe: %+v, %v", got, err)
	}
	if again := r.text("PUT", event, string(got.Definition), "Content-Type", "application/json"); !strings.Contains(again, `"steps":[]`) {
		t.Errorf("a description does not apply as it is: %s", again)
	}
	for _, tc := range []struct {
		name, method, path, body, code string
	}{
		{"incompatible", "PUT", event, "fields: [{name: id, type: string, required: true}]\nkey: [id]", "incompatible"},
		{"other key", "PUT", event, "fields: [{name: id, type: long, required: true}]", "incompatible"},
		{"other name", "PUT", event, "schema: evnt\n" + doc, "invalid"},
		{"bad name", "PUT", "/v1/schemas/Event", doc, "invalid"},
		{"a collection", "PUT", event, "tenant: acme\ncollection: x\n" + doc, "invalid"},
		{"no fields", "PUT", event, "key: [id]", "invalid"},
		{"two documents", "PUT", event, doc + "---\n" + doc, "invalid"},
		{"no document", "PUT", event, "#", "invalid"},
		{"not a mapping", "PUT", event, "[]", "invalid"},
		{"too large", "PUT", event, strings.Repeat(" ", arrowhttp.MaxDefinitionBytes+1), "too_large"},
		{"none", "GET", "/v1/schemas/none", "", "not_found"},
		{"bad name", "GET", "/v1/schemas/a%20b", "", "invalid"},
		{"drop none", "DELETE", "/v1/schemas/none", "", "not_found"},
		{"limit", "GET", "/v1/schemas?limit=0", "", "invalid"},
		{"no such method", "POST", event, "", "method_not_allowed"},
	} {
		if p := r.problem(tc.method, tc.path, tc.body, yaml...); p.Code != tc.code {
			t.Errorf("%s: %+v", tc.name, p)
		}
	}
	if res := r.do("DELETE", event, ""); res.StatusCode != 204 || res.Header.Get("Trine-Position") == "" {
		t.Errorf("drop: %s", res.Status)
	}
	if p := r.problem("GET", event, ""); p.Status != 404 {
		t.Errorf("dropped: %+v", p)
	}
	r.text("PUT", "/v1/schemas/used", doc, yaml...)
	if p := r.problem("DELETE", "/v1/schemas/used", ""); p.Status != 409 || p.Code != "conflict" || !strings.Contains(p.Detail, "1 collections have it") {
		t.Errorf("in use: %+v", p)
	}
}

func TestListSchemas(t *testing.T) {
	r := newRig(t)
	wantText(t, "none", r.text("GET", "/v1/schemas", ""), `{"schemas":[],"after":null}`)
	file := "tenant: acme\nfields: [{name: id, type: long}]\ncollections: [x1]\n"
	for i := range 5 {
		file += fmt.Sprintf("---\nschema: s%d\nfields: [{name: id, type: long}]\n", i)
	}
	if got := r.text("POST", "/v1/tenants/acme/collections", file, "Content-Type", "application/yaml"); !strings.Contains(got, `"schemas":[{"schema":"s0","created":true,"steps":[{"kind":"create"`) {
		t.Errorf("a file with schemas: %s", got)
	}
	var names []string
	for after, pages := "", 0; ; pages++ {
		var page struct {
			Schemas []struct{ Name string }
			After   *string
		}
		if err := json.Unmarshal([]byte(r.text("GET", "/v1/schemas?prefix=s&limit=2&after="+after, "")), &page); err != nil || pages > 3 {
			t.Fatal(pages, err)
		}
		for _, s := range page.Schemas {
			names = append(names, s.Name)
		}
		if page.After == nil {
			break
		}
		after = *page.After
	}
	if got := strings.Join(names, " "); got != "s0 s1 s2 s3 s4" {
		t.Errorf("got %s", got)
	}
}
