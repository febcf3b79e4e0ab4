package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

func newGet(a *app) *cobra.Command {
	var index string
	cmd := &cobra.Command{
		Use:   "get TENANT/COLLECTION KEY…",
		Short: "Read one record by its whole key, or records by an index",
		Long: `Get reads the record with a key, each part an argument. With --index the
arguments are the fields of a secondary index: one record if the index is
unique, else each that there is, a line each.`,
		Example: "  trine get acme/airports SEA\n  trine get acme/weather Seattle 2012-01-01\n  trine get acme/airports --index by_state WA Seattle",
		Args:    nArgs(2, 34),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			if index == "" {
				rec, err := c.Get(cmd.Context(), ref, args[1:]...)
				if err != nil {
					return err
				}
				return printLine(cmd.OutOrStdout(), rec)
			}
			out := newRecordWriter(cmd.OutOrStdout(), "ndjson")
			for rec, err := range c.GetBy(cmd.Context(), ref, index, args[1:]...) {
				if err == nil {
					err = out.write(rec)
				}
				if err != nil {
					return err
				}
			}
			return out.close()
		},
	}
	cmd.Flags().StringVar(&index, "index", "", "secondary index that the arguments are of")
	return cmd
}

func printLine(w io.Writer, rec json.RawMessage) error {
	_, err := w.Write(append(rec, '\n'))
	return err
}

func newRange(a *app) *cobra.Command {
	var o client.RangeOptions
	var format string
	cmd := &cobra.Command{
		Use:   "range TENANT/COLLECTION",
		Short: "Read records in order of the key, or of an index",
		Long: `Range reads keyed records in key order, or with --index in the order of a
secondary index. Keys are JSON arrays of leading parts. With --where it reads on
only while few rows are passed over; --allow-scan reads all that it takes.`,
		Example: `  trine range acme/weather --prefix '["Seattle"]' --limit 10
  trine range acme/airports --from '["S"]' --to '["T"]' --where "state = 'WA'" --reverse
  trine range acme/airports --index by_state --prefix '["WA"]'`,
		Args: nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := outputFormat(cmd, a, format, "table", "ndjson", "csv")
			if err != nil {
				return err
			}
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			out := newRecordWriter(cmd.OutOrStdout(), name)
			for rec, err := range c.Range(cmd.Context(), ref, o) {
				if err != nil {
					return err
				}
				if err := out.write(rec); err != nil {
					return err
				}
			}
			return out.close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Index, "index", "", "secondary index to read by")
	f.BoolVar(&o.AllowScan, "allow-scan", false, "read as many rows as --where needs")
	f.StringVar(&o.Prefix, "prefix", "", `keys that begin with these parts, as '["Seattle"]'`)
	f.StringVar(&o.From, "from", "", "first key, inclusive")
	f.StringVar(&o.To, "to", "", "last key, exclusive")
	f.BoolVar(&o.Reverse, "reverse", false, "highest key first")
	f.StringVar(&o.Where, "where", "", "SQL predicate")
	f.StringSliceVar(&o.Columns, "columns", nil, "columns, comma-separated; default all")
	f.Int64Var(&o.Limit, "limit", 0, "most records; 0: all")
	formatFlag(cmd, &format, "table, ndjson or csv")
	return cmd
}

func formatFlag(cmd *cobra.Command, format *string, choices string) {
	cmd.Flags().StringVar(format, "format", "", choices+"; default table on a terminal, else ndjson")
}

// outputFormat is what --format says, or what suits where the output goes.
func outputFormat(cmd *cobra.Command, a *app, format string, allowed ...string) (string, error) {
	switch {
	case format != "":
		return format, choice("format", format, allowed...)
	case isTerminal(cmd.OutOrStdout()) && !a.asJSON:
		return "table", nil
	default:
		return "ndjson", nil
	}
}
