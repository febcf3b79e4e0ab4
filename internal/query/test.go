package query

import (
	"math"
	"slices"

	"github.com/trinedb/trine/schema"
)

// The tests: the leaves of a predicate. Each is false of null, but null itself.

// compare tests a column against a literal of its type.
type compare struct {
	col   column
	op    op
	value schema.Value
}

func newCompare(col column, o op, value schema.Value) *compare {
	return &compare{col: col, op: o, value: value}
}

func (c *compare) match(r record) bool { return c.test(c.col.value(r)) }

func (c *compare) test(v schema.Value) bool {
	return !v.IsNull() && c.op.holds(schema.Compare(c.col.typ, v, c.value))
}

// pair tests a column against another of a like type.
type pair struct {
	left  column
	op    op
	right column
}

func (p *pair) match(r record) bool { return p.test(p.left.value(r), p.right.value(r)) }

func (p *pair) test(l, r schema.Value) bool {
	return !l.IsNull() && !r.IsNull() && p.op.holds(schema.Compare(p.left.typ, l, r))
}

// null tests a column for being null, or for not being null.
type null struct {
	col    column
	negate bool
}

func (n *null) match(r record) bool { return n.test(n.col.value(r)) }

func (n *null) test(v schema.Value) bool { return v.IsNull() != n.negate }

// like tests a string column against a pattern.
type like struct {
	col     column
	pattern pattern
	negate  bool
}

func (l *like) match(r record) bool { return l.test(l.col.value(r)) }

func (l *like) test(v schema.Value) bool {
	return !v.IsNull() && l.pattern.match(v.Bytes()) != l.negate
}

// set tests a column for being, or not being, one of many literals. One of the
// maps is filled, by the column's class.
type set struct {
	col    column
	class  class
	negate bool
	sorted []schema.Value
	ints   map[int64]struct{}
	floats map[uint64]struct{} // by canonicalBits
	words  map[string]struct{} // bytes and decimals
}

func newSet(col column, values []schema.Value, negate bool) *set {
	s := &set{col: col, class: classOf(col.typ), negate: negate}
	slices.SortFunc(values, func(a, b schema.Value) int { return schema.Compare(col.typ, a, b) })
	s.sorted = values
	switch s.class {
	case classInt:
		s.ints = make(map[int64]struct{}, len(values))
		for _, v := range values {
			s.ints[v.Int()] = struct{}{}
		}
	case classFloat:
		s.floats = make(map[uint64]struct{}, len(values))
		for _, v := range values {
			s.floats[canonicalBits(v.Float())] = struct{}{}
		}
	default:
		s.words = make(map[string]struct{}, len(values))
		for _, v := range values {
			s.words[string(v.Bytes())] = struct{}{}
		}
	}
	return s
}

// canonicalBits gives floats that are equal, NaNs and zeros among them, the
// same bits.
func canonicalBits(f float64) uint64 {
	switch {
	case f != f:
		return math.Float64bits(math.NaN())
	case f == 0:
		return 0
	default:
		return math.Float64bits(f)
	}
}

func (s *set) match(r record) bool { return s.test(s.col.value(r)) }

func (s *set) test(v schema.Value) bool {
	if v.IsNull() {
		return false
	}
	var in bool
	switch s.class {
	case classInt:
		_, in = s.ints[v.Int()]
	case classFloat:
		_, in = s.floats[canonicalBits(v.Float())]
	default:
		_, in = s.words[string(v.Bytes())]
	}
	return in != s.negate
}
