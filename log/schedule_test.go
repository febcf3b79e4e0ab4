package log_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// play runs a world from a seed and gives what is wrong with it.
func play(t *testing.T, seed uint64, o setting) (w *world, found []string) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{TB: t}
		defer func() {
			if r := recover(); r != nil && r != any(errJudged) {
				panic(r)
			}
			found = j.found
		}()
		w = newWorld(j, seed, o)
		w.run()
		w.verdict()
	})
	return w, found
}

// final asks every collection's whole content of the last owner.
func (w *world) final(c *log.Channel) {
	if !w.o.reads || w.o.floor > 0 {
		return
	}
	w.last = rows(w.t, c)
	for id, rows := range w.last {
		call := w.ops.tick()
		w.ops.note(len(w.clients), call, question{kind: reads, ids: []schema.Instance{id}},
			reply{outcome: acked, current: true, rows: rows, next: schema.Seq(len(rows))})
	}
}

// check holds what clients were told against the model. Of a history that cannot
// be, it draws a picture.
func (w *world) check() error {
	model := linear(w.last)
	result, info := porcupine.CheckOperationsVerbose(model, w.ops.operations(), 20*time.Second)
	if result == porcupine.Ok {
		return nil
	}
	var b strings.Builder
	for _, o := range w.ops.done {
		fmt.Fprintf(&b, "\n%d–%d client %d: %v → %v", o.call, o.end, o.client, o.asked, o.told)
	}
	path := "no picture"
	if w.o.broken == nil {
		path = filepath.Join(os.TempDir(), fmt.Sprintf("trine-history-%d.html", os.Getpid()))
		if err := porcupine.VisualizePath(model, info, path); err != nil {
			path = err.Error()
		}
	}
	return fmt.Errorf("history of %d operations: %v; see %s%s", len(w.ops.done), result, path, b.String())
}

// TestSchedules runs the log's own code under random schedules: rival owners that
// stand still, are killed or lose power, on stores that lose answers and let
// writes land late. Clients' histories have to be linearizable, and everything
// else as the oracles want it. A seed runs again by -sim.seed.
func TestSchedules(t *testing.T) {
	told, runs := map[string]int{}, *simRuns
	if !testing.Short() {
		runs *= 10
	}
	for seed := max(*simSeed, 1); seed < max(*simSeed, 1)+runs; seed++ {
		for _, o := range []setting{
			{steps: 600, owners: 10, harm: 10, floor: 3},
			{steps: 500, owners: 8, harm: 8, reads: true},
			{steps: 500, owners: 8, reads: true, disk: true},
		} {
			w, found := play(t, seed, o)
			if len(found) == 0 && o.reads {
				if err := w.check(); err != nil {
					found = append(found, err.Error())
				}
			}
			if len(found) > 0 {
				t.Fatalf("seed %d, %+v:\n%s\n\n%s", seed, o, strings.Join(found, "\n"), strings.Join(w.trace, "\n"))
			}
			w.count(told)
		}
	}
	t.Log(told)
	for _, what := range []string{
		"append done", "append refused", "append unknown", "append retried", "read current", "read stale", "tail current", "tail stale",
		"kill", "power", "take-over",
	} {
		if told[what] == 0 && runs >= 50 {
			t.Errorf("no schedule had this: %s", what)
		}
	}
}

// count counts what a world has seen, for a test that everything was.
func (w *world) count(told map[string]int) {
	rows := map[string]bool{}
	for _, o := range w.ops.done {
		what := map[outcome]string{acked: "done", failed: "refused", unknown: "unknown"}[o.told.outcome]
		if o.asked.kind != appends {
			what = map[bool]string{true: "current", false: "stale"}[o.told.current]
		}
		told[o.asked.kind+" "+what]++
		if o.asked.kind == appends && rows[o.asked.row] {
			told["append retried"]++
		}
		rows[o.asked.row] = true
	}
	for _, line := range w.trace {
		if strings.HasSuffix(line, "is killed") {
			told["kill"]++
		}
		if strings.HasSuffix(line, "power off") {
			told["power"]++
		}
	}
	for _, p := range w.owners[1:] {
		if p.c != nil {
			told["take-over"]++
		}
	}
}

// TestSchedulesRunAgain runs some seeds twice: a schedule is what its seed says,
// but for what the runtime itself draws.
func TestSchedulesRunAgain(t *testing.T) {
	const seeds = 40
	same := 0
	for seed := uint64(1); seed <= seeds; seed++ {
		o := setting{steps: 300, owners: 5, harm: 10, reads: true}
		a, _ := play(t, seed, o)
		b, _ := play(t, seed, o)
		if a.fingerprint() == b.fingerprint() {
			same++
		}
	}
	t.Logf("%d of %d went the same way twice", same, seeds)
	if same < seeds/2 {
		t.Errorf("only %d of %d went the same way twice", same, seeds)
	}
}
