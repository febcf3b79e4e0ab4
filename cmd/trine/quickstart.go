package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/client"
)

//go:embed quickstart/data
var quickstartData embed.FS

// quickstartMarker is the file that says that a data directory is quickstart's
// own, so that it may begin anew in it.
const quickstartMarker = "QUICKSTART"

func newQuickstart() *cobra.Command {
	var exit bool
	c := config{}
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "See the whole of Trine on real data, in a minute",
		Long: `Quickstart runs a server on a data directory of its own, makes three
collections of real data (US airports, weather, flights), changes some of it,
and shows each way to read it. Every answer is checked: a wrong one ends it with
an error. It begins anew each time, and serves until you interrupt it.`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := loadConfig("", nil, cmd.Flags())
			if err != nil {
				return err
			}
			loaded.Data, loaded.Listen, loaded.LogLevel = c.Data, c.Listen, 4 // warnings
			return quickstart(cmd, loaded, exit)
		},
	}
	cmd.Flags().StringVar(&c.Data, "data", "trine-quickstart", "data directory; begun anew")
	cmd.Flags().StringVar(&c.Listen, "listen", defaultListen, "address to listen on, HOST:PORT")
	cmd.Flags().BoolVar(&exit, "exit", false, "end after the last step")
	return cmd
}

func quickstart(cmd *cobra.Command, c config, exit bool) (err error) {
	if err := claimQuickstartDir(c.Data); err != nil {
		return err
	}
	s, err := startServer(cmd.Context(), c)
	if err != nil {
		return err
	}
	api, err := client.New(client.Options{Server: s.url()})
	if err != nil {
		return errors.Join(err, s.stop())
	}
	t := &tour{out: cmd.OutOrStdout(), bar: stepProgress(cmd.ErrOrStderr()), api: api, server: s}
	fmt.Fprintf(t.out, "Trine serves %s, data in %s\n", s.url(), s.config.Data)
	if err := t.run(cmd.Context()); err != nil {
		return errors.Join(err, s.stop())
	}
	printPasteLines(t.out, s.url())
	if exit {
		return s.stop()
	}
	fmt.Fprintf(t.out, "\nThe server stays up: try the lines above. Ctrl-C ends it.\n")
	return s.waitAndStop(cmd.Context())
}

// claimQuickstartDir empties a directory that an earlier quickstart made, and
// refuses one that holds anything else.
func claimQuickstartDir(dir string) error {
	marker := filepath.Join(dir, quickstartMarker)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("data directory: %w", err)
	}
	if len(entries) > 0 {
		if _, err := os.Stat(marker); err != nil {
			return usage("--data %s: the directory is not empty and not quickstart's; name another", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("begin anew: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return os.WriteFile(marker, []byte("This directory is made anew by each 'trine quickstart'.\n"), 0o644)
}

// tour is the steps of a quickstart under way.
type tour struct {
	out    io.Writer
	bar    *progressbar.ProgressBar
	api    *client.Client
	server *server
	data   tourData
}

type step struct {
	title string
	do    func(context.Context) error
}

func (t *tour) run(ctx context.Context) error {
	if err := t.data.load(); err != nil {
		return err
	}
	steps := []step{
		{"Three collections: airports (keyed), weather (two-part key), flights (append-only)", t.applyCollections},
		{"Write them: each batch is atomic, and durable when it is acknowledged", t.writeAll},
		{"Change two records, delete one", t.change},
		{"Look one up by key, right after the write", t.lookup},
		{"Read a range of keys", t.rangeOfKeys},
		{"The last changes in the log", t.lastChanges},
		{"Scan with a projection and a filter, as Arrow", t.scan},
		{"The Iceberg tables that SQL engines attach to", t.tables},
		{"Prove that log, index and lake agree", t.verify},
	}
	t.bar.ChangeMax(len(steps))
	begin := time.Now()
	for i, s := range steps {
		t.bar.Describe(s.title)
		_ = t.bar.Set(i)
		start := time.Now()
		_ = t.bar.Clear()
		fmt.Fprintf(t.out, "\n%d. %s\n", i+1, s.title)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, s.title, err)
		}
		fmt.Fprintf(t.out, "   (%d ms)\n", time.Since(start).Milliseconds())
	}
	_ = t.bar.Finish()
	fmt.Fprintf(t.out, "\nAll %d steps answered right, in %.1f s.\n", len(steps), time.Since(begin).Seconds())
	return nil
}

// stepProgress is a bar on a terminal, and nothing elsewhere.
func stepProgress(w io.Writer) *progressbar.ProgressBar {
	return progressbar.NewOptions(1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetVisibility(isTerminal(w)),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionShowCount(),
	)
}
