package model_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/trinedb/trine/log/model"
	"github.com/trinedb/trine/log/model/explore"
	"github.com/trinedb/trine/log/model/explore/exploretest"
)

var (
	schedules = flag.Uint64("schedules", 10_000, "random schedules for each W")
	seed      = flag.Uint64("seed", 1, "the first schedule's seed")
)

// steps is how long a schedule may be.
const steps = 320

func TestAllRulesHold(t *testing.T) {
	for _, window := range []uint8{1, 2, 4} {
		t.Run(fmt.Sprintf("W=%d", window), func(t *testing.T) {
			exploretest.Holds(t, func() explore.World {
				return &model.World{Rules: model.AllRules(), Window: window}
			}, *seed, *schedules, steps)
		})
	}
}

// early are promises whose breaking announces that a write will be lost or
// doubled. The tests below tolerate them to see that.
const early = 1<<explore.Stale | 1<<explore.AckOrder | 1<<explore.Exposed

func TestEachRuleIsNeeded(t *testing.T) {
	tests := []struct {
		rule   string
		leave  func(*model.Rules)
		window uint8
		limit  uint64 // schedules until it is caught, at most
	}{
		{"fence at the first hole", func(r *model.Rules) { r.Fence = false }, 1, 100},
		{"read the head again", func(r *model.Rules) { r.RereadEpoch, r.RereadFloor = false, false }, 1, 2_000},
		{"floor below the hole", func(r *model.Rules) { r.RereadFloor = false }, 1, 2_000},
		{"fill the next W-1", func(r *model.Rules) { r.Fill = false }, 4, 2_000},
		{"fill only after the head was read", func(r *model.Rules) { r.FillLast = false }, 2, 100_000},
		{"acknowledge a prefix", func(r *model.Rules) { r.AckPrefix = false }, 4, 100},
		{"step down", func(r *model.Rules) { r.StepDown = false }, 1, 100},
		{"void lower epochs", func(r *model.Rules) { r.Void = false }, 4, 100},
		{"floor before deletion", func(r *model.Rules) { r.FloorFirst = false }, 1, 500},
		{"keep fences", func(r *model.Rules) { r.KeepFences = false }, 1, 2_000},
		{"read the occupant", func(r *model.Rules) { r.ReadOccupant = false }, 1, 3_000},
		{"read the floor after chunks", func(r *model.Rules) { r.ReadFloor = false }, 1, 5_000},
		{"save the epoch with a position", func(r *model.Rules) { r.SaveEpoch = false }, 4, 500},
		{"stop at a higher epoch", func(r *model.Rules) { r.WalkStops = false }, 4, 15_000},
		{"know what was replayed", func(r *model.Rules) { r.DedupReplayed = false }, 1, 200},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			rules := model.AllRules()
			test.leave(&rules)
			w := &model.World{Rules: rules, Window: test.window, Tolerate: early}
			exploretest.Caught(t, w, test.limit, steps, explore.Lost, explore.Doubled, explore.Reordered)
		})
	}
}

// TestEpochAloneIsNoSafety: to demand one's own epoch when the head is read
// again keeps two owners from chasing each other. What keeps writes is the
// floor, and the fence of whoever came in between.
func TestEpochAloneIsNoSafety(t *testing.T) {
	rules := model.AllRules()
	rules.RereadEpoch = false
	exploretest.Holds(t, func() explore.World { return &model.World{Rules: rules, Window: 1} }, *seed, *schedules, steps)
}

// TestEarlySigns: a fenced writer's chunk, acks out of order and owners that
// lack a write are seen as such, before a write is lost by them.
func TestEarlySigns(t *testing.T) {
	tests := []struct {
		kind  explore.Kind
		leave func(*model.Rules)
	}{
		{explore.Exposed, func(r *model.Rules) { r.Void = false }},
		{explore.AckOrder, func(r *model.Rules) { r.AckPrefix = false }},
		{explore.Stale, func(r *model.Rules) { r.Fence = false }},
	}
	for _, test := range tests {
		t.Run(test.kind.String(), func(t *testing.T) {
			rules := model.AllRules()
			test.leave(&rules)
			w := &model.World{Rules: rules, Window: 4, Tolerate: ^uint16(1 << test.kind)}
			exploretest.Caught(t, w, 1000, steps, test.kind)
		})
	}
}

// TestCoverage checks that schedules reach what they are to test.
func TestCoverage(t *testing.T) {
	patterns := []string{
		"serves from", "steps down", "crashes", "acknowledges", "lands; the answer is lost", "lost on the way",
		"gets a 409", "gets a 412", "GC raises", "GC deletes", "was overtaken", "meets a higher epoch", "once more",
	}
	const count = 500
	w := &model.World{Rules: model.AllRules(), Window: 4}
	for i, hits := range exploretest.Coverage(w, count, steps, patterns...) {
		t.Logf("%4d of %d schedules: %s", hits, count, patterns[i])
		if hits < count/50 {
			t.Errorf("only %d of %d schedules have %q", hits, count, patterns[i])
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var w explore.World = &model.World{Rules: model.AllRules(), Window: 4}
	next := uint64(1)
	if n := testing.AllocsPerRun(100, func() { explore.Run(w, next, steps); next++ }); n > 0 {
		t.Errorf("%v allocations a schedule", n)
	}
}

func BenchmarkSchedule(b *testing.B) {
	for _, window := range []uint8{1, 4} {
		b.Run(fmt.Sprintf("W=%d", window), func(b *testing.B) {
			w := &model.World{Rules: model.AllRules(), Window: window}
			b.ReportAllocs()
			next := uint64(1)
			for b.Loop() {
				explore.Run(w, next, steps)
				next++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
		})
	}
}
