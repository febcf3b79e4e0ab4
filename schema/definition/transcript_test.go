package definition_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts runs the files of testdata. Each is a list of steps: a
// command, its input up to ----, and the output that it had up to an empty
// line. Lines that begin with # between steps are remarks.
//
//	parse    reads a file; answers the definitions as YAML, or the errors
//	one      reads a request's body; answers it as JSON, or the errors
//	apply    evolves the collection from what apply made before
//	plan     answers as apply does, and changes nothing
//	schema   answers the canonical form
//	named    evolves a named schema; answers the plan, and its fields with their ids
//	reset    forgets the collection and the named schemas
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runTranscript(t, file) })
	}
}

func runTranscript(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s := &state{}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	for i := 0; i < len(lines); {
		command := lines[i]
		i++
		if command == "" || command[0] == '#' {
			out.WriteString(command + "\n")
			continue
		}
		var input, want strings.Builder
		for ; i < len(lines) && lines[i] != "----"; i++ {
			input.WriteString(lines[i] + "\n")
		}
		at := i + 1
		for i++; i < len(lines) && lines[i] != ""; i++ {
			want.WriteString(lines[i] + "\n")
		}
		got := s.run(command, input.String())
		fmt.Fprintf(&out, "%s\n%s----\n%s", command, input.String(), got)
		if got != want.String() && !*update {
			t.Errorf("%s:%d: %s\n%s\ngot:\n%s\nwant:\n%s", file, at, command, input.String(), got, want.String())
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// state is the collection that a transcript works on.
type state struct {
	cur *schema.Collection
	ids schema.SchemaID

	named map[string]*schema.NamedSchema
}

func (s *state) run(command, input string) string {
	switch command {
	case "parse":
		file, err := definition.ParseFile([]byte(input))
		if err != nil {
			return failure(err)
		}
		var docs []string
		for _, s := range file.Schemas {
			docs = append(docs, encodeJSON(s)+"\n")
		}
		for _, d := range file.Collections {
			docs = append(docs, string(d.YAML()))
		}
		return strings.Join(docs, "---\n")
	case "one":
		d, err := definition.ParseOne([]byte(input))
		if err != nil {
			return failure(err)
		}
		return encodeJSON(d) + "\n"
	case "apply", "plan":
		return s.apply(command, input)
	case "schema":
		return string(definition.EncodeSchema(s.cur.Schema)) + "\n"
	case "named":
		return s.evolveNamed(input)
	case "reset":
		s.cur, s.named = nil, nil
		return ""
	default:
		return "unknown command\n"
	}
}

func (s *state) apply(command, input string) string {
	d, err := definition.ParseOne([]byte(input))
	if err != nil {
		return failure(err)
	}
	if d.Tenant == "" && s.cur == nil {
		d.Tenant, d.Collection = "acme", "things"
	}
	var plan definition.Plan
	var next schema.Collection
	if n := s.named[d.Schema]; n != nil {
		next.Named, next.SchemaName = n.ID, n.Name
		plan, err = definition.EvolveNamed(s.cur, d, n)
	} else {
		plan, err = definition.Evolve(s.cur, d)
	}
	if err != nil {
		return failure(err)
	}
	if command == "apply" {
		if plan.Schema.ID == 0 {
			s.ids++
			plan.Schema.ID = s.ids
		}
		s.cur = &schema.Collection{Tenant: "acme", Name: "things", Schema: plan.Schema, Named: next.Named, SchemaName: next.SchemaName,
			Indexes: plan.Indexes, Options: plan.Options, Partitioned: plan.Partitioned, Created: time.Unix(0, 0)}
	}
	return plan.String() + describe(plan.Schema)
}

// evolveNamed evolves the schema that input names, and with it the collection
// if it is of that.
func (s *state) evolveNamed(input string) string {
	d, err := definition.ParseSchema([]byte(input))
	if err != nil {
		return failure(err)
	}
	cur := s.named[d.Name]
	plan, err := definition.EvolveSchema(cur, d)
	if err != nil {
		return failure(err)
	}
	if s.named == nil {
		s.named = make(map[string]*schema.NamedSchema)
	}
	next := &schema.NamedSchema{ID: schema.NamedSchemaID(len(s.named) + 1), Name: d.Name, Schema: plan.Schema}
	if cur != nil {
		next.ID = cur.ID
	}
	s.named[d.Name] = next
	if s.cur != nil && s.cur.Named == next.ID {
		moved := *s.cur
		moved.Schema = next.Schema
		moved.Indexes = nil // the registry has their fields by their ids
		for _, x := range s.cur.Indexes {
			x.Fields = nil
			for _, id := range x.FieldIDs {
				x.Fields = append(x.Fields, next.Schema.Fields[next.Schema.IndexID(id)].Name)
			}
			moved.Indexes = append(moved.Indexes, x)
		}
		s.cur = &moved
	}
	return plan.String() + describe(plan.Schema)
}

// describe is a schema's fields with their ids on a line.
func describe(s *schema.Schema) string {
	var fields func(fs []schema.Field) string
	fields = func(fs []schema.Field) string {
		var parts []string
		for _, f := range fs {
			part := fmt.Sprintf("%s=%d", f.Name, f.ID)
			if f.Type.Nested() {
				part += "{" + fields(f.Type.Fields) + "}"
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprintf("ids: %s, last %d\n", fields(s.Fields), s.LastFieldID)
}

func failure(err error) string {
	kind := "?"
	for _, k := range []error{schema.ErrInvalid, schema.ErrIncompatible, schema.ErrTooLarge} {
		if errors.Is(err, k) {
			kind = k.Error()
		}
	}
	return kind + "\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  ") + "\n"
}
