package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/trinedb/trine/bench"
)

func newBenchFleet(b *benchRun) *cobra.Command {
	o := bench.FleetOptions{}.WithDefaults()
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "A million collections: what do they cost at 1,000, 10,000, … of them?",
		Long: `Fleet creates collections of one schema, spread over tenants, and writes records
to each, all durable, from a number of workers in this process. At 1,000, 10,000
and so on it stops, and runs ` + "`trine serve`" + ` on the data directory, in a process of its
own that nothing is asked of: its memory without files that are mapped, its
goroutines, open files, and the processor time that it takes at rest should be
the same at each number. Then it asks for collections at random, one request
after the other over HTTP, writes to some, kills the server, and starts it again.
Last it has a server do what else it would do within a day: make segments of all of
the log, and delete its chunks.

There is no floor: each number is one for the next. --drop drops all in the end.`,
		Example: `  trine bench fleet --n 100000
  trine bench fleet --n 1000000 --drop --folder /var/lib --json`,
		Args: nArgs(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, func(ctx context.Context, shared bench.Options) (*bench.Report, error) {
				o.Options = shared
				var err error
				if o.Program, err = os.Executable(); err != nil {
					return nil, err
				}
				return bench.Fleet(ctx, o)
			})
		},
	}
	durationFlag(cmd, bench.DefaultFleetDuration, "longest to go on making collections, looks included")
	f := cmd.Flags()
	f.IntVar(&o.Collections, "n", o.Collections, "how many collections")
	f.IntVar(&o.Tenants, "tenants", o.Tenants, "how many tenants have them")
	f.IntVar(&o.Records, "records", o.Records, "records of each")
	f.IntVar(&o.Workers, "workers", o.Workers, "how many make them at the same time")
	f.DurationVar(&o.Idle, "idle", o.Idle, "how long a server at rest is looked at")
	f.BoolVar(&o.Drop, "drop", false, "drop all in the end")
	return cmd
}

// printFleet has a column for each number of collections.
func printFleet(w io.Writer, points []bench.FleetPoint) {
	if len(points) == 0 {
		return
	}
	header, right := table.Row{"collections"}, []int{}
	for i, p := range points {
		header = append(header, humanize.Comma(int64(p.Collections)))
		right = append(right, i+2)
	}
	t := newTable(w, header...)
	rightAlign(t, right...)
	row := func(name string, of func(bench.FleetPoint) string) {
		r := table.Row{name}
		for _, p := range points {
			r = append(r, of(p))
		}
		t.AppendRow(r)
	}
	size := func(name string, of func(bench.FleetPoint) int64) {
		row(name, func(p bench.FleetPoint) string { return humanize.IBytes(uint64(of(p))) })
	}
	number := func(name string, of func(bench.FleetPoint) float64) {
		row(name, func(p bench.FleetPoint) string { return benchNumber(of(p)) })
	}
	latency := func(name string, of func(bench.FleetPoint) bench.Latency) {
		row(name+", p50 / p99 ms", func(p bench.FleetPoint) string {
			l := of(p)
			return fmt.Sprintf("%.2g / %.2g", l.P50, l.P99)
		})
	}
	number("created and written / s", func(p bench.FleetPoint) float64 { return p.PerSecond })
	size("heap right after", func(p bench.FleetPoint) int64 { return p.BusyHeap })
	size("log on disk", func(p bench.FleetPoint) int64 { return p.LogBytes })
	size("index on disk", func(p bench.FleetPoint) int64 { return p.IndexBytes })
	size("log a day later", func(p bench.FleetPoint) int64 { return p.AgedLogBytes })
	size("index a day later", func(p bench.FleetPoint) int64 { return p.AgedIndexBytes })
	size("lake on disk", func(p bench.FleetPoint) int64 { return p.LakeBytes })
	number("start, ms", func(p bench.FleetPoint) float64 { return p.StartMS })
	number("start after a kill, ms", func(p bench.FleetPoint) float64 { return p.KilledMS })
	number("at rest after, ms", func(p bench.FleetPoint) float64 { return p.SettledMS })
	number("start a day later, ms", func(p bench.FleetPoint) float64 { return p.AgedStartMS })
	number("at rest after, ms", func(p bench.FleetPoint) float64 { return p.AgedSettledMS })
	size("RSS at rest", func(p bench.FleetPoint) int64 { return p.Resident })
	size("RSS, files apart", func(p bench.FleetPoint) int64 { return p.Anonymous })
	size("RSS, files apart, a day later", func(p bench.FleetPoint) int64 { return p.AgedAnonymous })
	size("heap at rest", func(p bench.FleetPoint) int64 { return p.Heap })
	number("goroutines", func(p bench.FleetPoint) float64 { return float64(p.Goroutines) })
	number("open files", func(p bench.FleetPoint) float64 { return float64(p.OpenFiles) })
	number("processor at rest, ms/s", func(p bench.FleetPoint) float64 { return p.IdleCPU })
	latency("describe", func(p bench.FleetPoint) bench.Latency { return p.Describe })
	latency("get a record", func(p bench.FleetPoint) bench.Latency { return p.Get })
	latency("list 100", func(p bench.FleetPoint) bench.Latency { return p.List })
	number("load of the machine", func(p bench.FleetPoint) float64 { return p.Load })
	t.Render()
}
