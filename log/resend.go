package log

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/internal/blob"
)

// Waits before a chunk is put again whose outcome is not known, and for how long
// after the first such answer that is tried.
const (
	firstResend = 10 * time.Millisecond
	lastResend  = time.Second
	resendFor   = 5 * time.Second
)

// store puts a chunk, and while it is not known what became of it puts it again
// under its own put id: of all the tries at most one lands, and one that is
// refused by an earlier one has succeeded (put finds that out). That takes a
// request, two if the chunk had landed, where a take-over takes a dozen and gives
// up all that is in flight behind.
//
// An error that leaves the outcome open means what it does for put. What a later
// try had no effect by says nothing about the first.
func (p *pipeline) store(ctx context.Context, b *building) error {
	buf := &shared{data: b.data, reuse: p.reuse}
	buf.hold()
	defer buf.release()
	put := func() error {
		buf.hold()
		return p.c.layout.put(ctx, b.header, buf.data, buf.release)
	}
	err := put()
	if !unsettled(err) {
		return err
	}
	doubt, tries := err, 1
	end := time.Now().Add(resendFor)
	for wait := firstResend; time.Now().Add(wait).Before(end) && !p.hopeless(b); wait = min(2*wait, lastResend) {
		if sleep(ctx, wait) != nil {
			break
		}
		p.c.metrics.resent.Inc()
		tries++
		if err = put(); err == nil || errors.Is(err, errForeign) || errors.Is(err, errSealed) {
			return err
		}
	}
	if err.Error() == doubt.Error() {
		return fmt.Errorf("%w (%d tries)", doubt, tries)
	}
	return fmt.Errorf("%w (%d tries, the last: %v)", doubt, tries, err)
}

// unsettled reports whether a PUT that ended with err may have landed, and may
// yet succeed.
func unsettled(err error) bool {
	return err != nil && !blob.NoEffect(err) && !errors.Is(err, errForeign) && !errors.Is(err, errSealed)
}

// hopeless reports whether nothing is won by storing b: a chunk before it failed,
// or the channel is another's.
func (p *pipeline) hopeless(b *building) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fenced || b.run == p.failed && b.number > p.from
}

// shared is the buffer of a chunk, which is used again when nobody holds it.
type shared struct {
	data  []byte
	users atomic.Int32
	reuse func([]byte)
}

func (s *shared) hold() { s.users.Add(1) }

func (s *shared) release() {
	if s.users.Add(-1) == 0 {
		s.reuse(s.data)
	}
}
