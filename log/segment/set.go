package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// Span is the part of a segment that readers take from it: the chunks From to
// To, both included. It is less than the whole segment only where another one
// that is believed before it holds some of its chunks.
type Span struct {
	Ref      Ref
	From, To uint64
}

func (s Span) has(number uint64) bool { return s.From <= number && number <= s.To }

// Set says which segments of a channel's generation hold which chunks. It is
// never changed. It follows from the names of the objects alone, so that no
// table of them is kept anywhere.
//
// Segments may hold the same chunks: after a crash between the making of a
// merged segment and the deletion of its inputs, or when an owner that was
// replaced went on for a while. Then of those that hold a chunk one is read: the
// one of the highest level; of several the one that begins first, of those the
// longest. Everybody who knows the same objects decides the same, and whoever
// knows fewer is never misled to delete what another one reads: a segment is
// obsolete only when such as are believed before it hold all of its chunks, and
// these become obsolete only by others that hold theirs.
type Set struct {
	refs     []Ref  // all, as compare orders them
	spans    []Span // by From, without hole or overlap
	obsolete []Ref
}

// ErrHole says that segments do not join: names were listed while segments came
// and went, or one is lost.
var ErrHole = errors.New("hole between segments")

// NewSet makes the Set of some segments of one generation, in any order; there
// may be none. It fails with ErrHole if there are chunks that none of them holds
// between those that some do.
func NewSet(refs ...Ref) (*Set, error) {
	s := &Set{refs: slices.Clone(refs)}
	slices.SortFunc(s.refs, Ref.compare)
	s.refs = slices.Compact(s.refs)
	for _, r := range s.refs {
		if first := s.refs[0]; !r.valid() || r.Channel != first.Channel || r.Generation != first.Generation {
			return nil, fmt.Errorf("segments %v and %v in one set: %w", first, r, schema.ErrInvalid)
		}
		parts := s.vacant(r)
		if len(parts) == 0 {
			s.obsolete = append(s.obsolete, r)
		}
		s.spans = append(s.spans, parts...)
		slices.SortFunc(s.spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	}
	for i := range s.spans {
		if i > 0 && s.spans[i].From != s.spans[i-1].To+1 {
			return nil, fmt.Errorf("segments %v and %v: %w", s.spans[i-1].Ref, s.spans[i].Ref, ErrHole)
		}
	}
	return s, nil
}

// vacant gives the parts of a segment that no span holds yet.
func (s *Set) vacant(r Ref) []Span {
	var parts []Span
	from := r.From
	for _, t := range s.spans {
		if t.To < from {
			continue
		}
		if t.From > r.To {
			break
		}
		if t.From > from {
			parts = append(parts, Span{r, from, t.From - 1})
		}
		if t.To >= r.To {
			return parts
		}
		from = t.To + 1
	}
	return append(parts, Span{r, from, r.To})
}

// With is the Set with segments more.
func (s *Set) With(refs ...Ref) (*Set, error) {
	return NewSet(append(slices.Clone(s.refs), refs...)...)
}

// Without is the Set without segments that were deleted.
func (s *Set) Without(refs ...Ref) (*Set, error) {
	return NewSet(slices.DeleteFunc(slices.Clone(s.refs), func(r Ref) bool { return slices.Contains(refs, r) })...)
}

// Spans are what readers read, the oldest changes first. It must not be changed.
func (s *Set) Spans() []Span { return s.spans }

// Obsolete are the segments that readers of this Set do not read. It must not be
// changed.
func (s *Set) Obsolete() []Ref { return s.obsolete }

// From is the number of the first chunk that the segments hold, 0 if there are
// none.
func (s *Set) From() uint64 {
	if len(s.spans) == 0 {
		return 0
	}
	return s.spans[0].From
}

// To is the number of the last chunk that the segments hold, 0 if there are
// none. They hold all from From to To; the next Builder begins after it.
func (s *Set) To() uint64 {
	if len(s.spans) == 0 {
		return 0
	}
	return s.spans[len(s.spans)-1].To
}

// listTries is how often names are listed in the hope that segments join.
const listTries = 5

// List makes the Set of a generation from the names of the objects, with one
// listing for each level.
//
// A merge adds a segment on a higher level before its inputs are deleted, and
// the levels are listed upwards: so whoever misses an input finds the output,
// also while merges go on, and also where a store lists in no order. Holes, which
// cannot come from that, are looked at again some times, and then are ErrHole
// and schema.ErrCorrupt.
func List(ctx context.Context, l Lister, channel, generation uint32) (*Set, error) {
	for try := 1; ; try++ {
		refs, err := names(ctx, l, channel, generation)
		if err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		s, err := NewSet(refs...)
		if err == nil || try == listTries {
			if err != nil {
				err = fmt.Errorf("list segments: %w: %w", err, schema.ErrCorrupt)
			}
			return s, err
		}
	}
}

func names(ctx context.Context, l Lister, channel, generation uint32) ([]Ref, error) {
	var refs []Ref
	for level := 1; level <= MaxLevel; level++ {
		for name, err := range l.List(ctx, prefix(channel, generation, level), "") {
			if err != nil {
				return nil, err
			}
			r, ok := ParseName(name)
			if !ok {
				return nil, fmt.Errorf("%q is not the name of a segment: %w", name, schema.ErrCorrupt)
			}
			refs = append(refs, r)
		}
	}
	return refs, nil
}
