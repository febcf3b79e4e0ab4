package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"
	"github.com/jedib0t/go-pretty/v6/table"
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
thousand of a tenant is applied at once: all of them, or none if one is refused.`,
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
	for len(defs) > 0 {
		part, texts, err := applyPart(defs)
		if err != nil {
			return err
		}
		done, err := c.ApplyMany(cmd.Context(), part[0].Tenant, texts, dryRun)
		if err != nil {
			return fmt.Errorf("apply %s: %w", span(part), err)
		}
		for i, d := range part {
			if err := a.printApplied(cmd.OutOrStdout(), d.String(), done[i]); err != nil {
				return err
			}
		}
		defs = defs[len(part):]
	}
	return nil
}

// applyPart is the first of defs that can be applied together, and their texts.
func applyPart(defs []definition.Definition) (part []definition.Definition, texts []json.RawMessage, err error) {
	size := 100 // what is around them
	for i, d := range defs {
		text, err := json.Marshal(d)
		if err != nil {
			return nil, nil, fmt.Errorf("encode %s: %w", d, err)
		}
		size += len(text) + 1
		if i == client.MaxApply || i > 0 && (d.Tenant != defs[0].Tenant || size > client.MaxApplyBytes) {
			return defs[:i], texts, nil
		}
		texts = append(texts, text)
	}
	return defs, texts, nil
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

func newLs(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "ls TENANT[/PREFIX]",
		Short:   "List a tenant's collections",
		Example: "  trine ls acme\n  trine ls acme/air",
		Args:    nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			tenant, prefix, _ := strings.Cut(args[0], "/")
			out := json.NewEncoder(cmd.OutOrStdout())
			for col, err := range c.List(cmd.Context(), tenant, prefix) {
				if err != nil {
					return fmt.Errorf("list %s: %w", args[0], err)
				}
				if a.asJSON {
					err = out.Encode(col)
				} else {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s/%s\n", col.Tenant, col.Collection)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newDescribe(a *app) *cobra.Command {
	var asFile bool
	cmd := &cobra.Command{
		Use:   "describe TENANT/COLLECTION",
		Short: "Show a collection's schema, counts and how far each store is",
		Args:  nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			col, err := c.Describe(cmd.Context(), ref)
			if err != nil {
				return err
			}
			switch {
			case asFile:
				text, err := yaml.JSONToYAML(col.Definition)
				if err != nil {
					return fmt.Errorf("write definition: %w", err)
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			case a.asJSON:
				return json.NewEncoder(cmd.OutOrStdout()).Encode(col)
			}
			printCollection(cmd.OutOrStdout(), col)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asFile, "file", false, "print the collection file that gives this collection")
	return cmd
}

func printCollection(w io.Writer, col client.Collection) {
	kind := "append-only"
	if col.Keyed {
		kind = "keyed by " + strings.Join(col.Key, ", ")
	}
	fmt.Fprintf(w, "%s/%s: %s, %s rows, next seq %d, position %s\n",
		col.Tenant, col.Collection, kind, humanize.Comma(col.Rows), col.NextSeq, col.Position)
	if col.FirstSeq > 0 {
		fmt.Fprintf(w, "log begins at seq %d\n", col.FirstSeq)
	}
	fmt.Fprintln(w)
	fields := newTable(w, "id", "field", "type", "required", "doc")
	for _, f := range col.Schema.Fields {
		fields.AppendRow(table.Row{f.ID, f.Name, f.Type, f.Required, f.Doc})
	}
	fields.Render()
	fmt.Fprintln(w)
	stores := newTable(w, "store", "has changes below", "lacks", "oldest of them", "bytes")
	for _, s := range []struct {
		name string
		client.StoreStatus
	}{{"log", col.Log}, {"index", col.Index}, {"lake", col.Lake.StoreStatus}} {
		stores.AppendRow(table.Row{s.name, s.NextSeq, s.LagChanges, fmt.Sprintf("%d ms", s.LagMS), humanize.IBytes(uint64(s.Bytes))})
	}
	stores.Render()
	printIndexes(w, col)
	if col.Lake.Location != "" {
		fmt.Fprintf(w, "\nIceberg table %s, snapshot %d, %d data files\n", col.Lake.Location, col.Lake.Snapshot, col.Lake.Files)
	}
}

func printIndexes(w io.Writer, col client.Collection) {
	if len(col.Indexes) == 0 {
		return
	}
	fmt.Fprintln(w)
	indexes := newTable(w, "index", "fields", "unique", "state")
	for _, x := range col.Indexes {
		state := x.State
		switch {
		case x.State == "building":
			state = fmt.Sprintf("building: %s of %s rows", humanize.Comma(x.RowsDone), humanize.Comma(x.Rows))
		case x.Reason != "":
			state += ": " + x.Reason
		}
		indexes.AppendRow(table.Row{x.Name, strings.Join(x.Fields, ", "), x.Unique, state})
	}
	indexes.Render()
}

func newTable(w io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(header)
	return t
}

func newDrop(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "drop TENANT/COLLECTION",
		Short: "Remove a collection and all its records",
		Args:  nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			if err := c.Drop(cmd.Context(), ref); err != nil {
				return err
			}
			if !a.asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is dropped\n", ref)
			}
			return nil
		},
	}
}
