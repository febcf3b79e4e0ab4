package node_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/internal/blob/latency"
	"github.com/trinedb/trine/internal/blob/s3"
	"github.com/trinedb/trine/internal/blob/s3/s3test"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
)

var (
	histories    = flag.Int("histories", 60, "how many histories of keys are made")
	historySeeds = flag.Uint64("history-seed", 1, "the first seed of histories")
)

// pair is two nodes on one store that take over from each other.
type pair struct {
	mu      sync.Mutex
	current *served
	begun   int // opens that began
}

type served struct {
	n     *node.Node
	front *arrowhttp.Server
	begun int // it was this one
}

// open lets a node take over, or fails if the store is too bad for that.
func (p *pair) open(o node.Options) (*served, error) {
	p.mu.Lock()
	p.begun++
	s := &served{begun: p.begun}
	p.mu.Unlock()
	var err error
	o.MinFreeBytes = -1
	if s.n, err = node.Open(context.Background(), o); err != nil {
		return nil, err
	}
	s.front, err = arrowhttp.New(arrowhttp.Options{Backend: s.n.Backend(), Ready: s.n.Ready, SpoolDir: s.n.SpoolDir()})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = s
	return s, err
}

func (p *pair) now() *served {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

func (p *pair) send(r *http.Request) (int, []byte, bool) {
	s := p.now()
	status, body := s.answer(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	return status, body, p.begun == s.begun
}

func (s *served) answer(r *http.Request) (int, []byte) {
	w := httptest.NewRecorder()
	s.front.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// close closes a node, which may have been replaced.
func (s *served) close(t *testing.T) {
	err := s.n.Close(t.Context())
	for _, kind := range []error{schema.ErrFenced, schema.ErrClosed, schema.ErrUnavailable} {
		if errors.Is(err, kind) {
			return
		}
	}
	if err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestHistoriesThroughTakeOvers lets two nodes on one S3, which is slow and loses
// answers, take over from each other under clients: the history of each key is
// linearizable.
func TestHistoriesThroughTakeOvers(t *testing.T) {
	made, operations := 0, 0
	for seed := *historySeeds; made < wanted() && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			h := takeOvers(t, seed, (*pair).send)
			made += h.linearizable(t)
			operations += len(h.ops)
		})
		if t.Failed() {
			t.Logf("run again by -history-seed %d -histories 1", seed)
		}
	}
	t.Logf("%d histories, %d operations", made, operations)
}

// TestHistoriesBite reads from the node that was replaced as if it were the owner:
// that has to be found.
func TestHistoriesBite(t *testing.T) {
	const seeds = 10
	for seed := uint64(1); seed <= seeds; seed++ {
		found := false
		synctest.Test(t, func(t *testing.T) {
			var stale atomic.Pointer[served]
			h := takeOvers(t, seed, func(p *pair, r *http.Request) (int, []byte, bool) {
				stale.CompareAndSwap(nil, p.now())
				if r.Method == http.MethodGet {
					status, body := stale.Load().answer(r)
					return status, body, true
				}
				return p.send(r)
			})
			found = !porcupine.CheckOperations(register, h.seen())
		})
		if found {
			t.Logf("found at seed %d", seed)
			return
		}
	}
	t.Errorf("not found by %d seeds", seeds)
}

// takeOvers makes histories of some keys.
func takeOvers(t *testing.T, seed uint64, send func(*pair, *http.Request) (int, []byte, bool)) *registers {
	r := rand.New(rand.NewPCG(seed, 1))
	server := s3test.New(s3test.Options{Seed: seed})
	t.Cleanup(server.Wait)
	p, h := &pair{}, &registers{pause: func(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond) }}
	nodes := []node.Options{pairOptions(t, server), pairOptions(t, server)}
	s, err := p.open(nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	makeCollection(t, s.n, fmt.Sprintf(itemsDef, ""))
	server.SetLatency(s3test.Measured(latency.Distribution{{P: 0, D: time.Millisecond}, {P: 0.9, D: 5 * time.Millisecond}, {P: 1, D: 300 * time.Millisecond}}))
	server.SetHook(s3test.Chaos(seed, s3test.Rates{SlowDown: 0.01, Conflict: 0.02, Lose: 0.02, Late: 0.01, LateBy: 3 * time.Second}))
	keys := []int{0, 1, 2, 3, 4, 5}
	exchange := func(r *http.Request) (int, []byte, bool) { return send(p, r) }
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 3 {
		r := rand.New(rand.NewPCG(seed, uint64(2+i)))
		clients.Go(func() {
			for ctx.Err() == nil { // a request under way is finished
				h.work(t.Context(), i, r, exchange, keys, 1, 3)
			}
		})
	}
	for i := range 3 {
		time.Sleep(time.Duration(r.IntN(800)) * time.Millisecond)
		// The other takes over, and this one learns of it some time later.
		next, err := p.open(nodes[(i+1)%2])
		for range 5 {
			if err == nil {
				break
			}
			next, err = p.open(nodes[(i+1)%2])
		}
		if err != nil {
			t.Fatalf("take-over %d: %v", i, err)
		}
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		s.close(t)
		s = next
	}
	cancel()
	clients.Wait()
	server.SetHook(nil)
	for _, key := range keys {
		h.read(t.Context(), 3, exchange, key)
	}
	mustVerify(t, s.n)
	s.close(t)
	return h
}

func pairOptions(t *testing.T, server *s3test.Server) node.Options {
	return node.Options{
		Data: dataDir(t), Linger: time.Millisecond,
		Store: fmt.Sprintf("s3://%s/deployment?path_style=true&endpoint=%s", server.Bucket(), server.URL),
		S3:    s3.Options{Credentials: server, HTTPClient: server.Transport()},
	}
}
