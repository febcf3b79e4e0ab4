package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

func newSchemas(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schemas",
		Short: "Look at and remove schemas that collections share by name",
		Long: `A named schema has the fields and the key of any number of collections, of any
tenant. It is a document of its own in a collection file:

  schema: event
  fields:
    - {name: id, type: long, required: true}
    - {name: kind, type: string}
  key: [id]

A collection has it by saying its name instead of fields and key:

  tenant: acme
  collection: clicks
  schema: event

When trine apply evolves the schema, all its collections have the new fields from
then on, at the cost of one small write, however many they are.`,
		Example: "  trine schemas ls\n  trine schemas describe event --file\n  trine schemas drop event",
		Args:    nArgs(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSchemasLs(a), newSchemasDescribe(a), newSchemasDrop(a))
	return cmd
}

func newSchemasLs(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "ls [PREFIX]",
		Short:   "List named schemas",
		Example: "  trine schemas ls\n  trine schemas ls ev",
		Args:    nArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			out := json.NewEncoder(cmd.OutOrStdout())
			for n, err := range c.Schemas(cmd.Context(), strings.Join(args, "")) {
				if err != nil {
					return fmt.Errorf("list schemas: %w", err)
				}
				if a.asJSON {
					err = out.Encode(n)
				} else {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), n.Name)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newSchemasDescribe(a *app) *cobra.Command {
	var asFile bool
	cmd := &cobra.Command{
		Use:   "describe NAME",
		Short: "Show a named schema, and how many collections have it",
		Args:  nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			n, err := c.DescribeSchema(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asFile {
				return printDefinition(cmd.OutOrStdout(), n.Definition)
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(n)
			}
			printSchema(cmd.OutOrStdout(), n)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asFile, "file", false, "print the document that gives this schema")
	return cmd
}

func printSchema(w io.Writer, n client.NamedSchema) {
	kind := "append-only"
	if len(n.Key) > 0 {
		kind = "keyed by " + strings.Join(n.Key, ", ")
	}
	fmt.Fprintf(w, "schema %s: %s, of %s collections, changed %s\n\n", n.Name, kind, humanize.Comma(int64(n.Collections)), n.Changed)
	printFields(w, n.Fields)
}

func newSchemasDrop(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "drop NAME",
		Short: "Remove a named schema that no collection has",
		Args:  nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.DropSchema(cmd.Context(), args[0]); err != nil {
				return err
			}
			if !a.asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "schema %s is dropped\n", args[0])
			}
			return nil
		},
	}
}
