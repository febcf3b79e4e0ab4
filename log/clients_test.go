package log_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// clientState is a client of a world: it waits for each answer before it goes on.
type clientState struct {
	id    int
	busy  bool                           // guarded by world.mu
	last  schema.Position                // of what was acknowledged to it last
	acked map[schema.Instance]schema.Seq // next Seqs that it knows of
}

// recorder notes what clients asked and were told, in the order of both.
type recorder struct {
	mu    sync.Mutex
	clock int
	done  []operation
}

// operation is one thing that a client did and was answered.
type operation struct {
	client    int
	call, end int
	asked     question
	told      reply
}

func (r *recorder) tick() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	return r.clock
}

func (r *recorder) note(client, call int, q question, a reply) int {
	end := r.tick()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, operation{client, call, end, q, a})
	return end
}

// client lets an idle client do something.
func (w *world) client() {
	k := w.clients[w.r.IntN(len(w.clients))]
	w.mu.Lock()
	busy := k.busy
	w.mu.Unlock()
	p := w.some()
	if busy || p == nil {
		return
	}
	k.busy = true
	var act func(ctx context.Context)
	switch n := w.r.IntN(10); {
	case w.o.reads && n < 3:
		act = w.read(k, p)
	case w.o.reads && n < 4:
		act = w.tail(k, p)
	default:
		act = w.send(k, p)
	}
	patience := time.Duration(1+w.r.IntN(8000)) * time.Millisecond
	w.do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		act(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		k.busy = false
	})
}

// send sends a batch, or one again whose outcome is not known.
func (w *world) send(k *clientState, p *owner) func(context.Context) {
	var s *sent
	if open := w.h.open(); len(open) > 0 && w.r.IntN(2) == 0 {
		s = open[w.r.IntN(len(open))]
	} else {
		s = w.h.add(w.r)
		if w.o.reads && w.r.IntN(4) == 0 {
			s.ifSeq = w.condition(s, p)
		}
	}
	call := w.ops.tick()
	w.h.mu.Lock()
	if s.began == 0 {
		s.began = call
	}
	w.h.mu.Unlock()
	w.note("client %d sends %s to %d", k.id, s.row, p.id)
	return func(ctx context.Context) {
		ack, err := p.c.Append(ctx, s.append())
		w.s.mu.Lock()
		dead := p.dead
		w.s.mu.Unlock()
		if err != nil && dead {
			err = schema.ErrUnknownOutcome // nobody was there to tell
		}
		w.answered(k, call, s, ack, err, w.sole(p))
	}
}

// condition is a guess of the next Seq of the first of a batch's collections.
func (w *world) condition(s *sent, p *owner) *log.IfSeq {
	next, err := p.c.NextSeq(context.Background(), s.ids[0])
	if err != nil {
		w.t.Errorf("next seq: %v", err)
	}
	return &log.IfSeq{Instance: s.ids[0], Seq: next + schema.Seq(w.r.IntN(3)/2)}
}

// answered notes what became of a batch.
func (w *world) answered(k *clientState, call int, s *sent, ack log.Ack, err error, current bool) {
	q := question{kind: appends, row: s.row, ids: s.ids, keyed: s.key != schema.DedupKey{}, ifSeq: s.ifSeq}
	var refused *log.SeqError
	switch {
	case err == nil:
		a := reply{outcome: acked}
		for _, g := range ack.Groups {
			a.seqs = append(a.seqs, g.FirstSeq)
			k.know(g.Instance, g.FirstSeq+1)
		}
		if ack.Position.Compare(k.last) > 0 {
			k.last = ack.Position
		}
		end := w.ops.note(k.id, call, q, a)
		w.h.mu.Lock()
		if s.ended == 0 {
			s.ended = end
		}
		w.h.mu.Unlock()
	case errors.As(err, &refused):
		w.ops.note(k.id, call, q, reply{outcome: failed, next: refused.Actual, current: current})
	case errors.Is(err, schema.ErrUnknownOutcome):
		w.ops.note(k.id, call, q, reply{outcome: unknown})
	default:
		w.mustBeKnown(err)
	}
	_ = w.h.told(w.t, s, ack, err) // noted above
}

func (k *clientState) know(id schema.Instance, next schema.Seq) {
	if k.acked == nil {
		k.acked = map[schema.Instance]schema.Seq{}
	}
	k.acked[id] = max(k.acked[id], next)
}

// mustBeKnown complains of an error that Append's documentation does not know.
func (w *world) mustBeKnown(err error) {
	for _, kind := range []error{
		schema.ErrNoSpace, schema.ErrUnavailable, schema.ErrFenced, schema.ErrClosed, schema.ErrOverloaded,
	} {
		if errors.Is(err, kind) {
			return
		}
	}
	w.t.Errorf("append failed with an error of no kind: %v", err)
}

// sole reports whether p certainly is the owner: the head says so, and nobody is
// about to change that.
func (w *world) sole(p *owner) bool {
	w.mu.Lock()
	opening := w.opening
	w.mu.Unlock()
	data, err := w.s.backing.Get(context.Background(), chunk.HeadName(0))
	return opening == 0 && err == nil && bytes.Contains(data, fmt.Appendf(nil, `"owner":"%d"`, p.id))
}

// window is how many chunks a client reads.
const window = 6

// read reads the newest changes of a collection.
func (w *world) read(k *clientState, p *owner) func(context.Context) {
	id, wait := instanceOf(w.r), w.r.IntN(2) == 0
	q := question{kind: reads, ids: []schema.Instance{id}}
	call := w.ops.tick()
	w.note("client %d reads %d at %d", k.id, id, p.id)
	return func(ctx context.Context) {
		if wait {
			if p.c.Wait(ctx, k.last) != nil {
				return
			}
			q.least = k.acked[id]
		}
		a := reply{outcome: acked, current: w.sole(p)}
		upto := p.c.Durable()
		for n := upto.Chunk - min(window, upto.Chunk) + 1; n <= upto.Chunk; n++ {
			ck, err := p.c.Chunk(ctx, schema.Position{Chunk: n})
			if err != nil {
				w.mustBeSound(err)
				return
			}
			g, ok := ck.Group(id)
			if ok && len(a.rows) == 0 {
				q.from = g.FirstSeq
			}
			for _, r := range g.Records {
				a.rows = append(a.rows, string(r.Row))
			}
		}
		if a.next = q.from + schema.Seq(len(a.rows)); len(a.rows) > 0 {
			w.ops.note(k.id, call, q, a)
		}
	}
}

// tail checks the next Seq of a collection.
func (w *world) tail(k *clientState, p *owner) func(context.Context) {
	q := question{kind: tails, ids: []schema.Instance{instanceOf(w.r)}}
	call := w.ops.tick()
	w.note("client %d asks %d for the tail of %d", k.id, p.id, q.ids[0])
	return func(ctx context.Context) {
		a := reply{outcome: acked, current: w.sole(p)}
		next, err := p.c.NextSeq(ctx, q.ids[0])
		if err != nil {
			w.t.Errorf("next seq: %v", err)
			return
		}
		a.next = next
		w.ops.note(k.id, call, q, a)
	}
}

func instanceOf(r *rand.Rand) schema.Instance { return schema.Instance(16 + r.IntN(5)) }
