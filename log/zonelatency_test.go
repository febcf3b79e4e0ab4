package log_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob/blobtest"
	"github.com/trinedb/trine/log"
)

// expressLatency draws what a PUT to S3 Express takes: p50 10 ms and p99 15 ms as
// others measured, and a tail that is assumed, p99.9 150 ms and at most 2 s.
func expressLatency(r *rand.Rand) time.Duration {
	points := []struct{ p, ms float64 }{{0, 5}, {0.5, 10}, {0.99, 15}, {0.999, 150}, {1, 2000}}
	p := r.Float64()
	for i := 1; ; i++ {
		if a, b := points[i-1], points[i]; p <= b.p {
			x := (p - a.p) / (b.p - a.p)
			return time.Duration(math.Exp(math.Log(a.ms)*(1-x)+math.Log(b.ms)*x) * float64(time.Millisecond))
		}
	}
}

// zoneCases are what may become of one zone: how long a PUT takes there, and
// whether it fails then. What takes longer than a request may is given up.
var zoneCases = []struct {
	name string
	ill  func(time.Duration) (time.Duration, error)
}{
	{"all well", func(d time.Duration) (time.Duration, error) { return d, nil }},
	{"one refuses", func(time.Duration) (time.Duration, error) { return 0, errors.New("refused") }},
	{"one stopped", func(time.Duration) (time.Duration, error) { return 11 * time.Second, errors.New("timed out") }},
	{"one slowed 100x", func(d time.Duration) (time.Duration, error) {
		if d *= 100; d > 11*time.Second {
			return 11 * time.Second, errors.New("timed out")
		}
		return d, nil
	}},
}

// measureZones appends n batches, one after the other, and gives how long they
// took, and how long the second of the zones to have each took to have it.
func measureZones(t testing.TB, n int, ill func(time.Duration) (time.Duration, error)) (acks, second []time.Duration) {
	h, x := newThree(), newFakeIndex(t)
	o := h.options(x)
	o.InFlight, o.HintEvery = 8, 64
	c, err := log.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var took [3][]time.Duration
	r, ended := rand.New(rand.NewPCG(1, 1)), make(chan struct{})
	for i, z := range h.zones {
		z.set(func(call blobtest.Call, _ string) (error, error) {
			var err error
			mu.Lock()
			d := expressLatency(r)
			if i == 2 {
				d, err = ill(d)
			}
			if call == blobtest.PutIfAbsent {
				if err != nil {
					took[i] = append(took[i], time.Hour)
				} else {
					took[i] = append(took[i], d)
				}
			}
			mu.Unlock()
			select {
			case <-time.After(d):
			case <-ended:
			}
			return err, nil
		})
	}
	h.heads.set(func(blobtest.Call, string) (error, error) { time.Sleep(50 * time.Millisecond); return nil, nil })
	for i := range n {
		begin := time.Now()
		mustAppend(t, c, batch(group(16, fmt.Sprint(i))))
		acks = append(acks, time.Since(begin))
		c.Applied(x.apply(1))
	}
	mu.Lock()
	for i := range n {
		zones := []time.Duration{took[0][i], took[1][i], time.Hour}
		if i < len(took[2]) {
			zones[2] = took[2][i] // in a zone that is passed over it is another chunk's, and not the second
		}
		slices.Sort(zones)
		second = append(second, zones[1])
	}
	mu.Unlock()
	close(ended)
	for _, z := range h.zones {
		z.set(nil)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return acks, second
}

func quantile(d []time.Duration, p float64) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[int(p*float64(len(d)-1))]
}

// TestZoneTail holds the latency of appends, on a clock that only the stores move,
// to that of the second zone to have each, whatever becomes of the third.
func TestZoneTail(t *testing.T) {
	const n = 2000
	for _, c := range zoneCases {
		synctest.Test(t, func(t *testing.T) {
			acks, second := measureZones(t, n, c.ill)
			t.Logf("%-16s ack p50 %v p99 %v, second zone p50 %v p99 %v", c.name,
				quantile(acks, 0.5), quantile(acks, 0.99), quantile(second, 0.5), quantile(second, 0.99))
			if over := quantile(acks, 0.99) - quantile(second, 0.99); over > 5*time.Millisecond {
				t.Errorf("%s: p99 is %v above that of the second zone", c.name, over)
			}
		})
	}
}

// BenchmarkZoneAck is the same on the real clock: what it adds is the work of
// three PUTs in place of one. All figures are of one run.
func BenchmarkZoneAck(b *testing.B) {
	for b.Loop() {
		for _, c := range zoneCases {
			acks, second := measureZones(b, 300, c.ill)
			b.ReportMetric(float64(quantile(acks, 0.5))/float64(quantile(second, 0.5)), strings.ReplaceAll(c.name, " ", "-")+"-p50/second-zone")
			b.ReportMetric(float64(quantile(acks, 0.99))/float64(quantile(second, 0.99)), strings.ReplaceAll(c.name, " ", "-")+"-p99/second-zone")
		}
	}
}
