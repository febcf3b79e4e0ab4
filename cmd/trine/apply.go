package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
	"github.com/trinedb/trine/schema/definition"
)

func newApply(a *app) *cobra.Command {
	var file string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create collections, or evolve them to what a file says",
		Long: `Apply makes each collection of a YAML or JSON file what the file says: it
creates it, or evolves its schema by Iceberg's rules. What is so already is
left alone. A change that would break readers is refused.

A file may hold any number of collections, or one schema for many of them. Each
thousand of a tenant is applied at once: all of them, or none if one is refused.

A document with schema and fields, and no collection, is a named schema, which
collections of any tenant have by saying schema: NAME instead of fields and key.
It evolves for all of them at once (see trine schemas --help).`,
		Example: "  trine apply -f collections.yaml --dry-run\n  trine apply -f collections.yaml",
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usage("apply: name the collection file with -f (- for standard input)")
			}
			return a.apply(cmd, file, dryRun)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "collection file, - for standard input")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "tell what would be done, and do nothing")
	return cmd
}

func (a *app) apply(cmd *cobra.Command, file string, dryRun bool) error {
	in, err := openInput(cmd, file)
	if err != nil {
		return err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	defs, err := definition.ParseFile(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	p := &applying{app: a, client: c, out: cmd.OutOrStdout(), dryRun: dryRun, schemas: map[string]*fileSchema{}}
	return p.file(cmd.Context(), defs)
}

// applying is an apply under way.
type applying struct {
	app     *app
	client  *client.Client
	out     io.Writer
	dryRun  bool
	schemas map[string]*fileSchema
}

// fileSchema is a named schema of the file.
type fileSchema struct {
	text json.RawMessage
	used bool // by a collection of the file
	told bool
}

// file applies a file. Schemas go with the collections that have them, so that
// both come to what the file says or neither, and each collection is planned with
// what its schema will be; and by themselves if the file has no such collection.
func (p *applying) file(ctx context.Context, f definition.File) error {
	for _, s := range f.Schemas {
		text, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode %s: %w", s, err)
		}
		p.schemas[s.Name] = &fileSchema{text: text}
	}
	for _, d := range f.Collections {
		if s := p.schemas[d.Schema]; s != nil {
			s.used = true
		}
	}
	for _, s := range f.Schemas {
		if p.schemas[s.Name].used {
			continue
		}
		done, err := p.client.ApplySchema(ctx, s.Name, p.schemas[s.Name].text, p.dryRun)
		if err != nil {
			return fmt.Errorf("apply %s: %w", s, err)
		}
		if err := p.app.printApplied(p.out, s.String(), done); err != nil {
			return err
		}
	}
	for defs := f.Collections; len(defs) > 0; {
		n, err := p.part(ctx, defs)
		if err != nil {
			return err
		}
		defs = defs[n:]
	}
	return nil
}

// part applies the first of defs that can be applied together, and tells how many
// those are.
func (p *applying) part(ctx context.Context, defs []definition.Definition) (int, error) {
	var names []string
	var schemas, texts []json.RawMessage
	with := map[string]bool{}
	size := 100 // what is around them
	for i, d := range defs {
		text, err := json.Marshal(d)
		if err != nil {
			return 0, fmt.Errorf("encode %s: %w", d, err)
		}
		size += len(text) + 1
		s := p.schemas[d.Schema]
		if s != nil && !with[d.Schema] {
			size += len(s.text) + 1
		}
		if i == client.MaxApply || i > 0 && (d.Tenant != defs[0].Tenant || size > client.MaxApplyBytes) {
			break
		}
		if s != nil && !with[d.Schema] {
			with[d.Schema] = true
			names, schemas = append(names, d.Schema), append(schemas, s.text)
		}
		texts = append(texts, text)
	}
	defs = defs[:len(texts)]
	named, done, err := p.client.ApplyFile(ctx, defs[0].Tenant, schemas, texts, p.dryRun)
	if err != nil {
		return 0, fmt.Errorf("apply %s: %w", span(defs), err)
	}
	for i, name := range names {
		if s := p.schemas[name]; !s.told {
			s.told = true
			if err := p.app.printApplied(p.out, definition.Schema{Name: name}.String(), named[i]); err != nil {
				return 0, err
			}
		}
	}
	for i, d := range defs {
		if err := p.app.printApplied(p.out, d.String(), done[i]); err != nil {
			return 0, err
		}
	}
	return len(defs), nil
}

// span names collections that are applied together.
func span(defs []definition.Definition) string {
	if len(defs) == 1 {
		return defs[0].String()
	}
	return fmt.Sprintf("%s to %s, %d collections of which none was changed", defs[0], defs[len(defs)-1], len(defs))
}

func (a *app) printApplied(w io.Writer, name string, done client.Applied) error {
	if a.asJSON {
		return json.NewEncoder(w).Encode(struct {
			Name string `json:"name"`
			client.Applied
		}{name, done})
	}
	if len(done.Steps) == 0 {
		fmt.Fprintf(w, "%s: as it is\n", name)
	}
	for _, s := range done.Steps {
		what := s.Kind + " " + s.Field
		if s.Field == name { // a collection's creation
			what = s.Kind
		}
		fmt.Fprintln(w, strings.TrimSpace(fmt.Sprintf("%s: %s %s", name, what, s.Detail)))
	}
	return nil
}
