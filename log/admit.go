package log

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/trinedb/trine/schema"
)

// errGivenUp ends a dedupEntry whose batch was never sequenced.
var errGivenUp = errors.New("given up before it was sequenced")

// pending is a batch under way from Append to its outcome.
type pending struct {
	a     Append
	bytes int64 // in memory
	start time.Time
	pins  []*seqEntry
	dedup *dedupEntry
	state atomic.Int32

	ack  Ack
	err  error
	done chan struct{} // closed when ack and err are set
}

// The states of a pending. Whoever moves it out of queued has to finish it.
const (
	queued  int32 = iota
	taken         // by the writer: it is sequenced, or refused
	dropped       // by Append: it never will be
)

// recordOverhead is what a record costs in memory beside its bytes.
const recordOverhead = 80

func recordsBytes(records []schema.Record) int64 {
	n := int64(0)
	for i := range records {
		n += int64(records[i].Bytes()) + recordOverhead
	}
	return n
}

func groupsBytes(groups []AppendGroup) int64 {
	n := int64(0)
	for i := range groups {
		n += recordsBytes(groups[i].Records)
	}
	return n
}

// check validates a batch and tells its size.
func (a *Append) check() (int64, error) {
	if err := checkGroups(a.Groups); err != nil {
		return 0, err
	}
	n := groupsBytes(a.Groups)
	if n > maxAppendBytes {
		return 0, fmt.Errorf("batch of %d bytes, want at most %d, send it as several: %w", n, maxAppendBytes, schema.ErrTooLarge)
	}
	return n, nil
}

func checkGroups(groups []AppendGroup) error {
	for i := range groups {
		g := &groups[i]
		if g.Instance == 0 {
			return fmt.Errorf("group %d of the batch has no instance: %w", i, schema.ErrInvalid)
		}
		for j := range g.Records {
			r := &g.Records[j]
			if r.Op < schema.OpInsert || r.Op > schema.OpDelete {
				return fmt.Errorf("record %d of instance %d has %v operation %d: %w", j, g.Instance, r.Op, r.Op, schema.ErrInvalid)
			}
			if len(r.Before) > 0 && !r.Op.Ends() {
				return fmt.Errorf("record %d of instance %d has a before image, and is an %v: %w", j, g.Instance, r.Op, schema.ErrInvalid)
			}
		}
	}
	return nil
}

// Append sequences a batch and returns when it is durable.
//
// If ctx ends while the batch waits for its turn it is not written, and the
// error is schema.ErrOverloaded; if it ends later the error is
// schema.ErrUnknownOutcome. Other errors are what Decide gave,
// schema.ErrPrecondition, ErrConflict, ErrInvalid, ErrTooLarge, ErrNoSpace,
// ErrUnavailable, ErrFenced and ErrClosed; none of these had an effect.
func (c *Channel) Append(ctx context.Context, a Append) (Ack, error) {
	ack, err := c.appendOnce(ctx, a)
	if err != nil {
		err = fmt.Errorf("append: %w", err)
	}
	c.metrics.appended(ack, err)
	return ack, err
}

func (c *Channel) appendOnce(ctx context.Context, a Append) (Ack, error) {
	size, err := a.check()
	if err != nil {
		return Ack{}, err
	}
	if err := c.refusing(); err != nil {
		return Ack{}, err
	}
	p := &pending{a: a, bytes: size, start: time.Now(), done: make(chan struct{})}
	if a.Dedup == (schema.DedupKey{}) {
		return c.enqueue(ctx, p)
	}
	for {
		e, mine := c.claimKey(a.Dedup, a.Digest)
		if !mine {
			if ack, again, err := e.await(ctx, a.Digest); !again {
				return ack, err
			}
			continue
		}
		p.dedup = e
		ack, found, err := c.stateAnswer(ctx, a.Dedup, a.Digest)
		if found || err != nil {
			c.giveUp(p)
			return ack, err
		}
		return c.enqueue(ctx, p)
	}
}

// giveUp lets those who wait for p's key try themselves.
func (c *Channel) giveUp(p *pending) {
	c.unpin(p.pins...)
	if p.dedup == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.dedup.again = true
	c.settleKeyLocked(p.a.Dedup, p.dedup, Ack{}, errGivenUp)
}

// enqueue hands a batch to the writer and waits for its outcome.
func (c *Channel) enqueue(ctx context.Context, p *pending) (Ack, error) {
	if err := c.pinAll(ctx, p); err != nil {
		c.giveUp(p)
		return Ack{}, err
	}
	weight := min(p.bytes+recordOverhead, c.o.MaxPendingBytes)
	if err := c.room.Acquire(ctx, weight); err != nil {
		c.giveUp(p)
		return Ack{}, fmt.Errorf("%d bytes are under way: %w: %w", c.o.MaxPendingBytes, schema.ErrOverloaded, err)
	}
	defer c.room.Release(weight)
	c.metrics.queue(weight)
	defer c.metrics.queue(-weight)
	select {
	case c.in <- p:
	case <-ctx.Done():
		c.giveUp(p)
		return Ack{}, fmt.Errorf("%w: %w", schema.ErrOverloaded, ctx.Err())
	case <-c.exited:
		c.giveUp(p)
		return Ack{}, schema.ErrClosed
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if p.state.CompareAndSwap(queued, dropped) {
			c.giveUp(p)
			return Ack{}, fmt.Errorf("%w: %w", schema.ErrOverloaded, ctx.Err())
		}
		select {
		case <-p.done: // it was decided at the same time
		default:
			return Ack{}, fmt.Errorf("%w: %w", schema.ErrUnknownOutcome, ctx.Err())
		}
	case <-c.exited:
		if p.state.CompareAndSwap(queued, dropped) {
			c.giveUp(p)
			return Ack{}, schema.ErrClosed
		}
		<-p.done // what the writer took it finished
	}
	if p.err == nil {
		c.metrics.acked(time.Since(p.start))
	}
	return p.ack, p.err
}

// pinAll pins the entries that sequencing p needs, so that the writer does not
// have to ask State.
func (c *Channel) pinAll(ctx context.Context, p *pending) error {
	p.pins = make([]*seqEntry, 0, len(p.a.Groups)+1)
	for i := range p.a.Groups {
		e, err := c.pin(ctx, p.a.Groups[i].Instance)
		if err != nil {
			return err
		}
		p.pins = append(p.pins, e)
	}
	if p.a.IfSeq != nil {
		e, err := c.pin(ctx, p.a.IfSeq.Instance)
		if err != nil {
			return err
		}
		p.pins = append(p.pins, e)
	}
	return nil
}

// finish tells a batch's outcome to everybody who waits for it. The writer calls
// it, exactly once for each batch that it took.
func (c *Channel) finish(p *pending, ack Ack, err error) {
	c.mu.Lock()
	for _, e := range p.pins {
		c.seqs.unpinLocked(e, c.applied)
	}
	if p.dedup != nil {
		c.settleKeyLocked(p.a.Dedup, p.dedup, ack, err)
	}
	c.mu.Unlock()
	p.ack, p.err = ack, err
	close(p.done)
}
