package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func newTrim(a *app) *cobra.Command {
	var before, keep uint64
	cmd := &cobra.Command{
		Use:   "trim TENANT/COLLECTION (--before-seq N | --keep N)",
		Short: "Forget older changes in the log",
		Long: `Trim forgets the changes of a collection's log below a seq, or all but the newest
N. Records keep: they are found by key, in scans and by SQL engines as before. What
the collection's table lacks is written to it first. Reading the log from a seq
that is forgotten is refused; '--tail', '--from-time' and '--clamp' take what
there is.

An append-only collection with 'lake: off' has its records in the log alone: those
below the seq are gone.

A collection file forgets by itself: see log_retention and log_retention_bytes.`,
		Example: "  trine trim acme/orders --before-seq 120000\n  trine trim acme/orders --keep 1000",
		Args:    nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("keep") {
				tail, err := c.Describe(cmd.Context(), ref)
				if err != nil {
					return err
				}
				before = tail.NextSeq - min(tail.NextSeq, keep)
			}
			done, err := c.Trim(cmd.Context(), ref, before)
			if err != nil {
				return err
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(done)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: log begins at seq %d, durable at position %s\n", ref, done.FirstSeq, done.Position)
			return err
		},
	}
	cmd.Flags().Uint64Var(&before, "before-seq", 0, "the first seq to keep")
	cmd.Flags().Uint64Var(&keep, "keep", 0, "how many of the newest changes to keep")
	cmd.MarkFlagsOneRequired("before-seq", "keep")
	cmd.MarkFlagsMutuallyExclusive("before-seq", "keep")
	return cmd
}
