package log

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trinedb/trine/schema"
)

// decide checks a batch's conditions and gives the records it comes to.
func (w *writer) decide(p *pending) ([]AppendGroup, error) {
	if cond := p.a.IfSeq; cond != nil {
		e := p.pins[len(p.pins)-1]
		w.c.mu.RLock()
		next := e.next
		w.c.mu.RUnlock()
		if next != cond.Seq {
			return nil, &SeqError{Instance: cond.Instance, Want: cond.Seq, Actual: next}
		}
	}
	groups := p.a.Groups
	if p.a.Decide != nil {
		var err error
		if groups, err = p.a.Decide(groups); err != nil {
			return nil, err
		}
		if err := checkGroups(groups); err != nil {
			return nil, err
		}
		if p.bytes = groupsBytes(groups); p.bytes > maxAppendBytes {
			return nil, fmt.Errorf("batch came to %d bytes with the rows that it changes, want at most %d, send it as several: %w", p.bytes, maxAppendBytes, schema.ErrTooLarge)
		}
	}
	hollow := func(g AppendGroup) bool { return len(g.Records) == 0 }
	if slices.ContainsFunc(groups, hollow) {
		groups = slices.DeleteFunc(slices.Clone(groups), hollow)
	}
	return groups, nil
}

// sequence gives a batch's records their Seqs and stages them.
func (w *writer) sequence(p *pending, groups []AppendGroup) error {
	entries := make([]*seqEntry, len(groups))
	for i := range groups {
		if i < len(p.pins) && p.pins[i].id == groups[i].Instance {
			entries[i] = p.pins[i]
			continue
		}
		// Decide moved records to a collection of its own choice, or left
		// groups out.
		e, err := w.c.pin(context.Background(), groups[i].Instance)
		if err != nil {
			return err
		}
		p.pins = append(p.pins, e)
		entries[i] = e
	}
	staged := make([]schema.Group, len(groups))
	acks := make([]AckGroup, len(groups))
	w.c.mu.Lock()
	for i, g := range groups {
		e := entries[i]
		staged[i] = schema.Group{Instance: g.Instance, FirstSeq: e.next, Records: g.Records}
		acks[i] = AckGroup{Instance: g.Instance, FirstSeq: e.next, Count: len(g.Records)}
		e.next += schema.Seq(len(g.Records))
	}
	w.c.mu.Unlock()
	w.take(p, staged, acks)
	return nil
}

// take puts a sequenced batch into the open chunk.
func (w *writer) take(p *pending, staged []schema.Group, acks []AckGroup) {
	b := w.open
	pos := w.c.at(b.number)
	p.ack = Ack{Groups: acks}
	if len(staged) > 0 {
		w.c.o.Stager.Stage(pos, staged)
	}
	for _, g := range staged {
		b.add(g)
	}
	if p.dedup != nil {
		b.answers = answers(b.answers, p.a.Dedup, p.a.Digest, pos, acks)
	}
	if b.empty() && len(w.flying) > 0 {
		w.linger.Reset(w.spacing.wait(w.c.o.Linger, w.c.o.InFlight))
	}
	if b.empty() {
		b.began = time.Now()
	}
	b.batches = append(b.batches, p)
	b.bytes += p.bytes
}

// ride answers a batch that needs no storing, once all that it may have been
// decided on is durable.
func (w *writer) ride(p *pending, err error) {
	switch {
	case !w.open.empty():
		w.open.riders = append(w.open.riders, rider{p, err})
	case len(w.flying) > 0:
		b := w.flying[len(w.flying)-1]
		b.riders = append(b.riders, rider{p, err})
	default:
		w.answer(rider{p, err}, w.lastTime)
	}
}

func (w *writer) answer(r rider, timeMicros int64) {
	if r.err != nil {
		w.c.finish(r.p, Ack{}, r.err)
		return
	}
	w.c.finish(r.p, Ack{Position: w.c.Durable(), TimeMicros: timeMicros}, nil)
}
