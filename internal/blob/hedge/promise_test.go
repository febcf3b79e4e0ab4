package hedge_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/internal/blob/hedge"
	"github.com/trinedb/trine/internal/blob/latency"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
)

// TestPromise lets many writers race for names on an S3 that fails in every way
// the fake has, and holds each answer against what is there once all is quiet:
// who was told that it won is there, alone; who was told that it had no effect
// is not; and what is there was put by one who won or does not know.
func TestPromise(t *testing.T) {
	for seed := range uint64(6) {
		for _, hedges := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed=%d hedges=%t", seed, hedges), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { promise(t, seed, hedges) })
			})
		}
	}
}

func promise(t *testing.T, seed uint64, hedges bool) {
	const writers, names = 64, 8
	server := s3test.New(s3test.Options{Express: seed%2 == 0, Seed: seed})
	t.Cleanup(server.Wait)
	config := s3.Config{Bucket: server.Bucket(), Express: seed%2 == 0, Endpoint: server.URL}
	store, err := s3.Open(t.Context(), config, s3.Options{
		Credentials: server, HTTPClient: server.Transport(), RequestTimeout: time.Second, MaxWrites: 2 * writers,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var put hedge.Store = store
	if hedges {
		put = newHedge(t, store, hedge.Options{MinSamples: 1, Budget: 1})
	}
	server.SetLatency(s3test.Measured(latency.Express().Put))
	server.SetHook(s3test.Chaos(seed, s3test.Rates{
		SlowDown: 0.05, Internal: 0.05, Conflict: 0.1, Expired: 0.02, Lose: 0.1, Late: 0.1, LateBy: 5 * time.Second,
	}))
	wins := 0
	for i := range names {
		name := fmt.Sprint("ch/", i)
		answers := make([]error, writers)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() { answers[w] = put.PutIfAbsent(t.Context(), name, fmt.Append(nil, "writer ", w)) })
		}
		wg.Wait()
		server.Wait() // what is late has landed
		occupant, there := server.Peek(name)
		for w, err := range answers {
			mine := there && string(occupant) == fmt.Sprint("writer ", w)
			switch {
			case err == nil && !mine:
				t.Errorf("%s: writer %d won, but %q is there", name, w, occupant)
			case err != nil && blob.NoEffect(err) && mine:
				t.Errorf("%s: writer %d is there, but was told: %v", name, w, err)
			case errors.Is(err, blob.ErrExists) && !there:
				t.Errorf("%s: writer %d was told %v, but nothing is there", name, w, err)
			}
			if err == nil {
				wins++
			}
		}
	}
	if wins == 0 {
		t.Errorf("nobody won any of %d names", names)
	}
}
