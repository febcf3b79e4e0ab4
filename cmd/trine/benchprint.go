package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/trinedb/trine/bench"
)

// printBench lays out a report for people.
func printBench(w io.Writer, r *bench.Report) error {
	var settings []string
	for _, s := range r.Settings {
		settings = append(settings, spaced(s.Name)+" "+benchNumber(s.Value))
	}
	fmt.Fprintf(w, "%s: %s; seed %d, %.1f s measured", r.Workload, strings.Join(settings, ", "), r.Seed, r.Seconds)
	if r.Interrupted {
		fmt.Fprint(w, ", interrupted")
	}
	fmt.Fprintln(w)
	printFleet(w, r.Fleet)
	printFigures(w, r.Figures)
	var counts []string
	for _, c := range r.Counts {
		counts = append(counts, spaced(c.Name)+" "+benchNumber(c.Value))
	}
	fmt.Fprintf(w, "counted: %s\n", strings.Join(counts, ", "))
	printStores(w, r.Stores)
	if r.Cost != nil {
		printCost(w, r.Cost)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	return nil
}

func printFigures(w io.Writer, figures []bench.Figure) {
	t := newTable(w, "measured", "unit", "trine", "floor", "ratio", "floor is")
	rightAlign(t, 3, 4)
	for _, f := range figures {
		floor, ratio := "", ""
		if f.FloorName != "" {
			floor, ratio = benchNumber(f.Floor), fmt.Sprintf("%.2f", f.Ratio)
			if f.Rounds > 1 {
				ratio += fmt.Sprintf(" (%.2f–%.2f)", f.Low, f.High)
			}
		}
		t.AppendRow(table.Row{f.Name, f.Unit, benchNumber(f.Ours), floor, ratio, f.FloorName})
	}
	t.Render()
}

func printStores(w io.Writer, stores []bench.Store) {
	if len(stores) == 0 {
		return
	}
	t := newTable(w, "store", "request", "billed as", "requests", "refused", "failed", "bytes")
	rightAlign(t, 4, 5, 6, 7)
	for _, s := range stores {
		for _, v := range s.Verbs {
			t.AppendRow(table.Row{
				s.Name, v.Verb, v.BilledAs, humanize.Comma(int64(v.Requests)),
				humanize.Comma(int64(v.Refused)), humanize.Comma(int64(v.Failed)), humanize.IBytes(v.Bytes),
			})
		}
	}
	t.Render()
}

func printCost(w io.Writer, c *bench.Cost) {
	mark := ""
	if !c.Verified {
		mark = ", NOT VERIFIED"
	}
	fmt.Fprintf(w, "prices of %s, %s%s (%s), in US dollars; a month at the measured rate\n", c.Date, c.Region, mark, c.Source)
	t := newTable(w, "the log on", "as run, 1M records", "as run, a month", "its own chunks", "chunks/s", "1M records", "a month", "7 days kept, a month")
	rightAlign(t, 2, 3, 4, 5, 6, 7, 8)
	for _, s := range c.Stores {
		t.AppendRow(table.Row{
			s.Name, dollars(s.RunPerMillion), dollars(s.RunPerMonth),
			fmt.Sprintf("%s, %g ms", humanize.IBytes(uint64(s.ChunkBytes)), s.LingerMS), benchNumber(s.ChunksPerSecond),
			dollars(s.PerMillion), dollars(s.PerMonth), dollars(s.KeepWeekPerMonth),
		})
	}
	t.Render()
	l := c.Lake
	fmt.Fprintf(w, "tables: %s collections change within %g s; if each had one, %s commits a month of %.1f PUT and %.1f GET: %s on S3 Standard\n",
		benchNumber(l.Active), l.FreshnessSeconds, humanize.SIWithDigits(l.CommitsPerMonth, 1, ""), l.PutsPerCommit, l.GetsPerCommit, dollars(l.PerMonth))
}

func rightAlign(t table.Writer, columns ...int) {
	var list []table.ColumnConfig
	for _, n := range columns {
		list = append(list, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(list)
}

// benchNumber has three digits, or all that a whole number has.
func benchNumber(v float64) string {
	switch {
	case v == float64(int64(v)), v >= 1000, v <= -1000:
		return humanize.Comma(int64(v + 0.5))
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func dollars(v float64) string {
	if v >= 100 {
		return "$" + humanize.Comma(int64(v+0.5))
	}
	return fmt.Sprintf("$%.4f", v)
}

// spaced is a name of JSON's as people read it.
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }
