package log

import (
	"context"
	"time"

	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// Retained is what is to be kept of a segment.
type Retained struct {
	// From is the first change that is kept of each collection. nil: the segment
	// stays as it is. What it lets go must be let go for good, by a record of before
	// GivenUpMicros: who builds an index from segments up to the floor meets it there,
	// and the last change before the point too.
	From func(schema.Instance) schema.Seq
	// Again is when to look at the segment next. Zero: not before the next start.
	Again time.Time
}

// Retainer says what is kept of segments. One goroutine calls it, which does
// nothing else meanwhile.
type Retainer interface {
	// Retain looks at a segment; after an error it is called again.
	Retain(ctx context.Context, a *segment.Archive, s segment.Span) (Retained, error)
	// Kept is what a merge keeps of chunks up to a number, as Retained.From is.
	Kept(ctx context.Context, a *segment.Archive, through uint64) (func(schema.Instance) schema.Seq, error)
}

// retainer has segments looked at, one at a time, and written again without what
// is not kept. The archivist alone uses it.
type retainer struct {
	a     *archivist
	looks map[segment.Ref]time.Time // when to look next; a segment that is not there was not met yet
	rest  time.Time                 // not before then
}

// retainShare is how much longer the retainer rests than it works: it shares disk,
// network and processor with what is urgent.
const retainShare = 3

// longestLook is longer than the largest segment is looked at for.
const longestLook = time.Hour

// step looks at the segments that are due and tells when the next is; zero: never.
func (r *retainer) step(ctx context.Context) (time.Time, error) {
	if now := r.a.now(); now.Before(r.rest) {
		return r.rest, nil
	}
	set := r.a.c.archive.Set()
	r.forget(set)
	var next time.Time
	for _, s := range set.Spans() {
		due, seen := r.looks[s.Ref]
		if !seen {
			due = r.a.now().Add(r.a.o.RetainAfter)
			r.looks[s.Ref] = due
			if err := r.tellOldest(ctx); err != nil {
				r.a.c.o.Logger.Warn("it is not known how far back segments go", "error", err) // the first look tells
			}
		}
		if !due.IsZero() && !r.a.now().Before(due) {
			began := r.a.now()
			if err := r.look(ctx, s); err != nil {
				if ctx.Err() != nil {
					return next, err
				}
				// Segments are made and deleted all the same.
				r.looks[s.Ref] = r.a.now().Add(lastArchiveRetry)
				r.a.metrics.failures.Inc()
				r.a.c.o.Logger.Warn("segment is not trimmed", "segment", s.Ref.Name(), "retry_in", lastArchiveRetry, "error", err)
			}
			r.restAfter(began)
			return r.rest, nil // what is urgent comes first
		}
		next = earlier(next, due)
	}
	return next, nil
}

// restAfter lets a look that began then be followed by a rest. One that seems to have
// taken longer than any does was under way when the clock was set.
func (r *retainer) restAfter(began time.Time) {
	now := r.a.now()
	r.rest = now
	if worked := now.Sub(began); worked < longestLook {
		r.rest = now.Add(retainShare * worked)
	}
}

// forget drops what is known of segments that are no more.
func (r *retainer) forget(set *segment.Set) {
	if len(r.looks) <= 2*len(set.Spans()) {
		return
	}
	looks := make(map[segment.Ref]time.Time, len(set.Spans()))
	for _, s := range set.Spans() {
		if due, ok := r.looks[s.Ref]; ok {
			looks[s.Ref] = due
		}
	}
	r.looks = looks
}

func (r *retainer) look(ctx context.Context, s segment.Span) error {
	archive := r.a.c.archive
	if err := r.tellOldest(ctx); err != nil {
		return err
	}
	kept, err := r.a.o.Retainer.Retain(ctx, archive, s)
	if err != nil {
		return err
	}
	r.looks[s.Ref] = kept.Again
	if kept.From == nil || s.Ref.Level >= segment.MaxLevel {
		return nil
	}
	out := s.Ref
	out.Level, out.From, out.To = s.Ref.Level+1, s.From, s.To
	was, err := archive.Info(ctx, s.Ref)
	if err != nil {
		return err
	}
	info, err := segment.Merge(ctx, r.a.o.Store, archive.Decoder(), segment.Job{Inputs: []segment.Span{s}, Output: out, From: kept.From})
	if err != nil {
		return err
	}
	if err := archive.Added(out); err != nil {
		return err
	}
	r.looks[out] = kept.Again
	r.a.metrics.made("trimmed", info)
	r.a.c.o.Logger.Info("segment trimmed", "segment", out.Name(), "changes", info.Changes, "were", was.Changes, "bytes", info.Bytes, "were_bytes", was.Bytes)
	return nil
}

// tellOldest tells how far back the segments go.
func (r *retainer) tellOldest(ctx context.Context) error {
	archive := r.a.c.archive
	for _, s := range archive.Set().Spans() {
		info, err := archive.Info(ctx, s.Ref)
		if err != nil {
			return err
		}
		if info.Changes > 0 {
			r.a.metrics.oldest.Set(float64(info.FirstMicros) / 1e6)
			return nil
		}
	}
	return nil
}

// GivenUpMicros is a commit time before which all chunks are given up to segments;
// 0 if none is.
func (c *Channel) GivenUpMicros(ctx context.Context) (int64, error) {
	floor := c.floor()
	if floor == 0 {
		return 0, nil
	}
	hdr, err := c.header(ctx, floor+1) // which is never deleted, and never void
	return hdr.TimeMicros, err
}
