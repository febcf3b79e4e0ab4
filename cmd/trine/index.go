package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/kvindex/snapshot"
	"github.com/trinedb/trine/schema"
)

func newIndex(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index",
		Short: "Look at the key index and its snapshots, take one, or rebuild the index",
		Long: `The key index holds the latest row of every key. It is a function of the log:
it can be thrown away at any time, and a server that finds none, or a damaged
one, builds it anew at its start, by itself.

Snapshots make that quick. They are copies of the index in the object store;
the newest is fetched, and only what the log got after it is replayed. A server
takes them as it goes on, if its store is in S3, or --index-snapshot is on.`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIndexStatus(a), newIndexSnapshot(a), newIndexRebuild(a))
	return cmd
}

// dataFlags name a data directory and its stores, for the command's RunE.
func dataFlags(cmd *cobra.Command, at *node.Options) {
	var urls []string
	f := cmd.Flags()
	f.StringVar(&at.Data, "data", envOr("TRINE_DATA", "trine-data"), "data directory (env TRINE_DATA)")
	f.StringSliceVar(&urls, "store", splitStores(os.Getenv("TRINE_STORE")), "its store, if not the data directory, or its three zones (env TRINE_STORE)")
	f.StringVar(&at.LakeStore, "lake-store", os.Getenv("TRINE_LAKE_STORE"), "its lake's store, if another (env TRINE_LAKE_STORE)")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		placeStores(at, urls)
		return run(cmd, args)
	}
}

func newIndexStatus(a *app) *cobra.Command {
	var at node.Options
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what index and what snapshots there are",
		Long: `Status looks at the data directory and at the store. It changes nothing, and a
server may be running.`,
		Example: `  trine index status --data /var/lib/trine`,
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			at.Logger = warnings(cmd)
			st, err := node.ReadIndexStatus(cmd.Context(), at)
			if err != nil {
				return err
			}
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(statusJSON(st))
			}
			return printIndexStatus(cmd.OutOrStdout(), st)
		},
	}
	dataFlags(cmd, &at)
	return cmd
}

func newIndexSnapshot(a *app) *cobra.Command {
	var at node.Options
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Take a snapshot of the index of a stopped server",
		Long: `Snapshot copies the index of a stopped server to the store: below index/ beside
the lake. Tables that the newest snapshot has are not copied again. A server
takes snapshots by itself; see --index-snapshot of 'trine serve --help'.`,
		Example: `  trine index snapshot --data /var/lib/trine`,
		Args:    nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			bar := newProgress(cmd, -1, "snapshot")
			at.MustExist, at.Logger = true, warnings(cmd)
			at.IndexSnapshots = node.IndexSnapshots{Mode: node.SnapshotOn, BytesPerSecond: -1, Progress: showBytes(bar)}
			n, err := node.Open(cmd.Context(), at)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeStopped(n)) }()
			info, err := n.TakeIndexSnapshot(cmd.Context())
			if err != nil {
				return err
			}
			_ = bar.Finish() // a bar that cannot be drawn is no failure
			if a.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(infoJSON(info))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "snapshot %d at position %s: %d tables, %s; uploaded %d, %s\n",
				info.Number, info.Position, info.Tables, humanize.IBytes(uint64(info.Bytes)), info.UploadedTables, humanize.IBytes(uint64(info.UploadedBytes)))
			return err
		},
	}
	dataFlags(cmd, &at)
	return cmd
}

func newIndexRebuild(a *app) *cobra.Command {
	var at node.Options
	var from string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Throw the index of a stopped server away and build it anew",
		Long: `Rebuild removes kvindex/ of a stopped server, restores it from the newest
snapshot that can be used, and replays what the log got since; with --from log it
replays all of the log. Nothing is lost by it: the index is a function of the log.
A server does the same by itself at its start when there is no index, or a
damaged one. If rebuild is interrupted, the next start goes on.`,
		Example: `  trine index rebuild --data /var/lib/trine
  trine index rebuild --data /var/lib/trine --from log`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := choice("from", from, string(node.RebuildFromSnapshot), string(node.RebuildFromLog)); err != nil {
				return err
			}
			at.MustExist, at.MinFreeBytes, at.Logger = true, -1, warnings(cmd)
			at.RebuildIndex = node.Rebuild(from)
			return a.rebuild(cmd, at)
		},
	}
	dataFlags(cmd, &at)
	cmd.Flags().StringVar(&from, "from", string(node.RebuildFromSnapshot), "what to begin with: snapshot, or log for all of the log")
	return cmd
}

// rebuilt is what a rebuild did.
type rebuilt struct {
	Chunks   int     `json:"chunks"`
	Records  int64   `json:"records"`
	Snapshot string  `json:"snapshot_position,omitempty"`
	Seconds  float64 `json:"seconds"`
}

func (a *app) rebuild(cmd *cobra.Command, at node.Options) error {
	start := time.Now()
	var did rebuilt
	fetch := newProgress(cmd, -1, "snapshot")
	bar := progressbar.NewOptions64(1, progressbar.OptionSetDescription("log"), progressbar.OptionSetWriter(cmd.ErrOrStderr()),
		progressbar.OptionSetVisibility(isTerminal(cmd.ErrOrStderr())), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	// A snapshot in a folder beside the data is as good as one in S3 here.
	at.IndexSnapshots = node.IndexSnapshots{Mode: node.SnapshotOn, Progress: showBytes(fetch)}
	at.Replayed = func(c *schema.Chunk, last uint64) {
		did.Chunks++
		for i := range c.Groups {
			did.Records += int64(len(c.Groups[i].Records))
		}
		bar.ChangeMax64(int64(max(last, c.Position.Chunk, 1)))
		_ = bar.Set64(int64(c.Position.Chunk)) // a bar that cannot be drawn is no failure
	}
	n, err := node.Open(cmd.Context(), at)
	if err != nil {
		return err
	}
	if pos := n.LastSnapshot(); at.RebuildIndex == node.RebuildFromSnapshot && !pos.IsZero() {
		did.Snapshot = pos.String()
	}
	_ = bar.Finish()
	if err := closeStopped(n); err != nil {
		return err
	}
	did.Seconds = time.Since(start).Seconds()
	if a.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(did)
	}
	with := "from the log alone"
	if did.Snapshot != "" {
		with = "from the snapshot at position " + did.Snapshot
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "index rebuilt %s: %s chunks replayed, %s changes, in %.1f s\n",
		with, humanize.Comma(int64(did.Chunks)), humanize.Comma(did.Records), did.Seconds)
	return err
}

// showBytes moves a bar by bytes.
func showBytes(bar *progressbar.ProgressBar) func(snapshot.Progress) {
	return func(p snapshot.Progress) {
		bar.ChangeMax64(p.TotalBytes)
		_ = bar.Set64(p.Bytes) // a bar that cannot be drawn is no failure
	}
}

// warnings logs what is out of order to stderr.
func warnings(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// closeStopped closes a node that served nobody.
func closeStopped(n *node.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return n.Close(ctx)
}

type snapshotJSON struct {
	Number   uint64    `json:"number"`
	Position string    `json:"position"`
	Epoch    uint64    `json:"epoch"`
	Created  time.Time `json:"created"`
	Tables   int       `json:"tables"`
	Bytes    int64     `json:"bytes"`
	Uploaded int64     `json:"uploaded_bytes,omitempty"`
}

func infoJSON(i snapshot.Info) snapshotJSON {
	return snapshotJSON{
		Number: i.Number, Position: i.Position.String(), Epoch: uint64(i.Epoch), Created: i.Created,
		Tables: i.Tables, Bytes: i.Bytes, Uploaded: i.UploadedBytes,
	}
}

func statusJSON(st node.IndexStatus) map[string]any {
	snapshots := []snapshotJSON{}
	for _, i := range st.Snapshots {
		snapshots = append(snapshots, infoJSON(i))
	}
	return map[string]any{
		"index": st.There, "damage": st.Damage, "snapshots": snapshots,
		"log": map[string]any{"epoch": st.Log.Epoch, "floor": st.Log.Floor, "at_least": st.Log.Hint},
	}
}

func printIndexStatus(w io.Writer, st node.IndexStatus) error {
	local := "there"
	switch {
	case st.Damage != "":
		local = "damaged, the next start rebuilds it: " + st.Damage
	case !st.There:
		local = "none; the next start builds it"
	}
	if _, err := fmt.Fprintf(w, "index: %s\nlog: epoch %d, chunks %d to %d or more\n", local, st.Log.Epoch, st.Log.Floor+1, st.Log.Hint); err != nil {
		return err
	}
	for _, i := range st.Snapshots {
		_, err := fmt.Fprintf(w, "snapshot %d: position %s, epoch %d, %s, %d tables, %s\n",
			i.Number, i.Position, i.Epoch, i.Created.Format(time.RFC3339), i.Tables, humanize.IBytes(uint64(i.Bytes)))
		if err != nil {
			return err
		}
	}
	if len(st.Snapshots) == 0 {
		_, err := fmt.Fprintln(w, "snapshots: none")
		return err
	}
	return nil
}
