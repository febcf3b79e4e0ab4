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
)

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
			if asFile {
				return printDefinition(cmd.OutOrStdout(), col.Definition)
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(col)
			}
			printCollection(cmd.OutOrStdout(), col)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asFile, "file", false, "print the collection file that gives this collection")
	return cmd
}

// printDefinition prints the YAML that gives what a definition in JSON does.
func printDefinition(w io.Writer, definition []byte) error {
	text, err := yaml.JSONToYAML(definition)
	if err != nil {
		return fmt.Errorf("write definition: %w", err)
	}
	_, err = w.Write(text)
	return err
}

func printCollection(w io.Writer, col client.Collection) {
	kind := "append-only"
	if col.Keyed {
		kind = "keyed by " + strings.Join(col.Key, ", ")
	}
	fmt.Fprintf(w, "%s/%s: %s, %s rows, next seq %d, position %s\n",
		col.Tenant, col.Collection, kind, humanize.Comma(col.Rows), col.NextSeq, col.Position)
	if col.Schema.Name != "" {
		fmt.Fprintf(w, "of schema %s\n", col.Schema.Name)
	}
	if col.FirstSeq > 0 {
		fmt.Fprintf(w, "log begins at seq %d\n", col.FirstSeq)
	}
	fmt.Fprintln(w)
	printFields(w, col.Schema.Fields)
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

func printFields(w io.Writer, list []client.Field) {
	fields := newTable(w, "id", "field", "type", "required", "doc")
	for _, f := range list {
		fields.AppendRow(table.Row{f.ID, f.Name, f.Type, f.Required, f.Doc})
	}
	fields.Render()
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
