package hedge_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob/hedge"
	"github.com/trinedb/trine/internal/blob/latency"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

// TestTail puts through the S3 store on a fake with a measured latency, with and
// without hedges, on a clock that is turned, and compares the slowest.
func TestTail(t *testing.T) {
	const puts = 4000
	slowest := func(t *testing.T, hedges bool) (p999 time.Duration, requests int64) {
		synctest.Test(t, func(t *testing.T) {
			server := s3test.New(s3test.Options{Express: true, Seed: 11})
			t.Cleanup(server.Wait)
			store, err := s3.Open(t.Context(), s3.Config{Bucket: server.Bucket(), Express: true, Endpoint: server.URL},
				s3.Options{Credentials: server, HTTPClient: server.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			server.SetLatency(s3test.Measured(latency.Express().Put))
			put := store.PutIfAbsent
			if hedges {
				put = newHedge(t, store, hedge.Options{}).PutIfAbsent
			}
			before := store.Usage()[s3.VerbPut].Requests
			var took []time.Duration
			for i := range puts {
				start := time.Now()
				if err := put(t.Context(), fmt.Sprintf("ch/0/0/%020d", i), fmt.Append(nil, "put id", i)); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			p999, requests = took[puts*999/1000], store.Usage()[s3.VerbPut].Requests-before
			t.Logf("hedges %t: p50 %v, p99 %v, p99.9 %v, most %v, %d requests for %d puts",
				hedges, took[puts/2], took[puts*99/100], p999, took[puts-1], requests, puts)
		})
		return p999, requests
	}
	plain, _ := slowest(t, false)
	hedged, requests := slowest(t, true)
	if hedged > plain/3 {
		t.Errorf("p99.9 is %v with hedges and %v without, want a third", hedged, plain)
	}
	if requests > puts+puts/20+10 {
		t.Errorf("%d requests for %d puts, want at most 5%% more", requests, puts)
	}
}
