package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/bench"
	"github.com/trinedb/trine/schema"
)

// benchRun is what the workloads' commands share.
type benchRun struct {
	*app
	options bench.Options
}

func newBench(a *app) *cobra.Command {
	b := &benchRun{app: a}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure Trine on this machine, beside the least that anything could take",
		Long: `Bench runs a workload in this process, on a data directory of its own that it
removes at the end, and prints what it measured.

Every figure stands beside a floor: a program that does the least for the same
answer on the same data (a loop of write and fsync, Badger alone, a bare HTTP
handler, pqarrow, parquet-go), measured in the same run, in turns with ours. A
machine that is slow or busy moves both, so believe the ratio before the rate.
It is the median of the rounds, with its quartiles in brackets: when they lie
far apart, the machine was too noisy to tell.

Of rates (records/s) more is better and a ratio of 1 means as fast as the
floor; of times (µs, ms) and sizes (B) less is better.

Measure on the disk that counts, which --folder names: fsync is most of what a
durable write takes, and costs nothing in a folder that is kept in memory.
An interrupt ends a workload early with what it has measured.`,
		Example: `  trine bench log --senders 256 --folder /var/lib
  trine bench log --report            what its requests would cost on S3
  trine bench get --clients 8
  trine bench scan --records 5000000 --duration 1m
  trine bench collections --n 100000 --json`,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&b.options.Folder, "folder", "", "where the data directory is made; default the system's for temporary files")
	f.Uint64Var(&b.options.Seed, "seed", 1, "what all that is random comes from")
	cmd.AddCommand(newBenchLog(b), newBenchChannel(b), newBenchFollow(b), newBenchGet(b), newBenchScan(b), newBenchFlush(b), newBenchFreshness(b), newBenchCollections(b), newBenchFleet(b))
	return cmd
}

// durationFlag is each command's own, as workloads differ in what they need.
func durationFlag(cmd *cobra.Command, otherwise time.Duration, help string) {
	cmd.Flags().Duration("duration", otherwise, help)
}

const measureHelp = "about how long to measure, floors included"

// run measures and prints.
func (b *benchRun) run(cmd *cobra.Command, measure func(context.Context, bench.Options) (*bench.Report, error)) error {
	o := b.options
	var err error
	if o.Duration, err = cmd.Flags().GetDuration("duration"); err != nil {
		return usageError{err}
	}
	if o.Duration <= 0 {
		return usage("--duration %v: want a time above 0, as 10s", o.Duration)
	}
	if o.Seed == 0 {
		return usage("--seed 0: want 1 or more")
	}
	bar := benchProgress{cmd: cmd}
	o.Progress = bar.tell
	r, err := measure(cmd.Context(), o)
	bar.end()
	switch {
	case errors.Is(err, schema.ErrInvalid):
		return usageError{err}
	case err != nil && cmd.Context().Err() != nil:
		return errors.New("interrupted before anything was measured")
	case err != nil:
		return err
	case b.asJSON:
		return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	default:
		return printBench(cmd.OutOrStdout(), r)
	}
}

// benchProgress is a bar for each phase on a terminal's stderr, and nothing
// elsewhere.
type benchProgress struct {
	cmd   *cobra.Command
	phase string
	bar   *progressbar.ProgressBar
}

func (p *benchProgress) tell(phase string, done, total int64) {
	if !isTerminal(p.cmd.ErrOrStderr()) {
		return
	}
	if p.bar == nil || p.phase != phase {
		p.end()
		p.phase = phase
		p.bar = progressbar.NewOptions64(max(total, 1),
			progressbar.OptionSetDescription(phase),
			progressbar.OptionSetWriter(p.cmd.ErrOrStderr()),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
		)
	}
	_ = p.bar.Set64(done)
}

func (p *benchProgress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
