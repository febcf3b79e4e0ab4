package bench

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trinedb/trine/internal/blob/count"
	"github.com/trinedb/trine/schema"
)

// report is what was measured since the stores had been used as before tells.
func (b *freshnessBench) report(before map[string]count.Usage, took time.Duration) *Report {
	r := newReport("freshness", b.o.Options)
	r.Seconds = took.Seconds()
	r.Settings.add("collections", float64(b.o.Collections))
	r.Settings.add("writes_per_second", float64(b.o.Rate))
	r.Settings.add("queries_per_second", float64(b.o.Queries))
	r.Figures = quantiles("ack to visible", "the same query again, nothing to flush", b.visible, b.again)
	r.Figures = append(r.Figures, Figure{Name: "ack to visible, longest", Unit: "µs", Ours: micros(time.Duration(b.visible.merged().Max()) * latencyUnit)})
	tables := 0
	b.asked.Range(func(any, any) bool { tables++; return true })
	r.Counts.add("writes", float64(b.writes.Load()))
	r.Counts.add("writes_per_second", perSecond(float64(b.writes.Load()), took))
	r.Counts.add("queries", float64(b.queries.Load()))
	r.Counts.add("queries_that_missed_the_row", float64(b.tries.Load()-b.queries.Load()))
	r.Counts.add("tables", float64(tables))
	b.addCost(r, before, took)
	return r
}

// addCost adds what was asked of the stores, by the hour, and what it would cost.
func (b *freshnessBench) addCost(r *Report, before map[string]count.Usage, took time.Duration) {
	t, err := prices()
	if err != nil {
		r.note(err.Error())
		return
	}
	hours := took.Hours()
	after := b.stores.usage()
	for _, name := range slices.Sorted(maps.Keys(after)) {
		used := after[name].Minus(before[name])
		all := chargeOf(used)
		r.Stores = append(r.Stores, newStore(name, used))
		r.Counts.add(name+"_PUT_per_hour", all.puts/hours)
		r.Counts.add(name+"_GET_per_hour", all.gets/hours)
		for _, p := range t.Stores {
			if p.Name == lakeCostStore {
				r.Counts.add(name+"_dollars_per_hour", p.dollars(all)/hours)
			}
		}
	}
	mark := ""
	if !t.Verified {
		mark = ", NOT VERIFIED"
	}
	r.note(fmt.Sprintf("dollars are those of %s, prices of %s, %s%s (%s); the log's chunks are a local disk's, more and smaller than on S3",
		lakeCostStore, t.Date, t.Region, mark, t.Source))
	r.note(fmt.Sprintf("tables are those that were asked for: they are flushed when they are loaded, and else each lake_freshness (%v) while they are written to; collections that nobody asks for have none",
		schema.DefaultOptions().LakeFreshness))
}
