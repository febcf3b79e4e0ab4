package segment

import (
	"context"
	"iter"
	"math"
	"slices"
	"sort"

	"github.com/trinedb/trine/schema"
)

// ReadBackward yields a collection's changes below a Seq as far as segments hold
// them: the newest group first, each in order of Seq and not reaching to before.
// Otherwise it is as Read, but that the first ranged read of a segment is of a
// block or two, and each next one four times as long up to ReadAhead.
func (a *Archive) ReadBackward(ctx context.Context, id schema.Instance, before schema.Seq) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		next := before
		err := a.retry(ctx, func(set *Set) (bool, error) {
			began := next
			for _, s := range slices.Backward(set.spans) {
				r, err := a.readers.get(ctx, s.Ref)
				if err != nil {
					return next < began, err
				}
				for c := r.back(id, next, s); ; {
					groups, err := c.next(ctx)
					if err != nil {
						return next < began, err
					}
					if groups == nil {
						break
					}
					for _, g := range slices.Backward(groups) {
						if next = g.FirstSeq; !yield(g, nil) {
							return true, nil
						}
					}
				}
			}
			return true, nil
		})
		if err != nil {
			yield(Group{}, err)
		}
	}
}

// backCursor gives a collection's changes in one segment from the end on.
type backCursor struct {
	r      *Reader
	id     schema.Instance
	before schema.Seq
	span   Span
	lo, hi int // blocks that are to come, the last first
	ahead  int64
}

// back places a cursor behind the changes of a span below a Seq. Nothing is read.
func (r *Reader) back(id schema.Instance, before schema.Seq, span Span) *backCursor {
	c := &backCursor{r: r, id: id, before: before, span: span, ahead: BlockBytes}
	if x := r.tail.index; r.tail.filter.has(id) {
		c.lo, c.hi = x.find(id, 0)
		c.hi = c.lo + sort.Search(c.hi-c.lo, func(i int) bool {
			return x[c.lo+i].first == id && x[c.lo+i].seq >= before
		})
	}
	return c
}

// next gives the groups of the blocks that one ranged read brings, in order of
// Seq; nil when there are none left.
func (c *backCursor) next(ctx context.Context) ([]Group, error) {
	for c.lo < c.hi {
		x, from := c.r.tail.index, c.hi-1
		for n := x[from].length(); from > c.lo; from-- {
			if n += x[from-1].length(); n > c.ahead {
				break
			}
		}
		part := cursor{
			scan: scan{r: c.r, lo: from, hi: c.hi, ahead: c.ahead},
			id:   c.id, low: c.span.From, high: c.span.To,
		}
		c.hi, c.ahead = from, min(4*c.ahead, ReadAhead)
		var groups []Group
		for {
			g, ok, err := part.next(ctx)
			if err != nil {
				return nil, err
			}
			if !ok || g.FirstSeq >= c.before {
				break
			}
			g.Records = g.Records[:min(len(g.Records), int(min(c.before-g.FirstSeq, math.MaxInt32)))]
			groups = append(groups, g)
		}
		if groups != nil {
			return groups, nil
		}
	}
	return nil, nil
}

// SeqAt finds the first of a collection's changes, as far as segments hold them,
// that was committed at or after a time, or reports that there is none. In a
// large collection it costs a ranged read for each halving of its blocks in one
// segment.
func (a *Archive) SeqAt(ctx context.Context, id schema.Instance, micros int64) (seq schema.Seq, ok bool, err error) {
	err = a.retry(ctx, func(set *Set) (bool, error) {
		for _, s := range set.spans {
			r, err := a.readers.get(ctx, s.Ref)
			if err != nil {
				return false, err
			}
			if r.tail.info.LastMicros < micros || !r.tail.filter.has(id) {
				continue
			}
			if seq, ok, err = r.seqAt(ctx, id, s, micros); ok || err != nil {
				return false, err
			}
		}
		return false, nil
	})
	return seq, ok, err
}

// seqAt is SeqAt in one segment.
func (r *Reader) seqAt(ctx context.Context, id schema.Instance, span Span, micros int64) (schema.Seq, bool, error) {
	c := cursor{scan: scan{r: r, ahead: ReadAhead}, id: id, low: span.From, high: span.To}
	c.lo, c.hi = r.tail.index.find(id, 0)
	// All blocks but the first begin with the collection: the last that begins
	// before the time is where to look.
	var failed error
	late := sort.Search(c.hi-c.lo, func(i int) bool {
		if i == 0 || failed != nil {
			return failed != nil
		}
		probe := scan{r: r, lo: c.lo + i, hi: c.lo + i + 1, ahead: ReadAhead}
		ok, err := probe.next(ctx)
		failed = err
		return ok && probe.block.run.micros >= micros
	})
	if failed != nil {
		return 0, false, failed
	}
	for c.lo += max(0, late-1); ; {
		g, ok, err := c.next(ctx)
		if err != nil || !ok || g.TimeMicros >= micros {
			return g.FirstSeq, ok, err
		}
	}
}
