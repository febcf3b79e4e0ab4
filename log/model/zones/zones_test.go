package zones_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/trinedb/trine/log/model/explore"
	"github.com/trinedb/trine/log/model/explore/exploretest"
	"github.com/trinedb/trine/log/model/zones"
)

var (
	schedules = flag.Uint64("schedules", 4_000, "random schedules for each W")
	seed      = flag.Uint64("seed", 1, "the first schedule's seed")
)

// steps is how long a schedule may be.
const steps = 400

func TestAllRulesHold(t *testing.T) {
	for _, window := range []uint8{1, 2, 4} {
		t.Run(fmt.Sprintf("W=%d", window), func(t *testing.T) {
			exploretest.Holds(t, func() explore.World {
				return &zones.World{Rules: zones.AllRules(), Window: window}
			}, *seed, *schedules, steps)
		})
	}
}

// TestNotedRuleLoses: the recovery rule as it was first noted down, in either
// reading, loses acknowledged writes.
func TestNotedRuleLoses(t *testing.T) {
	for _, oneMarker := range []bool{false, true} {
		for _, window := range []uint8{1, 4} {
			t.Run(fmt.Sprintf("oneMarker=%v,W=%d", oneMarker, window), func(t *testing.T) {
				w := &zones.World{Rules: zones.Noted(oneMarker), Window: window, Tolerate: early}
				exploretest.Caught(t, w, 10_000, steps, explore.Lost, explore.Doubled, explore.Reordered)
			})
		}
	}
}

// early are promises whose breaking announces that a write will be lost or
// doubled.
const early = 1<<explore.Stale | 1<<explore.AckOrder | 1<<explore.Exposed

func TestEachRuleIsNeeded(t *testing.T) {
	tests := []struct {
		rule   string
		leave  func(*zones.Rules)
		window uint8
		limit  uint64
	}{
		{"acknowledge at two zones", func(r *zones.Rules) { r.AckTwo = false }, 1, 500},
		{"acknowledge a prefix", func(r *zones.Rules) { r.AckPrefix = false }, 4, 500},
		{"step down", func(r *zones.Rules) { r.StepDown = false }, 1, 500},
		{"read the occupant", func(r *zones.Rules) { r.ReadOccupant = false }, 1, 500},
		{"seal two zones", func(r *zones.Rules) { r.SealTwo = false }, 1, 1_000},
		{"adopt what one zone has", func(r *zones.Rules) { r.AdoptAny = false }, 1, 500},
		{"copy to two zones", func(r *zones.Rules) { r.CopyTwo = false }, 1, 1_000},
		{"a mark of one's own, by epoch or put id", func(r *zones.Rules) { r.SealOver, r.NewPutID = false, false }, 1, 5_000},
		{"record the decision", func(r *zones.Rules) { r.Record = false }, 1, 1_000},
		{"void other epochs", func(r *zones.Rules) { r.Void = false }, 4, 1_000},
		{"stop at durable_upto", func(r *zones.Rules) { r.StopUpto = false }, 1, 1_000},
		{"vouch for the own epoch only", func(r *zones.Rules) { r.VouchOwn = false }, 1, 20_000},
		{"decide what is durable", func(r *zones.Rules) { r.AdvanceDurable = false }, 1, 1_000},
		{"the floor before deletion", func(r *zones.Rules) { r.FloorFirst = false }, 1, 2_000},
		{"keep the first dead number's markers", func(r *zones.Rules) { r.KeepMarkers = false }, 1, 200_000},
		{"read the floor after the chunk", func(r *zones.Rules) { r.FloorAfter = false }, 1, 20_000},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			rules := zones.AllRules()
			test.leave(&rules)
			w := &zones.World{Rules: rules, Window: test.window, Tolerate: 1 << explore.AckOrder}
			exploretest.Caught(t, w, test.limit, steps,
				explore.Lost, explore.Doubled, explore.Reordered, explore.Exposed, explore.Stale)
		})
	}
}

// TestSpareRules: each of these can be left out as long as the others hold.
func TestSpareRules(t *testing.T) {
	tests := []struct {
		rule  string
		leave func(*zones.Rules)
	}{
		{"markers over markers", func(r *zones.Rules) { r.SealOver = false }},
		{"new put ids", func(r *zones.Rules) { r.NewPutID = false }},
		{"seal W numbers", func(r *zones.Rules) { r.SealWindow = false }},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			rules := zones.AllRules()
			test.leave(&rules)
			exploretest.Holds(t, func() explore.World { return &zones.World{Rules: rules, Window: 4} }, *seed, *schedules, steps)
		})
	}
}

func TestCoverage(t *testing.T) {
	patterns := []string{
		"serves from", "acknowledges", "steps down", "counts", "finds nothing", "reader takes", "was overtaken",
		"meets a higher epoch", "lands; the answer is lost", "lost on the way", "gets a 412",
		"tells the head", "raises the floor", "GC deletes",
	}
	const count = 500
	w := &zones.World{Rules: zones.AllRules(), Window: 4}
	for i, hits := range exploretest.Coverage(w, count, steps, patterns...) {
		t.Logf("%4d of %d schedules: %s", hits, count, patterns[i])
		if hits < count/50 {
			t.Errorf("only %d of %d schedules have %q", hits, count, patterns[i])
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var w explore.World = &zones.World{Rules: zones.AllRules(), Window: 4}
	next := uint64(1)
	if n := testing.AllocsPerRun(100, func() { explore.Run(w, next, steps); next++ }); n > 0 {
		t.Errorf("%v allocations a schedule", n)
	}
}

func BenchmarkSchedule(b *testing.B) {
	w := &zones.World{Rules: zones.AllRules(), Window: 4}
	b.ReportAllocs()
	next := uint64(1)
	for b.Loop() {
		explore.Run(w, next, steps)
		next++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
}
