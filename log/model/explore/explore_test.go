package explore_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/trinedb/trine/log/model/explore"
)

// lock is a world that breaks when actors 1, 2 and 3 move in this order,
// whatever happens between.
type lock struct {
	at   uint8
	tell func(string)
}

func (l *lock) Reset() { l.at = 0 }
func (l *lock) Step(c explore.Choice) bool {
	if l.at < 3 && c.Actor == l.at+1 {
		l.at++
	}
	if l.tell != nil {
		l.tell(fmt.Sprint(c.Actor))
	}
	return l.at == 3
}
func (l *lock) Finish()              {}
func (l *lock) Weights() []uint8     { return []uint8{1, 1, 1, 1, 1} }
func (l *lock) Tell(fn func(string)) { l.tell = fn }
func (l *lock) Violation() explore.Violation {
	if l.at < 3 {
		return explore.Violation{}
	}
	return explore.Violation{Kind: explore.Lost, Note: "open"}
}

func TestShrink(t *testing.T) {
	w := &lock{}
	seed, v, _ := explore.Hunt(w, 1, 1000, 200)
	if v.Kind != explore.Lost {
		t.Fatalf("hunt found %v", v)
	}
	list := explore.Shrink(w, explore.Record(w, seed, 200))
	want := []string{"1", "2", "3", "lost: open"}
	if got := explore.Trace(w, list); !slices.Equal(got, want) {
		t.Errorf("trace %q, want %q", got, want)
	}
}

func TestSeedGivesSameSchedule(t *testing.T) {
	w := &lock{}
	for seed := uint64(1); seed < 100; seed++ {
		a, b := explore.Record(w, seed, 100), explore.Record(w, seed, 100)
		if !slices.Equal(a, b) {
			t.Fatalf("seed %d gives two schedules", seed)
		}
		if v := explore.Run(w, seed, 100); v != explore.Replay(w, a) {
			t.Fatalf("seed %d: run and replay differ", seed)
		}
	}
}

// TestStalls checks that actors stand still for long, and that all move.
func TestStalls(t *testing.T) {
	var s explore.Scheduler
	longest, moved := 0, [5]int{}
	for seed := uint64(1); seed <= 200; seed++ {
		s.Start(seed, (&lock{}).Weights())
		still := 0
		for range 200 {
			c := s.Next()
			moved[c.Actor]++
			if still++; c.Actor == 0 {
				longest, still = max(longest, still), 0
			}
		}
	}
	if longest < 100 {
		t.Errorf("the longest stall was %d steps", longest)
	}
	if slices.Min(moved[:]) < 4000 {
		t.Errorf("moves by actor: %v", moved)
	}
}
