package s3test

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/trinedb/trine/internal/blob/latency"
)

// Hook is asked at each request. It is called by several goroutines.
type Hook func(r *Request) Fault

// Fault is what goes wrong with a request. The zero value is nothing.
type Fault struct {
	// Land holds the request before it has its effect, until it is closed, and
	// Late for that long: also when the client has long given up.
	Land <-chan struct{}
	Late time.Duration
	// Status and Code are answered without any effect.
	Status int
	Code   string
	// Answer holds the answer, after the effect, until it is closed.
	Answer <-chan struct{}
	// Lose breaks the connection off after the effect, in place of the answer.
	Lose bool
	// Truncate breaks a good answer off in the middle, Flip changes a bit of it.
	Truncate, Flip bool
}

// Refuse is a Fault that answers without effect.
func Refuse(status int, code string) Fault { return Fault{Status: status, Code: code} }

// The answers that S3 is known for.
var (
	SlowDown = Refuse(http.StatusServiceUnavailable, "SlowDown")
	Internal = Refuse(http.StatusInternalServerError, "InternalError")
	Conflict = Refuse(http.StatusConflict, "ConditionalRequestConflict")
	Expired  = Refuse(http.StatusBadRequest, "ExpiredToken")
	Denied   = Refuse(http.StatusForbidden, "AccessDenied")
)

// SetHook sets what is asked at each request; nil for nothing.
func (s *Server) SetHook(h Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = h
}

// SetLatency sets how long requests take; nil for no time.
func (s *Server) SetLatency(l Latency) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = l
}

func (s *Server) delay(req *Request, f Fault) {
	s.mu.Lock()
	d := f.Late
	if s.latency != nil {
		d += s.latency(s.rng, req)
	}
	s.mu.Unlock()
	if d > 0 {
		time.Sleep(d) // of testing/synctest, in tests that use it
	}
	if f.Land != nil {
		<-f.Land
	}
}

// Latency draws how long a request takes.
type Latency func(r *rand.Rand, req *Request) time.Duration

// Measured draws from a measured distribution.
func Measured(d latency.Distribution) Latency {
	return func(r *rand.Rand, _ *Request) time.Duration { return d.Draw(r) }
}

// Rates are the shares of requests that a fault meets, each 0 to 1.
type Rates struct {
	SlowDown, Internal, Conflict, Expired float64
	Lose, Late, Truncate, Flip            float64
	LateBy                                time.Duration
}

// Chaos is a Hook that draws faults from a seed. Which request gets which is the
// same each time as long as they come in the same order.
func Chaos(seed uint64, rates Rates) Hook {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 2))
	return func(r *Request) Fault {
		mu.Lock()
		p := rng.Float64()
		mu.Unlock()
		writes := r.Op == Put || r.Op == Complete
		for _, c := range []struct {
			rate  float64
			fault Fault
			to    bool
		}{
			{rates.SlowDown, SlowDown, true}, {rates.Internal, Internal, true},
			{rates.Conflict, Conflict, writes}, {rates.Expired, Expired, true},
			{rates.Lose, Fault{Lose: true}, true}, {rates.Late, Fault{Late: rates.LateBy}, true},
			{rates.Truncate, Fault{Truncate: true}, r.Op == Get}, {rates.Flip, Fault{Flip: true}, r.Op == Get && r.Header("Range") == ""},
		} {
			if !c.to {
				continue
			}
			if p < c.rate {
				return c.fault
			}
			p -= c.rate
		}
		return Fault{}
	}
}
