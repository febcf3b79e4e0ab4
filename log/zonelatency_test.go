package log_test

import (
	"context"
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
	"github.com/trinedb/trine/internal/blob/hedge"
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

// timedZone notes how long each chunk took to be in a zone.
type timedZone struct {
	log.ChunkStore
	mu   sync.Mutex
	took map[string]time.Duration // by name; what failed is left out
}

func (z *timedZone) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	begin := time.Now()
	err := z.ChunkStore.PutIfAbsent(ctx, name, data)
	z.mu.Lock()
	defer z.mu.Unlock()
	if err == nil {
		z.took[name] = time.Since(begin)
	}
	return err
}

// slowZone is a zone whose PUTs take as long as is drawn, or until they are given up.
type slowZone struct {
	hedge.Store
	draw func() (time.Duration, error)
}

func (z *slowZone) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	d, err := z.draw()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return z.Store.PutIfAbsent(ctx, name, data)
}

// slowZones makes the zones as slow as S3 Express is, each hedged or not, and the
// third as ill as a case says.
func slowZones(t testing.TB, h *three, o *log.Options, hedged bool, ill func(time.Duration) (time.Duration, error)) (zones []*timedZone) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(1, 1))
	for i, z := range h.zones {
		slow := &slowZone{Store: z, draw: func() (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			d := expressLatency(r)
			if i < 2 {
				return d, nil
			}
			return ill(d)
		}}
		zone := &timedZone{ChunkStore: slow, took: map[string]time.Duration{}}
		if hedged {
			over, err := hedge.New(slow, hedge.Options{})
			if err != nil {
				t.Fatal(err)
			}
			zone.ChunkStore = over
		}
		o.Zones[i].Store = zone
		zones = append(zones, zone)
	}
	h.heads.set(func(blobtest.Call, string) (error, error) { time.Sleep(50 * time.Millisecond); return nil, nil })
	return zones
}

// measureZones appends n batches, one after the other, and gives how long they
// took, and how long the second of the zones to have each took to have it.
func measureZones(t testing.TB, n int, hedged bool, ill func(time.Duration) (time.Duration, error)) (acks, second []time.Duration) {
	h, x := newThree(), newFakeIndex(t)
	o := h.options(x)
	o.InFlight, o.HintEvery = 8, 64
	zones := slowZones(t, h, &o, hedged, ill)
	c, err := log.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		begin := time.Now()
		pos := mustAppend(t, c, batch(group(16, fmt.Sprint(i)))).Position
		acks = append(acks, time.Since(begin))
		c.Applied(x.apply(1))
		var took []time.Duration
		for _, z := range zones {
			z.mu.Lock()
			if d, ok := z.took[name(pos.Chunk)]; ok {
				took = append(took, d)
			}
			z.mu.Unlock()
		}
		slices.Sort(took)
		second = append(second, took[1])
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
	for _, hedged := range []bool{false, true} {
		for _, c := range zoneCases {
			synctest.Test(t, func(t *testing.T) {
				acks, second := measureZones(t, n, hedged, c.ill)
				t.Logf("%-16s hedged %t: ack p50 %v p99 %v, second zone p50 %v p99 %v", c.name, hedged,
					quantile(acks, 0.5), quantile(acks, 0.99), quantile(second, 0.5), quantile(second, 0.99))
				if over := quantile(acks, 0.99) - quantile(second, 0.99); over > 5*time.Millisecond {
					t.Errorf("%s, hedged %t: p99 is %v above that of the second zone", c.name, hedged, over)
				}
			})
		}
	}
}

// BenchmarkZoneAck is the same on the real clock: what it adds is the work of
// three PUTs in place of one. All figures are of one run.
func BenchmarkZoneAck(b *testing.B) {
	for b.Loop() {
		for _, c := range zoneCases {
			acks, second := measureZones(b, 300, true, c.ill)
			b.ReportMetric(float64(quantile(acks, 0.5))/float64(quantile(second, 0.5)), strings.ReplaceAll(c.name, " ", "-")+"-p50/second-zone")
			b.ReportMetric(float64(quantile(acks, 0.99))/float64(quantile(second, 0.99)), strings.ReplaceAll(c.name, " ", "-")+"-p99/second-zone")
		}
	}
}
