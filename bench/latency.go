package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencies are times from 100 ns to two minutes with three digits, an
// HdrHistogram in shards, so that recording does not make its callers queue.
type latencies struct{ shards []shard }

type shard struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
	_  [64]byte // a cache line each
}

// latencyUnit is what the histogram counts in.
const latencyUnit = 100 * time.Nanosecond

// maxShards bounds the memory of a histogram, some 200 KB a shard.
const maxShards = 32

func newLatencies(callers int) *latencies {
	l := &latencies{shards: make([]shard, min(max(callers, 1), maxShards))}
	for i := range l.shards {
		l.shards[i].h = newHistogram()
	}
	return l
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(2*time.Minute/latencyUnit), 3)
}

// add records a time that a caller, by its number, measured. What is longer
// than two minutes counts as that.
func (l *latencies) add(caller int, took time.Duration) {
	s := &l.shards[caller%len(l.shards)]
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.h.RecordValue(min(max(int64(took/latencyUnit), 1), int64(2*time.Minute/latencyUnit)))
}

// reset forgets what was recorded, as that of a round that warmed up.
func (l *latencies) reset() {
	for i := range l.shards {
		l.shards[i].mu.Lock()
		l.shards[i].h.Reset()
		l.shards[i].mu.Unlock()
	}
}

func (l *latencies) merged() *hdrhistogram.Histogram {
	all := newHistogram()
	for i := range l.shards {
		l.shards[i].mu.Lock()
		all.Merge(l.shards[i].h)
		l.shards[i].mu.Unlock()
	}
	return all
}

// quantiles are the figures p50, p99 and p999 of a side beside those of its
// floor, in microseconds.
func quantiles(name, floorName string, ours, floor *latencies) []Figure {
	a, b := ours.merged(), floor.merged()
	var out []Figure
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 50}, {"p99", 99}, {"p999", 99.9}} {
		f := Figure{Name: name + " " + q.name, Unit: "µs", FloorName: floorName}
		f.Ours = micros(time.Duration(a.ValueAtQuantile(q.at)) * latencyUnit)
		f.Floor = micros(time.Duration(b.ValueAtQuantile(q.at)) * latencyUnit)
		f.Ratio = quotient(f.Ours, f.Floor)
		out = append(out, f)
	}
	return out
}
