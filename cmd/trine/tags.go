package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

func newLakeTags(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "tags TENANT/COLLECTION",
		Short:   "List a table's tags",
		Example: "  trine lake tags acme/flights",
		Args:    nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			tags, err := c.Tags(cmd.Context(), ref)
			if err != nil {
				return err
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(tags)
			}
			t := newTable(cmd.OutOrStdout(), "tag", "snapshot", "changes below", "of")
			for _, tag := range tags {
				t.AppendRow(table.Row{tag.Name, tag.Snapshot, tag.NextSeq, tag.Time.Format(time.RFC3339)})
			}
			t.Render()
			return nil
		},
	}
}

func newLakeTag(a *app) *cobra.Command {
	var o client.TagOptions
	var atSeq uint64
	var remove bool
	cmd := &cobra.Command{
		Use:   "tag TENANT/COLLECTION NAME",
		Short: "Name a snapshot of a table, so that it stays readable",
		Long: `Tag gives a snapshot a name: the newest, brought up to date, or one by its id,
or the one that ends with the change --at-seq. While the tag is there, the snapshot
and its files stay, however old they are:

  trine scan acme/flights --snapshot NAME
  select * from acme.flights version as of 'NAME'      (Spark)

A tag by that name is moved. With --remove it goes, and the snapshot when it is
past the number and age that the server keeps.`,
		Example: "  trine lake tag acme/flights q3-2026\n  trine lake tag acme/flights q3-2026 --remove",
		Args:    nArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("at-seq") {
				o.AtSeq = &atSeq
			}
			if remove && (o.AtSeq != nil || o.Snapshot != 0) || o.AtSeq != nil && o.Snapshot != 0 {
				return usage("give one of --snapshot, --at-seq and --remove")
			}
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			if remove {
				return c.RemoveTag(cmd.Context(), ref, args[1])
			}
			tag, err := c.SetTag(cmd.Context(), ref, args[1], o)
			if err != nil {
				return err
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(tag)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s is snapshot %d, with the changes below seq %d\n", ref, tag.Name, tag.Snapshot, tag.NextSeq)
			return err
		},
	}
	f := cmd.Flags()
	f.Int64Var(&o.Snapshot, "snapshot", 0, "the snapshot's id")
	f.Uint64Var(&atSeq, "at-seq", 0, "the last change that the snapshot holds")
	f.BoolVar(&remove, "remove", false, "remove the tag")
	return cmd
}
