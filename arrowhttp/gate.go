package arrowhttp

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/trinedb/trine/schema"
)

// gate bounds how many answers of a kind are under way: each holds memory,
// goroutines, and what is pinned for it, for as long as its client likes.
type gate struct {
	kind    string
	most    int64
	room    *semaphore.Weighted
	open    prometheus.Gauge
	refused prometheus.Counter
}

// gates are the kinds that are bounded.
type gates struct{ scans, reads, follows, verifies, upkeeps *gate }

// maxUpkeeps is how many may ask for the upkeep of tables at a time: one is worked
// on, the others wait for their turn.
const maxUpkeeps = 8

func newGates(o Options, m *metrics) gates {
	kind := func(name string, most int) *gate {
		return &gate{
			kind: name, most: int64(most), room: semaphore.NewWeighted(int64(most)),
			open: m.streams.WithLabelValues(name), refused: m.refused.WithLabelValues(name),
		}
	}
	return gates{
		scans: kind("scan", o.MaxScans), reads: kind("log", o.MaxLogReads),
		follows: kind("follow", o.MaxFollows), verifies: kind("verify", o.MaxVerifies),
		upkeeps: kind("upkeep", maxUpkeeps),
	}
}

// enter takes a place, to be given back by leave; schema.ErrOverloaded when
// there is none. It does not wait: a place comes free when a client ends, which
// nobody can foretell.
func (g *gate) enter() (leave func(), err error) {
	if !g.room.TryAcquire(1) {
		g.refused.Inc()
		return nil, fmt.Errorf("%d answers of kind %s are under way, which is the most at a time: %w", g.most, g.kind, schema.ErrOverloaded)
	}
	g.open.Inc()
	return func() { g.open.Dec(); g.room.Release(1) }, nil
}
