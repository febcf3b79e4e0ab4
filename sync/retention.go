package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// maxTrimsAtOnce bounds a batch of trim points.
const maxTrimsAtOnce = 1000

// retention is one look at a segment: whose changes there are too old, and what
// of it need not be kept.
type retention struct {
	e        *Engine
	span     segment.Span
	newest   int64  // commit time of the log's newest change: what age is counted from
	archived int64  // commit time of the last chunk that segments hold
	given    int64  // a trim point of before it is in a chunk that was given up to segments
	copied   uint64 // the last chunk that a copy of the index holds
	restored bool   // which is all of the span

	trims []trim
	from  map[schema.Instance]schema.Seq
	bytes int64     // of all changes
	free  int64     // of those that need not be kept
	held  int64     // of those that only a copy of the index would free
	soon  bool      // a trim point will count soon
	due   time.Time // by the log's clock, when the next collection's changes are too old; zero: never
}

// Retain is log.Retainer's: it sets the trim points that retention asks for, and lets
// go of what trim points let go before, once that is half of the segment.
//
// A collection's changes in a segment are too old when the newest of them is. Age is
// counted from the newest commit of the log, so a clock that runs ahead lets go of
// nothing by itself, and a log that rests keeps what it has.
func (e *Engine) Retain(ctx context.Context, a *segment.Archive, s segment.Span) (log.Retained, error) {
	r := &retention{e: e, span: s, from: map[schema.Instance]schema.Seq{}}
	if err := r.begin(ctx, a); err != nil {
		return log.Retained{}, err
	}
	if err := r.look(ctx, a); err != nil {
		return log.Retained{}, fmt.Errorf("look at segment %s: %w", s.Ref.Name(), err)
	}
	r.soon = r.soon || len(r.trims) > 0
	for len(r.trims) > 0 {
		n := min(len(r.trims), maxTrimsAtOnce)
		done, err := e.setTrims(ctx, r.trims[:n])
		if err != nil {
			return log.Retained{}, fmt.Errorf("set %d trim points: %w", n, err)
		}
		e.metrics.trims.Add(float64(done))
		r.trims = r.trims[n:]
	}
	if err := e.forgetDropped(ctx, a, r.given); err != nil {
		return log.Retained{}, err
	}
	e.held.tell(a.Set(), s.Ref, r.held, r.copied)
	out := log.Retained{Again: r.again(a)}
	if r.free > 0 && r.free >= r.bytes-r.free {
		out.From = func(inst schema.Instance) schema.Seq { return r.from[inst] }
	}
	return out, nil
}

func (r *retention) begin(ctx context.Context, a *segment.Archive) error {
	durable := r.e.log.Durable()
	ck, err := r.e.log.Chunk(ctx, durable)
	if err != nil {
		return fmt.Errorf("newest commit time: %w", err)
	}
	r.newest = min(ck.TimeMicros, r.e.opts.Now().UnixMicro())
	if r.archived, err = a.LastMicros(ctx); err != nil {
		return err
	}
	if r.given, err = r.e.log.GivenUpMicros(ctx); err != nil {
		return fmt.Errorf("commit time of the floor: %w", err)
	}
	if r.e.opts.Copied != nil {
		if pos := r.e.opts.Copied(); pos.Generation == durable.Generation {
			r.copied = pos.Chunk
		}
	}
	r.restored = r.copied >= r.span.To
	return nil
}

// holding is what the segment holds of one collection.
type holding struct {
	c     *schema.Collection // nil: it was dropped, or is Trine's own
	point schema.Seq         // before which segments need not keep it
	bytes int64
	free  int64
	next  schema.Seq
	last  int64 // commit time
}

// look goes through the segment, collection by collection.
func (r *retention) look(ctx context.Context, a *segment.Archive) error {
	var h holding
	var inst schema.Instance
	for g, err := range a.Sorted(ctx, r.span.From, r.span.To) {
		if err != nil {
			return err
		}
		if g.Instance != inst {
			if err := r.settle(ctx, inst, h); err != nil {
				return err
			}
			inst = g.Instance
			if h, err = r.holding(ctx, inst); err != nil {
				return err
			}
		}
		size := recordBytes(g.Records)
		h.bytes += size
		if g.NextSeq() < h.point {
			h.free += size
		}
		h.next, h.last = g.NextSeq(), g.TimeMicros
	}
	return r.settle(ctx, inst, h)
}

func (r *retention) holding(ctx context.Context, inst schema.Instance) (h holding, err error) {
	if inst < schema.FirstUserInstance {
		return holding{}, nil
	}
	if h.c, err = r.e.catalog.ByInstance(ctx, inst); err != nil && !errors.Is(err, schema.ErrNotFound) {
		return holding{}, err
	}
	var young bool
	h.point, young, err = r.point(ctx, inst)
	r.soon = r.soon || young
	return h, err
}

// point is before which change segments need not keep a collection: its trim point,
// or the end if it was dropped. It counts once its chunk was given up to segments; or
// it is too young. An index that is built from segments, up to the floor, then meets
// it before the changes, and the last change before it, so that the chunks behind the
// floor go on where it is.
func (r *retention) point(ctx context.Context, inst schema.Instance) (point schema.Seq, young bool, err error) {
	at, dropped, err := r.e.index.DroppedAt(ctx, inst)
	if err != nil || dropped && at >= r.given {
		return 0, dropped, err
	}
	if dropped {
		return seqEnd, false, nil
	}
	row, ok, err := r.e.index.GetRow(ctx, schema.InstanceTrims, schema.TrimKey(inst))
	if err != nil || !ok || row.TimeMicros >= r.given {
		return 0, ok, err
	}
	point, err = DecodeTrimPoint(row.Bytes)
	return point, false, err
}

// Kept is log.Retainer's: what a merge of chunks up to a number keeps.
func (e *Engine) Kept(ctx context.Context, a *segment.Archive, through uint64) (func(schema.Instance) schema.Seq, error) {
	r := &retention{e: e, span: segment.Span{To: through}}
	if err := r.begin(ctx, a); err != nil {
		return nil, err
	}
	return func(inst schema.Instance) schema.Seq {
		if inst < schema.FirstUserInstance {
			return 0
		}
		point, _, err := r.point(ctx, inst)
		if err != nil || point == 0 || point == seqEnd {
			return point // 0: what is not known to go stays
		}
		if c, err := e.catalog.ByInstance(ctx, inst); err != nil || c.Schema.Keyed() && !r.restored {
			return 0
		}
		return point
	}, nil
}

// settle counts what the segment holds of a collection, and decides on it.
func (r *retention) settle(ctx context.Context, inst schema.Instance, h holding) error {
	r.bytes += h.bytes
	switch {
	case h.free > 0 && h.c != nil && h.c.Schema.Keyed() && !r.restored:
		r.held += h.free // its rows are in the index alone
	case h.free > 0:
		r.free += h.free
		r.from[inst] = h.point
	}
	if h.c == nil {
		return nil
	}
	old, err := r.tooOld(ctx, h)
	if err != nil || !old {
		return err
	}
	before, err := r.e.lakeAllows(ctx, h.c, h.next)
	if err != nil || before == 0 {
		return err
	}
	first, err := r.e.firstSeq(ctx, inst)
	if err == nil && before > first {
		r.trims = append(r.trims, trim{h.c, before})
	}
	return err
}

// tooOld reports whether retention lets go of all that the segment holds of a
// collection.
func (r *retention) tooOld(ctx context.Context, h holding) (bool, error) {
	o := h.c.Options
	if o.LogRetention > 0 {
		due := time.UnixMicro(h.last).Add(o.LogRetention)
		if !due.After(time.UnixMicro(r.newest)) {
			return true, nil
		}
		if r.due.IsZero() || due.Before(r.due) {
			r.due = due
		}
	}
	if o.LogRetentionBytes == 0 {
		return false, nil
	}
	behind, err := r.e.index.LogBetween(ctx, h.c.Instance, h.next, seqEnd)
	return behind.Bytes >= o.LogRetentionBytes, err
}

// lakeAllows is how much of a log below a seq neither the lake nor a scan needs; 0:
// nothing. A keyed collection without a table needs none of it, as its rows are in
// the index; one that is not keyed has them in the log alone until it has a table,
// unless it is to have none.
func (e *Engine) lakeAllows(ctx context.Context, c *schema.Collection, before schema.Seq) (schema.Seq, error) {
	if c.Options.Lake == schema.LakeOff {
		return before, nil
	}
	stats, err := e.index.Stats(ctx, c.Instance)
	if err != nil {
		return 0, err
	}
	if !c.Schema.Keyed() {
		// What was made on demand goes again, and must find the log whole.
		if onDemand, err := e.onDemand(ctx, c, stats); onDemand || err != nil {
			return 0, err
		}
	}
	if stats.LakeSnapshot != 0 {
		return min(before, stats.LakeSeq), nil
	}
	snap, err := e.currentSnapshot(ctx, c) // which an index that was built anew does not know yet
	if err != nil || snap == nil && !c.Schema.Keyed() {
		return 0, err
	}
	if snap == nil {
		return before, nil
	}
	return min(before, snap.NextSeq()), nil
}

// again is when to look next: when more is too old, or sooner the younger the
// segment is, as a log may also be trimmed by hand.
func (r *retention) again(a *segment.Archive) time.Time {
	every := r.e.opts.RetainEvery
	wait := max(every, time.Duration(r.archived-r.last(a))*time.Microsecond/4)
	if r.soon {
		wait = every
	}
	if !r.due.IsZero() {
		wait = min(wait, max(every, r.due.Sub(time.UnixMicro(r.newest))))
	}
	return r.e.opts.Now().Add(wait)
}

// last is the commit time of the span's end.
func (r *retention) last(a *segment.Archive) int64 {
	info, err := a.Info(context.Background(), r.span.Ref)
	if err != nil {
		return r.archived
	}
	return info.LastMicros
}
