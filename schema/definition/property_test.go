package definition_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
	"github.com/trinedb/trine/schema/internal/schematest"
)

// drawDefinition draws a definition of any types, with odd names.
func drawDefinition(t *rapid.T) definition.Definition {
	s := schematest.Schema(t, 4)
	c := &schema.Collection{Tenant: "acme", Name: "things", Schema: s, Options: schema.DefaultOptions()}
	if len(s.Key) > 0 {
		c.Indexes = []schema.IndexSpec{{Name: "by_it", Fields: []string{s.Fields[0].Name}, Unique: rapid.Bool().Draw(t, "unique")}}
	}
	c.Options.LakeFormat = rapid.IntRange(2, 3).Draw(t, "format")
	c.Options.Lake = rapid.SampledFrom([]schema.LakeMode{schema.LakeAuto, schema.LakeOff, schema.LakePinned}).Draw(t, "lake")
	drawLayout(t, c)
	return definition.FromCollection(c)
}

// drawLayout draws what a table may be partitioned and sorted by.
func drawLayout(t *rapid.T, c *schema.Collection) {
	decimal := false // a second one is refused
	for _, f := range c.Schema.Fields {
		x := schema.Transform{Kind: schema.TransformKind(rapid.IntRange(1, 7).Draw(t, "transform"))}
		if x.Sized() {
			x.Width = rapid.IntRange(1, 1000).Draw(t, "width")
		}
		second := decimal && x.Takes(f.Type) && x.Result(f.Type).Kind == schema.KindDecimal
		if x.Takes(f.Type) && !second && len(c.Options.LakePartition) < definition.MaxLayout {
			decimal = decimal || x.Result(f.Type).Kind == schema.KindDecimal
			c.Options.LakePartition = append(c.Options.LakePartition, schema.PartitionField{FieldID: f.ID, Transform: x})
		}
		if !f.Type.Nested() && f.Type.Kind != schema.KindJSON && len(c.Options.LakeSort) < definition.MaxLayout && rapid.Bool().Draw(t, "sorted") {
			c.Options.LakeSort = append(c.Options.LakeSort, schema.SortField{
				FieldID: f.ID, Desc: rapid.Bool().Draw(t, "desc"), NullsLast: rapid.Bool().Draw(t, "nulls last"),
			})
		}
	}
}

// A definition as YAML and as JSON parses back to itself, by us and by a YAML
// encoder.
func TestDefinitionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDefinition(t)
		want := encodeJSON(d)
		marshalled, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range [][]byte{d.YAML(), []byte(want), marshalled} {
			got, err := definition.ParseFile(form)
			if err != nil || len(got.Collections) != 1 {
				t.Fatalf("%v\n%s", err, form)
			}
			if encodeJSON(got.Collections[0]) != want {
				t.Fatalf("got %s\nwant %s\nfrom %s", encodeJSON(got.Collections[0]), want, form)
			}
		}
	})
}

// The canonical form is read back to the same, and only as it was written.
func TestSchemaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schematest.Schema(t, 4)
		data := definition.EncodeSchema(s)
		got, err := definition.DecodeSchema(data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if again := definition.EncodeSchema(got); !bytes.Equal(again, data) {
			t.Fatalf("got %s\nwant %s", again, data)
		}
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		bad := bytes.Clone(data)
		bad[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if s, err := definition.DecodeSchema(bad); err == nil && !bytes.Equal(definition.EncodeSchema(s), bad) {
			t.Fatalf("took %s", bad)
		} else if err != nil && !errors.Is(err, schema.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// Whatever a collection evolves to: a field that stays keeps its id, no id
// stands for two fields in turn, and the plan done again has nothing to do.
func TestEvolveKeepsIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := drawDefinition(t), drawDefinition(t)
		plan, err := definition.Evolve(nil, first)
		if err != nil {
			t.Fatal(err)
		}
		cur := &schema.Collection{Tenant: "acme", Name: "things", Schema: plan.Schema, Indexes: plan.Indexes, Options: plan.Options}
		if again, err := definition.Evolve(cur, first); err != nil || len(again.Steps) > 0 || again.Schema != cur.Schema {
			t.Fatal(again, err)
		}
		// The second has what the first has, shuffled, some dropped, some new.
		names := map[string]bool{}
		for _, f := range first.Fields {
			names[strings.ToLower(f.Name)] = true
		}
		mixed := first
		mixed.Fields = nil
		for _, f := range rapid.Permutation(first.Fields).Draw(t, "order") {
			if rapid.Bool().Draw(t, "keep") || contains(first.Key, f.Name) || len(mixed.Fields) == 0 {
				mixed.Fields = append(mixed.Fields, f)
			}
		}
		for _, f := range second.Fields {
			if f.Required = false; !names[strings.ToLower(f.Name)] && !contains(second.Key, f.Name) {
				mixed.Fields = append(mixed.Fields, f)
			}
		}
		if mixed.Validate() != nil {
			t.Skip("names clash")
		}
		next, err := definition.Evolve(cur, mixed)
		if err != nil {
			t.Fatal(err)
		}
		used := ids(cur.Schema.Fields, map[int]string{})
		for _, f := range next.Schema.Fields {
			i := cur.Schema.Index(f.Name)
			if i >= 0 && cur.Schema.Fields[i].ID != f.ID {
				t.Fatalf("%s had id %d and has %d", f.Name, cur.Schema.Fields[i].ID, f.ID)
			}
			if name, ok := used[f.ID]; ok && name != f.Name {
				t.Fatalf("id %d was %s's and is %s's", f.ID, name, f.Name)
			}
		}
		if _, err := definition.DecodeSchema(definition.EncodeSchema(next.Schema)); err != nil {
			t.Fatal(err)
		}
		after := *cur
		after.Schema, after.Indexes, after.Options = next.Schema, next.Indexes, next.Options
		if again, err := definition.Evolve(&after, mixed); err != nil || len(again.Steps) > 0 || again.Schema != after.Schema {
			t.Fatal(again, err)
		}
	})
}

func ids(fields []schema.Field, into map[int]string) map[int]string {
	for _, f := range fields {
		into[f.ID] = f.Name
		ids(f.Type.Fields, into)
	}
	return into
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func FuzzParseFile(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(data), "\n\n") {
			_, input, _ := strings.Cut(part, "\n")
			input, _, _ = strings.Cut(input, "\n----")
			f.Add([]byte(input))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := definition.ParseFile(data)
		if err != nil && !errors.Is(err, schema.ErrInvalid) && !errors.Is(err, schema.ErrTooLarge) {
			t.Fatal(err)
		}
		for _, d := range file.Collections {
			again, err := definition.ParseFile(d.YAML())
			if err != nil || encodeJSON(again.Collections[0]) != encodeJSON(d) {
				t.Fatalf("%v\n%s", err, d.YAML())
			}
		}
		for _, s := range file.Schemas {
			again, err := definition.ParseFile([]byte(encodeJSON(s)))
			if err != nil || encodeJSON(again.Schemas[0]) != encodeJSON(s) {
				t.Fatalf("%v\n%s", err, encodeJSON(s))
			}
		}
	})
}

func FuzzDecodeSchema(f *testing.F) {
	f.Add([]byte(`{"trine_schema":1,"last_id":2,"key":[1],"fields":[{"id":1,"name":"id","type":"int","required":true},{"id":2,"name":"v","type":"json"}]}`))
	f.Add([]byte(`{"trine_schema":1,"last_id":3,"fields":[{"id":1,"name":"m","type":"map","key":{"id":2,"type":"string","required":true},"value":{"id":3,"type":"fixed(4)"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := definition.DecodeSchema(data)
		if err == nil && !bytes.Equal(definition.EncodeSchema(s), data) {
			t.Fatalf("took %s", data)
		}
	})
}
