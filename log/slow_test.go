package log_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/hedge"
	"github.com/trinedb/trine/internal/blob/latency"
)

// TestAckOnSlowStores sends batches at random moments, at steady rates, to stores
// as slow as S3, on a clock that is turned: what group commit itself adds. The
// 99th of 100 acks comes at most so much after linger and the 99th of 100 PUTs.
// Acks keep order, so one PUT of a long tail keeps those behind it waiting: on
// Express that takes hedging, as a server has it there.
func TestAckOnSlowStores(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		profile  latency.Profile
		linger   time.Duration
		inFlight int
		hedged   bool
		most     time.Duration
	}{
		{latency.Fixed(20 * ms), ms, 4, false, 5 * ms},
		{latency.Fixed(20 * ms), ms, 8, false, 5 * ms},
		{latency.Express(), 20 * ms, 8, true, 5 * ms},
	} {
		for _, rate := range []int{50, 500, 2000} {
			synctest.Test(t, func(t *testing.T) {
				const seed = 7
				s, err := latency.Around(blob.NewMem(), c.profile, seed)
				if err != nil {
					t.Fatal(err)
				}
				o := newFakeIndex(t).options(s)
				if c.hedged {
					if o.Store, err = hedge.New(s, hedge.Options{}); err != nil {
						t.Fatal(err)
					}
				}
				o.Linger, o.InFlight = c.linger, c.inFlight
				ch := open(t, o)
				r := rand.New(rand.NewPCG(seed, uint64(rate)))
				acks := make([]time.Duration, 3000)
				var wg sync.WaitGroup
				for i := range acks {
					time.Sleep(time.Duration(r.ExpFloat64() * float64(time.Second) / float64(rate)))
					wg.Go(func() {
						start := time.Now()
						mustAppend(t, ch, batch(group(16, "a")))
						acks[i] = time.Since(start)
					})
				}
				wg.Wait()
				p50, p99 := quantile(acks, 0.5), quantile(acks, 0.99)
				over := p99 - c.linger - c.profile.Put.At(0.99)
				t.Logf("PUT %s, linger %v, W=%d, %d/s: ack p50 %v, p99 %v, over %v, %d chunks",
					c.profile.Name, c.linger, c.inFlight, rate, p50, p99, over, ch.Durable().Chunk)
				if over > c.most {
					t.Errorf("seed %d, PUT %s, W=%d, %d/s: p99 %v is %v over, want at most %v", seed, c.profile.Name, c.inFlight, rate, p99, over, c.most)
				}
			})
		}
	}
}
