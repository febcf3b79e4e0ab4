package hedge

import (
	"math"
	"math/bits"
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

// history keeps the latencies of late, apart by size, and the budget of hedges.
//
// A PUT that was hedged is remembered with the time until its first good answer.
// That is at least the delay, so the quantile does not sink because of it.
type history struct {
	o Options

	mu      sync.Mutex
	classes [33]*latencies // see classOf; nil: nothing of that size yet
	credits float64
}

// latencies are those of PUTs of about one size.
type latencies struct {
	ring  [window]time.Duration
	count int           // ever added
	at    time.Duration // the quantile; 0: not yet known
}

// classOf puts sizes within a factor of 4 together: a full chunk takes longer
// than a fence, and would else always count as slow.
func classOf(size int) int { return bits.Len64(uint64(size)) / 2 }

func newHistory(o Options) *history { return &history{o: o} }

// add remembers the latency of a PUT that succeeded.
func (h *history) add(size int, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.classes[classOf(size)]
	if l == nil {
		l = &latencies{}
		h.classes[classOf(size)] = l
	}
	l.ring[l.count%window] = d
	l.count++
	if l.count >= h.o.MinSamples && (l.at == 0 || l.count%refresh == 0) {
		sorted := slices.Clone(l.ring[:min(l.count, window)])
		slices.Sort(sorted)
		rank := int(math.Ceil(h.o.Quantile*float64(len(sorted)))) - 1
		l.at = max(sorted[rank], h.o.MinDelay)
	}
}

// delay is the time after which a PUT is hedged, if there is one yet.
func (h *history) delay(size int) (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.classes[classOf(size)]
	if l == nil || l.at == 0 {
		return 0, false
	}
	return l.at, true
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
