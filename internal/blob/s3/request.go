package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/schema"
)

// request is one request of the store, in one or more tries.
type request struct {
	verb Verb
	// size is how many bytes it sends, for the time that it gets.
	size int64
	// idempotent requests are tried again whatever became of the last try.
	idempotent bool
	// refusal is what a failed condition means: blob.ErrExists, ErrChanged.
	refusal error
	// missing is what it means that there is no object; default: ErrNotFound.
	missing error
	// send makes one try. What it gets from t belongs to that try.
	send func(ctx context.Context, t *try) error
}

// try is one try of a request.
type try struct {
	verb  Verb
	sent  atomic.Bool // it got as far as the transport
	token string      // of the session that signed it
	timer *time.Timer
	base  time.Duration
}

type tryKey struct{}

// extend gives the try more time, for bytes that are about to come.
func (t *try) extend(bytes int64) { t.timer.Reset(timeFor(t.base, bytes)) }

func timeFor(base time.Duration, bytes int64) time.Duration {
	return base + time.Duration(max(bytes, 0))*time.Second/MinBytesPerSecond
}

// errNoAnswer ends a try.
var errNoAnswer = errors.New("no answer in time")

// do makes a request, with as many tries as it may have, and gives nil or a
// failure, which names the bucket. The outcome is unknown if that of any try is.
func (s *Store) do(ctx context.Context, r request) *failure {
	f := s.tries(ctx, r)
	if f != nil {
		f.err = fmt.Errorf("bucket %s: %w", s.c.Bucket, f.err)
	}
	return f
}

func (s *Store) tries(ctx context.Context, r request) *failure {
	var doubt *failure
	for n := 1; ; n++ {
		f := s.once(ctx, r)
		if f == nil {
			return nil
		}
		if f.kind == nil {
			doubt = f
		}
		more := f.again && (f.kind != nil || r.idempotent) && n < s.o.MaxTries
		if !more || !s.pause(ctx, n) {
			if doubt != nil && f.kind != nil {
				// That nothing is there to delete, or that the last try was
				// refused, says nothing about a try before it.
				f = &failure{err: fmt.Errorf("%w; before: %v", f.err, doubt.err), kind: f.kind}
				if r.verb.writes() {
					f.kind = nil
				}
			}
			return f
		}
		s.o.Logger.DebugContext(ctx, "request is tried again", "store", s.c.Bucket, "verb", string(r.verb), "try", n+1, "error", f.err)
	}
}

// once makes one try.
func (s *Store) once(ctx context.Context, r request) *failure {
	slots := s.reads
	if r.verb.writes() {
		slots = s.writes
	}
	if err := slots.Acquire(ctx, 1); err != nil {
		return &failure{err: fmt.Errorf("wait for a free request: %w", err), kind: schema.ErrUnavailable}
	}
	defer slots.Release(1)
	if s.closed.Load() {
		return &failure{err: errors.New("the store is closed"), kind: schema.ErrClosed}
	}
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := &try{verb: r.verb, base: s.o.RequestTimeout}
	t.timer = time.AfterFunc(timeFor(t.base, r.size), func() { cancel(errNoAnswer) })
	defer t.timer.Stop()
	err := r.send(context.WithValue(limited, tryKey{}, t), t)
	if err == nil {
		return nil
	}
	if context.Cause(limited) == errNoAnswer {
		err = fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	f := classify(err, t.sent.Load(), r.refusal, r.missing)
	if staleCodes[f.code] {
		s.credentials.Invalidate()
		s.sessions.invalidate(t.token)
	}
	if ctx.Err() != nil {
		f.again = false
	}
	return f
}

// pause waits before the next try, and reports false if ctx ends before.
func (s *Store) pause(ctx context.Context, tries int) bool {
	most := s.o.LastBackoff
	if d := s.o.FirstBackoff << min(tries-1, 20); d < most {
		most = d
	}
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(most) + 1)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// readError is the failure of a read, which has no outcome.
func readError(f *failure) error {
	kind := f.kind
	if kind == nil {
		kind = schema.ErrUnavailable
	}
	return fmt.Errorf("%w: %w", kind, f.err)
}
