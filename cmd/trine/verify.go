package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/sync"
)

func newVerify(a *app) *cobra.Command {
	var at node.Options
	var urls []string
	cmd := &cobra.Command{
		Use:   "verify [TENANT/COLLECTION]",
		Short: "Prove that log, index and lake agree, row by row",
		Long: `Verify folds the log of every collection, or of one, and compares the key
index and the Iceberg table with it: each row by a hash at its position, and the
index's place of each row in the table. It prints what differs and ends with 1
if anything does.

With --data it opens the directory of a stopped server, else it asks the one at
--server while that goes on serving.`,
		Args: nArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var only string
			if len(args) == 1 {
				if _, err := client.ParseRef(args[0]); err != nil {
					return usageError{err}
				}
				only = args[0]
			}
			if at.Data != "" {
				placeStores(&at, urls)
				return a.verifyData(cmd, at, only)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.printReports(cmd.OutOrStdout(), c.Verify(cmd.Context(), only))
		},
	}
	f := cmd.Flags()
	f.StringVar(&at.Data, "data", "", "data directory of a stopped server")
	f.StringSliceVar(&urls, "store", splitStores(os.Getenv("TRINE_STORE")), "its store, if not the data directory, or its three zones")
	f.StringVar(&at.SegmentStore, "segment-store", os.Getenv("TRINE_SEGMENT_STORE"), "its segments' store, if another")
	f.StringVar(&at.LakeStore, "lake-store", os.Getenv("TRINE_LAKE_STORE"), "its lake's store, if another")
	return cmd
}

func (a *app) verifyData(cmd *cobra.Command, at node.Options, only string) (err error) {
	at.MustExist, at.MinFreeBytes = true, -1
	at.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := node.Open(cmd.Context(), at)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = errors.Join(err, n.Close(ctx))
	}()
	return a.printReports(cmd.OutOrStdout(), localReports(n.Verify(cmd.Context(), only)))
}

// localReports are a node's reports in the form that a server answers.
func localReports(reports iter.Seq2[*sync.Report, error]) iter.Seq2[client.Report, error] {
	return func(yield func(client.Report, error) bool) {
		for r, err := range reports {
			if err != nil {
				yield(client.Report{}, err)
				return
			}
			out := client.Report{
				Collection: r.Collection.String(), OK: r.OK(), Changes: uint64(r.Changes), Rows: r.Rows,
				LakeRows: r.LakeRows, LakeSeq: uint64(r.LakeSeq), More: r.More,
			}
			for _, d := range r.Differences {
				out.Differences = append(out.Differences, client.Difference(d))
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// errDiffer ends verify with exit code 1; what differs was printed.
var errDiffer = errors.New("the stores differ")

func (a *app) printReports(w io.Writer, reports iter.Seq2[client.Report, error]) error {
	count, differ := 0, 0
	out := json.NewEncoder(w)
	for r, err := range reports {
		if err != nil {
			return err
		}
		count++
		if !r.OK {
			differ++
		}
		if a.asJSON {
			err = out.Encode(r)
		} else {
			err = printReport(w, r)
		}
		if err != nil {
			return err
		}
	}
	if !a.asJSON {
		fmt.Fprintf(w, "%d collections compared, %d differ\n", count, differ)
	}
	if differ > 0 {
		return errDiffer
	}
	return nil
}

func printReport(w io.Writer, r client.Report) error {
	lake := "no table"
	if r.LakeSeq > 0 || r.LakeRows > 0 {
		lake = fmt.Sprintf("lake %s rows at seq %d", humanize.Comma(r.LakeRows), r.LakeSeq)
	}
	verdict := "equal"
	if !r.OK {
		verdict = "DIFFER"
	}
	_, err := fmt.Fprintf(w, "%s: %s; log %s changes, index %s rows, %s\n",
		r.Collection, verdict, humanize.Comma(int64(r.Changes)), humanize.Comma(r.Rows), lake)
	for _, d := range r.Differences {
		fmt.Fprintf(w, "  %s: %s: want %s, got %s\n", d.Store, d.Row, d.Want, d.Got)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "  and %d more\n", r.More)
	}
	return err
}
