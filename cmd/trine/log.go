package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

// logFlags say which part of a log is read, or that it is only looked at.
type logFlags struct {
	client.LogOptions
	fromSeq, toSeq uint64
	checkTail      bool
}

func newLog(a *app) *cobra.Command {
	var o logFlags
	cmd := &cobra.Command{
		Use:   "log TENANT/COLLECTION",
		Short: "Read the changes of a collection, or follow them",
		Long: `Log prints changes in seq order, a line of JSON each. It begins at the log's
beginning unless one of --from-seq, --from-time and --tail says where, and ends
at the tail, or where --to-seq, --until-time, --limit or --limit-bytes ends it.

With --follow it waits for more: a --to-seq or --until-time that has not come yet
ends it then. To begin where the log has not come is an error that tells where it
ends, unless --follow waits for it or --clamp begins at the tail.

A change tells what it did (insert, upsert, update, delete) and the record that it
left; of a delete the key. A collection with the option before_images also tells the
row before an update or delete, and of an upsert whether it was an insert or an
update.

--check-tail tells where the log ends, since when, and how many changes and about
how many bytes there are to read. It does not read the log.`,
		Example: `  trine log acme/airports --tail 5
  trine log acme/airports --follow --tail 1
  trine log acme/flights --from-time 2026-01-01T00:00:00Z --until-time 2026-02-01T00:00:00Z
  trine log acme/flights --from-seq 1000 --check-tail`,
		Args: nArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("from-seq") {
				o.FromSeq = &o.fromSeq
			}
			if cmd.Flags().Changed("to-seq") {
				o.ToSeq = &o.toSeq
			}
			c, ref, err := a.connect(args[0])
			if err != nil {
				return err
			}
			if o.checkTail {
				return a.logTail(cmd, c, ref, o.LogOptions)
			}
			body, err := c.Log(cmd.Context(), ref, o.LogOptions)
			if err != nil {
				return err
			}
			defer body.Close()
			if _, err := io.Copy(cmd.OutOrStdout(), body); err != nil && cmd.Context().Err() == nil {
				return fmt.Errorf("read log of %s: %w", ref, err)
			}
			return nil
		},
	}
	o.add(cmd)
	return cmd
}

func (o *logFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Uint64Var(&o.fromSeq, "from-seq", 0, "first seq")
	f.StringVar(&o.FromTime, "from-time", "", "first commit time, RFC 3339")
	f.Int64Var(&o.Tail, "tail", 0, "the newest N changes")
	f.BoolVar(&o.Clamp, "clamp", false, "begin at the tail if --from-seq lies beyond it")
	f.Uint64Var(&o.toSeq, "to-seq", 0, "seq to end before")
	f.StringVar(&o.UntilTime, "until-time", "", "commit time to end before, RFC 3339")
	f.Int64Var(&o.Limit, "limit", 0, "most changes; 0: all")
	f.Int64Var(&o.LimitBytes, "limit-bytes", 0, "most bytes of keys, rows and rows before, but one change at least; 0: all")
	f.BoolVar(&o.Desc, "desc", false, "newest first")
	f.StringVar(&o.Where, "where", "", "SQL predicate")
	f.BoolVar(&o.Follow, "follow", false, "wait for more, until interrupted or at the end that is given")
	f.BoolVar(&o.checkTail, "check-tail", false, "tell where the log ends and how much there is to read, and read nothing")
	cmd.MarkFlagsMutuallyExclusive("from-seq", "from-time", "tail")
	cmd.MarkFlagsMutuallyExclusive("desc", "follow")
}

func (a *app) logTail(cmd *cobra.Command, c *client.Client, ref client.Ref, o client.LogOptions) error {
	tail, err := c.LogTail(cmd.Context(), ref, o)
	if err != nil {
		return err
	}
	if a.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(tail)
	}
	since := "no change yet"
	if tail.LastTime != nil {
		since = "last change at " + *tail.LastTime
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: next seq %d, %s; %s to read, about %s\n",
		ref, tail.NextSeq, since, english.Plural(int(tail.Changes), "change", ""), humanize.IBytes(uint64(tail.Bytes)))
	return err
}
