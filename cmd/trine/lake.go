package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

func newLake(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lake",
		Short: "Look at and look after a collection's Iceberg table",
		Long: `Every commit leaves a few files: rows, the positions of rows that they
supersede, and a version of the table. The server looks after them by itself:

  compact   merges small data files, and rewrites those with many deleted rows
  expire    stops offering old snapshots, and removes files that nobody needs

A tag keeps a snapshot readable that is past its time.

Both go on while others write and read. These commands do the same at once, and
show what there is to do. How long old files stay is set by the server's settings
lake_snapshots, lake_snapshot_age, lake_file_grace and lake_orphan_grace, and
lake_upkeep=off leaves all of it to these commands (trine serve --help).`,
		Example: "  trine lake status acme/flights\n  trine lake compact acme/flights\n  trine lake expire acme/flights",
		Args:    nArgs(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLakeStatus(a), newLakeCompact(a), newLakeExpire(a), newLakeTag(a), newLakeTags(a))
	return cmd
}

func newLakeStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status TENANT/COLLECTION",
		Short: "Show a table's files, deleted rows and snapshots, and what upkeep would do",
		Long: `Status shows how many data files the table has and how large they are, which
share of their rows is deleted, how many snapshots can be read, what the table is
partitioned and sorted by, and what upkeep would do next.

A share of deleted rows near 20%, or some small files, are as they should be:
files are rewritten only when that is worth it.`,
		Example: "  trine lake status acme/flights\n  trine lake status acme/flights --json",
		Args:    nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			s, err := c.TableStatus(cmd.Context(), ref)
			if err != nil {
				return err
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
			}
			printTableStatus(cmd.OutOrStdout(), s)
			return nil
		},
	}
}

func printTableStatus(w io.Writer, s client.TableStatus) {
	share := 0.0
	if all := s.Rows + s.DeletedRows; all > 0 {
		share = 100 * float64(s.DeletedRows) / float64(all)
	}
	t := newTable(w, "table", s.Location)
	t.AppendRows([]table.Row{
		{"rows", humanize.Comma(s.Rows)},
		{"deleted, still in files", fmt.Sprintf("%s (%.0f%%)", humanize.Comma(s.DeletedRows), share)},
		{"data files", fmt.Sprintf("%d, of %s to %s", s.Files, bytesText(s.SmallestFile), bytesText(s.LargestFile))},
		{"size", bytesText(s.Bytes)},
		{"snapshots", fmt.Sprintf("%d, the oldest of %s", s.Snapshots, s.OldestSnapshot.Format(time.RFC3339))},
		{"current", fmt.Sprintf("snapshot %d, version %d, of Iceberg format %d", s.Snapshot, s.Version, s.FormatVersion)},
		{"partitioned by", partitionText(s)},
		{"sorted by", sortText(s)},
		{"compact would rewrite", fmt.Sprintf("%d data files", s.Rewrite)},
		{"upkeep looks", lookText(s.NextLook)},
	})
	t.Render()
}

func partitionText(s client.TableStatus) string {
	text := "nothing"
	if len(s.Partition) > 0 {
		text = fmt.Sprintf("%s; %d partitions", strings.Join(s.Partition, ", "), s.Partitions)
	}
	text += fmt.Sprintf(" (spec %d)", s.Spec)
	if s.OldSpecFiles > 0 {
		text += fmt.Sprintf("; %d data files by an older spec", s.OldSpecFiles)
	}
	return text
}

func sortText(s client.TableStatus) string {
	text := "key, or seq"
	if len(s.Sort) > 0 {
		text = strings.Join(s.Sort, ", ")
	}
	text += fmt.Sprintf(" (order %d)", s.SortOrder)
	if s.OtherOrderFiles > 0 {
		text += fmt.Sprintf("; %d data files in another order", s.OtherOrderFiles)
	}
	return text
}

func lookText(at *time.Time) string {
	if at == nil {
		return "after the next commit"
	}
	return "at " + at.Format(time.RFC3339)
}

func bytesText(n int64) string { return humanize.IBytes(uint64(n)) }

func newLakeCompact(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "compact TENANT/COLLECTION",
		Short: "Merge a table's small files, and rewrite those with many deleted rows",
		Long: `Compact rewrites data files until nothing is worth it: small ones, of less
than half of 128 MiB, once four go together, and those of which a fifth of the
rows or more is deleted. Rows are in the table's order, and keep _seq and _time. Writes and
reads go on; the old files are removed by expire, after a grace.

A line is printed for each exchange of files. It may be interrupted: what was
exchanged stays, the rest is left as it was.`,
		Example: "  trine lake compact acme/flights",
		Args:    nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			return printEach(a, cmd.OutOrStdout(), c.Compact(cmd.Context(), ref), ref.String()+": nothing is worth merging",
				func(d client.Compaction) string {
					return fmt.Sprintf("%s: %d files of %s are now %d of %s, %s rows in %.1f s", ref,
						d.FilesBefore, bytesText(d.BytesBefore), d.FilesAfter, bytesText(d.BytesAfter), humanize.Comma(d.Rows), d.Seconds)
				})
		},
	}
}

func newLakeExpire(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "expire TENANT/COLLECTION",
		Short: "Remove old snapshots, and files that nobody needs any more",
		Long: `Expire stops offering snapshots past the number and age that the server keeps,
and removes versions of the table and files that no reader can need: an engine may
go on with the version that it loaded for lake_file_grace, and scans that run keep
theirs. Files that a crash left behind go after lake_orphan_grace.

What is not past its time stays; the answer says when more can be removed.`,
		Example: "  trine lake expire acme/flights",
		Args:    nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			return printEach(a, cmd.OutOrStdout(), c.Expire(cmd.Context(), ref), "", func(e client.Expiry) string {
				line := fmt.Sprintf("%s: removed %d versions, %d files of %s, %d orphans", ref,
					e.Versions, e.Files, bytesText(e.Bytes), e.Orphans)
				if e.Next != nil {
					line += "; more can go at " + e.Next.Format(time.RFC3339)
				}
				return line
			})
		},
	}
}

// printEach prints a line for each report as it comes, or none if there was no
// report.
func printEach[T any](a *app, w io.Writer, all iter.Seq2[T, error], none string, text func(T) string) error {
	out, n := json.NewEncoder(w), 0
	for v, err := range all {
		if err != nil {
			return err
		}
		n++
		if a.asJSON {
			err = out.Encode(v)
		} else {
			_, err = fmt.Fprintln(w, text(v))
		}
		if err != nil {
			return err
		}
	}
	if n == 0 && none != "" && !a.asJSON {
		fmt.Fprintln(w, none)
	}
	return nil
}
