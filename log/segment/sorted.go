package segment

import (
	"context"
	"iter"

	"github.com/trinedb/trine/schema"
)

// Sorted yields all changes of the chunks from one number to another, as far as
// segments hold them, sorted by collection and Seq: the same sequence whichever
// segments hold them at the time. One error may come, last. Records may be
// kept. It costs what a merge of the segments would, without the
// writing.
func (a *Archive) Sorted(ctx context.Context, from, to uint64) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		if err := a.sorted(ctx, a.Set(), from, to, func(g Group) bool { return yield(g, nil) }); err != nil {
			yield(Group{}, err)
		}
	}
}

func (a *Archive) sorted(ctx context.Context, set *Set, from, to uint64, emit func(Group) bool) error {
	inputs, err := a.inputs(ctx, set, from, to, false)
	if err != nil {
		return err
	}
	for in := lowest(inputs); in != nil; in = lowest(inputs) {
		for id := in.run().instance; !in.done && in.run().instance == id; {
			g, err := in.run().group(&in.block.parser, in.r.ref, 0)
			if err != nil {
				return err
			}
			if !emit(g) {
				return nil
			}
			if err := in.advance(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Instances yields the collections of which chunks from one number to another hold
// changes, in order, as far as segments of a Set hold these chunks. One error may
// come, last: blob.ErrNotFound if such a segment is deleted. It costs what Sorted
// does.
func (a *Archive) Instances(ctx context.Context, set *Set, from, to uint64) iter.Seq2[schema.Instance, error] {
	return func(yield func(schema.Instance, error) bool) {
		inputs, err := a.inputs(ctx, set, from, to, true)
		for in := lowest(inputs); in != nil && err == nil; in = lowest(inputs) {
			id := in.run().instance
			if !yield(id, nil) {
				return
			}
			for _, in := range inputs {
				for err == nil && !in.done && in.run().instance == id {
					err = in.advance(ctx)
				}
			}
		}
		if err != nil {
			yield(0, err)
		}
	}
}

// inputs are the parts of a Set's segments that hold chunks from one number to
// another, each on its first run. With reuse a run is gone when the next comes.
func (a *Archive) inputs(ctx context.Context, set *Set, from, to uint64, reuse bool) ([]*input, error) {
	var inputs []*input
	for _, s := range set.spans {
		if s.To < from || s.From > to {
			continue
		}
		r, err := a.readers.get(ctx, s.Ref)
		if err != nil {
			return nil, err
		}
		s.From, s.To = max(s.From, from), min(s.To, to)
		in := &input{span: s, scan: scan{r: r, hi: len(r.tail.index), ahead: mergeAhead, reuse: reuse}}
		if err := in.advance(ctx); err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// Epoch is the highest epoch of the chunks that segments hold. It opens all
// segments.
func (a *Archive) Epoch(ctx context.Context) (highest schema.Epoch, err error) {
	for _, s := range a.Set().Spans() {
		r, err := a.readers.get(ctx, s.Ref)
		if err != nil {
			return 0, err
		}
		highest = max(highest, r.tail.info.Epoch)
	}
	return highest, nil
}

// LastMicros is the commit time of the last chunk that segments hold, 0 if there
// are none: a change of before it is in a segment.
func (a *Archive) LastMicros(ctx context.Context) (int64, error) {
	spans := a.Set().Spans()
	if len(spans) == 0 {
		return 0, nil
	}
	r, err := a.readers.get(ctx, spans[len(spans)-1].Ref)
	if err != nil {
		return 0, err
	}
	return r.tail.info.LastMicros, nil
}

// Info tells what a segment says of itself.
func (a *Archive) Info(ctx context.Context, ref Ref) (Info, error) {
	r, err := a.readers.get(ctx, ref)
	if err != nil {
		return Info{}, err
	}
	return r.tail.info, nil
}
