// Package hedge cuts the tail of slow PUTs: when one takes longer than nearly
// all before it did, the same bytes are put a second time, and the first good
// answer counts.
//
// That is safe for bytes that no other writer puts, which the put id in a chunk
// makes sure of: of two conditional PUTs of the same bytes at one name at most
// one lands, and which one it was does not matter. A refusal, once there were
// two, is settled by reading who has the name: our bytes mean success.
//
// Do not use it for objects without something of their own in them: of two
// writers who put equal bytes at one name, both could be told that they won.
//
// Guarantees are those of package blob. A PUT whose two legs disagree is told by
// the better of both: it succeeded if either leg did; it had no effect only if
// each leg says so, or if another's bytes are at the name.
//
// Caveat: a leg that was given up may land later, as any PUT whose answer was
// lost. While the name is taken it is refused; so names are not used again.
package hedge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Store is what is hedged, a store of package blob, and what a Hedge is: only
// PutIfAbsent differs.
type Store interface {
	PutIfAbsent(ctx context.Context, name string, data []byte) error
	Get(ctx context.Context, name string) ([]byte, error)
	GetRange(ctx context.Context, name string, off, n int64) ([]byte, error)
	Read(ctx context.Context, name string) ([]byte, blob.Version, error)
	Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error)
	Delete(ctx context.Context, name string) error
}

// Options adjust a Hedge. The zero value is the documented defaults.
type Options struct {
	// Quantile of the latencies of late, of PUTs of about the same size, after
	// which a PUT is hedged; default 0.99.
	Quantile float64
	// MinDelay is the least time before a PUT is hedged; default 2 ms.
	MinDelay time.Duration
	// MinSamples is how many PUTs of about one size must have succeeded before
	// one is hedged for being slow; default 100, at most window.
	MinSamples int
	// Budget is the share of PUTs that may be hedged, over the long run;
	// default 0.05. What is saved up is bounded by burst.
	Budget float64
	// Registerer gets the counters; default: none.
	Registerer prometheus.Registerer
}

func (o *Options) setDefaults() {
	if o.Quantile == 0 {
		o.Quantile = 0.99
	}
	if o.MinDelay == 0 {
		o.MinDelay = 2 * time.Millisecond
	}
	if o.MinSamples == 0 {
		o.MinSamples = 100
	}
	if o.Budget == 0 {
		o.Budget = 0.05
	}
}

// Validate reports what is wrong with Options.
func (o Options) Validate() error {
	o.setDefaults()
	if o.Quantile <= 0 || o.Quantile >= 1 || o.Budget < 0 || o.Budget > 1 || o.MinDelay < 0 || o.MinSamples < 1 || o.MinSamples > window {
		return fmt.Errorf("options of hedged puts: want 0 < Quantile < 1, 0 <= Budget <= 1, MinDelay >= 0 and 1 <= MinSamples <= %d: %w",
			window, schema.ErrInvalid)
	}
	return nil
}

// Hedge is a Store whose PUTs are hedged. It is safe for concurrent use and has
// no goroutines but those of calls under way.
type Hedge struct {
	Store
	o       Options
	history *history
	puts    *prometheus.CounterVec // by outcome
}

// New hedges the PUTs of a store.
func New(s Store, o Options) (*Hedge, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	h := &Hedge{Store: s, o: o, history: newHistory(o)}
	h.puts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trine_hedge_puts_total",
		Help: "PUTs by leg: single, hedged (had a second), denied (no budget for one), won (of hedged: by the second), settled (by reading).",
	}, []string{"leg"})
	if o.Registerer != nil {
		var known prometheus.AlreadyRegisteredError
		if err := o.Registerer.Register(h.puts); errors.As(err, &known) {
			if old, ok := known.ExistingCollector.(*prometheus.CounterVec); ok {
				h.puts = old
			}
		}
	}
	return h, nil
}

// leg is the outcome of one of at most two PUTs.
type leg struct {
	second bool
	err    error
}

// PutIfAbsent makes a whole object whose bytes no other writer puts, by one PUT
// or, when that is slow or its answer was lost, by two. Both have ended when it
// returns.
func (h *Hedge) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	h.history.earn()
	delay, known := h.history.delay(len(data))
	start := time.Now()
	legs := make(chan leg, 2)
	ctx, cancel := context.WithCancel(ctx)
	put := func(second bool) { legs <- leg{second, h.Store.PutIfAbsent(ctx, name, data)} }
	go put(false)
	flying := 1
	defer func() {
		cancel()
		for range flying { // data is the caller's again
			<-legs
		}
	}()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	slow := timer.C
	if !known {
		slow = nil
	}
	var failed []error
	hedged := false
	for {
		var l leg
		select {
		case <-slow:
			slow = nil
			if hedged = h.allow(); hedged {
				flying++
				go put(true)
			}
			continue
		case l = <-legs:
			flying--
		}
		switch {
		case l.err == nil:
			h.history.add(len(data), time.Since(start))
			h.count(hedged, l.second)
			return nil
		case errors.Is(l.err, blob.ErrExists) && hedged:
			return h.settle(ctx, name, data, l.err)
		}
		failed = append(failed, l.err)
		if !hedged && !blob.NoEffect(l.err) && ctx.Err() == nil && h.allow() {
			slow, hedged = nil, true // the answer was lost: ask again
			flying++
			go put(true)
		}
		if flying == 0 {
			h.count(hedged, false)
			return verdict(failed)
		}
	}
}

// allow pays for a second leg.
func (h *Hedge) allow() bool {
	if h.history.spend() {
		return true
	}
	h.puts.WithLabelValues("denied").Inc()
	return false
}

func (h *Hedge) count(hedged, second bool) {
	if !hedged {
		h.puts.WithLabelValues("single").Inc()
		return
	}
	h.puts.WithLabelValues("hedged").Inc()
	if second {
		h.puts.WithLabelValues("won").Inc()
	}
}

// settle finds out whether the name is taken by our own other leg.
func (h *Hedge) settle(ctx context.Context, name string, data []byte, exists error) error {
	h.count(true, false)
	h.puts.WithLabelValues("settled").Inc()
	occupant, err := h.Store.Get(ctx, name)
	switch {
	case err != nil: // none of the kinds that promise anything may be found in this
		return fmt.Errorf("put %s: outcome unknown: name is taken, its object cannot be read: %v; %v", name, err, exists)
	case bytes.Equal(occupant, data):
		return nil
	default:
		return exists
	}
}

// verdict is the error of a PUT none of whose legs is known to have landed: one
// that leaves the outcome open, if there is one.
func verdict(failed []error) error {
	for _, err := range failed {
		if !blob.NoEffect(err) {
			return err
		}
	}
	return failed[0]
}
