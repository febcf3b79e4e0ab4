// Package exploretest is what the tests of the models share.
package exploretest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trinedb/trine/log/model/explore"
)

// Holds runs count schedules from the seed first on, on all processors, and
// fails the test if one of them breaks a promise. Each processor gets a world
// of its own.
func Holds(t *testing.T, world func() explore.World, first, count uint64, steps int) {
	t.Helper()
	start := time.Now()
	var next atomic.Uint64
	var group sync.WaitGroup
	const batch = 1000
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			w := world()
			for !t.Failed() {
				from := next.Add(batch) - batch
				if from >= count {
					return
				}
				if seed, v, _ := explore.Hunt(w, first+from, min(batch, count-from), steps); v.Kind != explore.None {
					t.Error(Story(w, seed, steps))
				}
			}
		})
	}
	group.Wait()
	spent := time.Since(start)
	t.Logf("%d schedules in %v, %.0f a second on %d processors",
		count, spent.Round(time.Millisecond), float64(count)/spent.Seconds(), runtime.GOMAXPROCS(0))
}

// Caught demands that a schedule among the first limit breaks one of the
// promises, and shows it when the test is verbose.
func Caught(t *testing.T, w explore.World, limit uint64, steps int, kinds ...explore.Kind) {
	t.Helper()
	seed, v, ran := explore.Hunt(w, 1, limit, steps)
	if v.Kind == explore.None {
		t.Fatalf("%d schedules broke no promise", ran)
	}
	for _, k := range kinds {
		if v.Kind == k {
			t.Logf("caught by schedule %d\n%s", ran, Story(w, seed, steps))
			return
		}
	}
	t.Errorf("schedule %d broke another promise than %v\n%s", ran, kinds, Story(w, seed, steps))
}

// Story tells the schedule of a seed, cut down to what matters.
func Story(w explore.World, seed uint64, steps int) string {
	list := explore.Shrink(w, explore.Record(w, seed, steps))
	return fmt.Sprintf("seed %d, cut down to %d steps:\n  %s", seed, len(list),
		strings.Join(explore.Trace(w, list), "\n  "))
}

// Coverage runs schedules and counts those in which a line of the trace begins
// as a pattern says, so that a model that passes because nothing happens in it
// is found out. It returns how many of count schedules had each pattern.
func Coverage(w explore.World, count uint64, steps int, patterns ...string) []uint64 {
	hits := make([]uint64, len(patterns))
	for seed := uint64(1); seed <= count; seed++ {
		met := make([]bool, len(patterns))
		w.Tell(func(line string) {
			for i, p := range patterns {
				met[i] = met[i] || strings.Contains(line, p)
			}
		})
		explore.Run(w, seed, steps)
		for i := range met {
			if met[i] {
				hits[i]++
			}
		}
	}
	w.Tell(nil)
	return hits
}
