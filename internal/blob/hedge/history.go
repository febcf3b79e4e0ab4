package hedge

import (
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// window is how many latencies are remembered.
	window = 512
	// refresh is after how many of them the quantile is found anew.
	refresh = 32
	// burst bounds the hedges that are saved up: when the store turns slow for
	// all, there are as many at once and no more.
	burst = 10
)

// history keeps the latencies of late and the budget of hedges.
//
// A PUT that was hedged is remembered with the time until its first good answer.
// That is at least the delay, so the quantile does not sink because of it.
type history struct {
	o Options

	mu      sync.Mutex
	ring    [window]time.Duration
	count   int // ever added
	at      time.Duration
	credits float64
}

func newHistory(o Options) *history { return &history{o: o} }

// add remembers the latency of a PUT that succeeded.
func (h *history) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring[h.count%window] = d
	h.count++
	if h.count >= h.o.MinSamples && (h.at == 0 || h.count%refresh == 0) {
		sorted := slices.Clone(h.ring[:min(h.count, window)])
		slices.Sort(sorted)
		rank := int(math.Ceil(h.o.Quantile*float64(len(sorted)))) - 1
		h.at = max(sorted[rank], h.o.MinDelay)
	}
}

// delay is the time after which a PUT is hedged, if there is one yet.
func (h *history) delay() (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at, h.at > 0
}

// earn adds a PUT's share to the budget.
func (h *history) earn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.credits = min(h.credits+h.o.Budget, burst)
}

// spend pays for a hedge, if the budget has one.
func (h *history) spend() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.credits < 1 {
		return false
	}
	h.credits--
	return true
}
