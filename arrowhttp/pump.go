package arrowhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	stdsync "sync"
	"time"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// changeSink turns changes into bytes for one client. add, evolve, pending and
// take are called under the pump's lock; the rest by the goroutine of the request alone.
type changeSink interface {
	// add takes in a change, with the row before it or nil; it keeps none of the
	// bytes. Of a delete row has the key alone.
	add(ch schema.Change, row, before []schema.Value)
	// evolve changes the shape of the rows to come, if it can; if not, they
	// are still given in the old one.
	evolve(c *schema.Collection) bool
	// pending is about how many bytes wait to be taken, full whether to wait
	// with more.
	pending() (bytes int, full bool)
	// take detaches what is pending; the function that it gives sends that.
	take() func() error

	begin() error // sends what comes before the first change
	// heartbeat sends what readers pass over; asked tells that the client asked
	// for it, and so knows what it is.
	heartbeat(asked bool) error
	finish() error
	abort(Problem) error
}

// pump carries changes from the log to a client. A goroutine reads, filters
// and encodes into the sink's pending buffer while the request's goroutine
// sends the one before, so at most two are held; the first waits while the
// second is full, and so the client's pace becomes the reader's.
type pump struct {
	q    *request
	c    *schema.Collection
	req  logRequest
	sink changeSink

	some  chan struct{} // something is pending
	full  chan struct{} // as much as one wants to send is
	space chan struct{} // the pending buffer was taken
	done  chan struct{} // the reader has returned

	mu  stdsync.Mutex // guards sink's pending buffer
	err error         // of the reader; read after done
}

func newPump(q *request, c *schema.Collection, req logRequest, sink changeSink) *pump {
	return &pump{
		q: q, c: c, req: req, sink: sink,
		some: make(chan struct{}, 1), full: make(chan struct{}, 1), // one: a signal, not a queue
		space: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// run sends the log until it ends, fails, its client goes or the server closes.
func (p *pump) run() error {
	ctx, cancel := context.WithCancel(p.q.ctx())
	defer func() { cancel(); <-p.done }()
	go p.read(ctx)

	err := p.guard(func() error { return p.send(ctx, cancel) })
	if err == nil {
		return p.sink.finish()
	}
	return p.q.abort(err, p.sink)
}

// guard makes a panic an error, so that the stream ends as a failed one does.
func (p *pump) guard(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p.q.s.log.Error("log panicked", "path", p.q.r.URL.EscapedPath(), "panic", v, "stack", stack())
			err = fmt.Errorf("log panicked: %v", v)
		}
	}()
	return fn()
}

// read is the reader's goroutine.
func (p *pump) read(ctx context.Context) {
	defer close(p.done)
	p.err = p.guard(func() error { return p.readAll(ctx) })
}

func (p *pump) readAll(ctx context.Context) error {
	rows := newRowReader(p.q.s.rows, p.c.Schema)
	var count, bytes int64
	for ch, err := range p.q.s.backend.Changes.Read(ctx, p.c, p.req.ChangesRequest) {
		if err != nil {
			return err
		}
		if p.req.over(ch) {
			return nil
		}
		if rows, err = p.follow(ctx, rows, ch); err != nil {
			return err
		}
		row, before, err := rows.change(ctx, &ch)
		if err != nil {
			return p.q.raced(p.c, fmt.Errorf("read change %d of %s: %w", ch.Seq, p.c, err))
		}
		if p.req.where == nil || p.req.where.Match(subject(&ch, row, before), ch.Seq, ch.TimeMicros) {
			bytes += int64(ch.Bytes())
			if p.req.limitBytes > 0 && bytes > p.req.limitBytes && count > 0 {
				return nil // but one change always, so that its reader gets on
			}
			if err := p.add(ctx, ch, row, before); err != nil {
				return err
			}
			count++
		}
		if count > 0 && count == p.req.limit || p.req.last(ch.Seq) {
			return nil
		}
	}
	return ctx.Err()
}

// subject is the row that where is about: what the change left, or of a delete
// what it put an end to, if that is known, else its key.
func subject(ch *schema.Change, row, before []schema.Value) []schema.Value {
	if ch.Op == schema.OpDelete && before != nil {
		return before
	}
	return row
}

// follow keeps a log that is read for days in step with its collection: a row
// of a schema not met before may mean that the collection evolved.
func (p *pump) follow(ctx context.Context, rows *rowReader, ch schema.Change) (*rowReader, error) {
	if rows.knows(ch.Row) && rows.knows(ch.Before) {
		return rows, nil
	}
	c, err := p.q.s.backend.Collections.Get(ctx, p.c.Tenant, p.c.Name)
	if err != nil {
		return nil, err
	}
	if c.Instance != p.c.Instance {
		return nil, fmt.Errorf("collection %s was dropped: %w", p.c, schema.ErrNotFound)
	}
	if c.Schema.ID == p.c.Schema.ID {
		return rows, nil
	}
	p.mu.Lock()
	evolved := p.sink.evolve(c)
	p.mu.Unlock()
	if !evolved {
		return rows, nil
	}
	if p.req.where, err = query.ParseWhere(p.q.query.Get("where"), c.Schema); err != nil {
		return nil, fmt.Errorf("parameter where, since the schema changed: %w", err)
	}
	p.c = c
	return newRowReader(p.q.s.rows, c.Schema), nil
}

// add puts a change into the pending buffer, and waits while that is full.
func (p *pump) add(ctx context.Context, ch schema.Change, row, before []schema.Value) error {
	p.mu.Lock()
	p.sink.add(ch, row, before)
	_, full := p.sink.pending()
	p.mu.Unlock()
	signal(p.some)
	if !full {
		return nil
	}
	signal(p.full)
	for {
		select {
		case <-p.space:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.mu.Lock()
		_, full = p.sink.pending()
		p.mu.Unlock()
		if !full { // the signal may have been of the buffer before
			return nil
		}
	}
}

// send is the request's half. A nil error means that the log ended as asked,
// or that the server closes and a follower is to come back.
func (p *pump) send(ctx context.Context, cancel context.CancelFunc) error {
	closing := p.q.s.closing
	if !p.req.Follow {
		closing = nil // it ends by itself
	}
	heartbeat := time.NewTicker(cmp.Or(p.req.heartbeat, heartbeatTime))
	defer heartbeat.Stop()
	begun := false
	begin := time.After(10 * lingerTime) // a failure until then can still be a problem
	if !p.req.Follow {
		begin = nil
	}
	for {
		select {
		case <-p.some:
			p.linger(ctx, begun)
		case <-p.done:
			return p.drained(p.err)
		case <-closing:
			cancel()
			<-p.done
			if errors.Is(p.err, context.Canceled) && p.q.ctx().Err() == nil {
				p.err = nil
			}
			return p.drained(p.err)
		case <-ctx.Done():
			return ctx.Err()
		case <-heartbeat.C:
			if begun {
				if err := p.sink.heartbeat(p.req.heartbeat > 0); err != nil {
					return err
				}
			}
			continue
		case <-begin:
			begin = nil
			if begun {
				continue
			}
			begun = true
			if err := p.sink.begin(); err != nil {
				return err
			}
			continue
		}
		begun = true
		if err := p.sendPending(); err != nil {
			return err
		}
		heartbeat.Reset(cmp.Or(p.req.heartbeat, heartbeatTime))
	}
}

// linger waits for company: a moment when a client is waiting for it, else
// until there is enough to be worth sending.
func (p *pump) linger(ctx context.Context, begun bool) {
	wait := lingerTime
	switch {
	case p.req.Follow:
		wait = followLingerTime
	case begun:
		wait *= 20
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.full:
	case <-p.done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// drained sends what the reader left, when it ended with err.
func (p *pump) drained(err error) error {
	p.mu.Lock()
	n, _ := p.sink.pending()
	p.mu.Unlock()
	if n == 0 {
		return err
	}
	if serr := p.sendPending(); serr != nil {
		return serr
	}
	return err
}

func (p *pump) sendPending() error {
	p.mu.Lock()
	send := p.sink.take()
	select {
	case <-p.full: // of what was taken
	default:
	}
	p.mu.Unlock()
	signal(p.space)
	return send()
}

// signal leaves a mark that somebody waiting finds, now or later.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
