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
//	reset    forgets the collection
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
}

func (s *state) run(command, input string) string {
	switch command {
	case "parse":
		defs, err := definition.ParseFile([]byte(input))
		if err != nil {
			return failure(err)
		}
		var docs []string
		for _, d := range defs {
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
	case "reset":
		s.cur = nil
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
	plan, err := definition.Evolve(s.cur, d)
	if err != nil {
		return failure(err)
	}
	if command == "apply" {
		if plan.Schema.ID == 0 {
			s.ids++
			plan.Schema.ID = s.ids
		}
		s.cur = &schema.Collection{Tenant: "acme", Name: "things", Schema: plan.Schema,
			Indexes: plan.Indexes, Options: plan.Options, Created: time.Unix(0, 0)}
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
