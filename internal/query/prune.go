package query

import (
	"bytes"
	"math"
	"sort"

	"github.com/trinedb/trine/schema"
)

// extent is what bounds tell about a column: a null lo or hi is not known.
type extent struct {
	typ     schema.Type
	lo, hi  schema.Value
	allNull bool // no row has a value
	noNull  bool // every row has a value
}

// extent asks for the column's bounds and leaves out what cannot be relied
// on. Fields of structs have none.
func (c *column) extent(b Bounds) extent {
	var (
		x           = extent{typ: c.typ}
		nulls, rows int64
		ok          bool
	)
	switch {
	case len(c.path) > 0:
		return extent{typ: c.typ}
	case c.index >= 0:
		x.lo, x.hi, nulls, rows, ok = b.Column(c.index)
	default:
		if s, is := b.(SystemBounds); is {
			x.lo, x.hi, nulls, rows, ok = s.System(c.names[0])
		}
	}
	if !ok {
		return extent{typ: c.typ}
	}
	x.allNull = nulls >= 0 && rows >= 0 && nulls >= rows
	x.noNull = nulls == 0
	switch classOf(c.typ) {
	case classNone:
		x.lo, x.hi = schema.Null, schema.Null
	case classFloat:
		c.distrustNaN(b, &x)
	case classDecimal:
		if len(x.lo.Bytes()) != 16 {
			x.lo = schema.Null
		}
		if len(x.hi.Bytes()) != 16 {
			x.hi = schema.Null
		}
	}
	return x
}

// distrustNaN drops bounds that are NaN, which some writers leave, and an
// upper bound that there may be NaNs above.
func (c *column) distrustNaN(b Bounds, x *extent) {
	nans := int64(-1)
	if counts, is := b.(NaNBounds); is {
		if n, ok := counts.NaNs(c.index); ok {
			nans = n
		}
	}
	if math.IsNaN(x.lo.Float()) {
		x.lo = schema.Null
	}
	if nans != 0 || math.IsNaN(x.hi.Float()) {
		x.hi = schema.Null
	}
}

// above reports whether every value is known to be above v, or not below it.
func (x *extent) above(v schema.Value, orEqual bool) bool {
	if x.lo.IsNull() {
		return false
	}
	d := schema.Compare(x.typ, x.lo, v)
	return d > 0 || d == 0 && orEqual
}

// below reports whether every value is known to be below v, or not above it.
func (x *extent) below(v schema.Value, orEqual bool) bool {
	if x.hi.IsNull() {
		return false
	}
	d := schema.Compare(x.typ, x.hi, v)
	return d < 0 || d == 0 && orEqual
}

// may reports whether o may be true of a value within the extent and v.
func (x *extent) may(o op, v schema.Value) bool {
	switch o {
	case opEq:
		return !x.above(v, false) && !x.below(v, false)
	case opNe:
		return !x.above(v, true) || !x.below(v, true)
	case opLt:
		return !x.above(v, true)
	case opLe:
		return !x.above(v, false)
	case opGt:
		return !x.below(v, true)
	default:
		return !x.below(v, false)
	}
}

func (c *compare) may(b Bounds) bool {
	x := c.col.extent(b)
	return !x.allNull && x.may(c.op, c.value) && (c.op != opEq || c.col.mayBe(b, c.value))
}

func (p *pair) may(b Bounds) bool {
	l, r := p.left.extent(b), p.right.extent(b)
	if l.allNull || r.allNull {
		return false
	}
	// l op r for some l and r within their extents: l must be able to stand in
	// that relation to the end of r that is easiest to reach.
	switch p.op {
	case opEq:
		return l.mayReach(opLe, r) && l.mayReach(opGe, r)
	case opNe:
		return true
	default:
		return l.mayReach(p.op, r)
	}
}

// mayReach reports whether some value of x may stand in relation o, which is
// not = or !=, to some value of y.
func (x *extent) mayReach(o op, y extent) bool {
	end := y.hi
	if o == opGt || o == opGe {
		end = y.lo
	}
	return end.IsNull() || x.may(o, end)
}

func (n *null) may(b Bounds) bool {
	x := n.col.extent(b)
	if n.negate {
		return !x.allNull
	}
	return !x.noNull
}

func (l *like) may(b Bounds) bool {
	x := l.col.extent(b)
	if x.allNull {
		return false
	}
	prefix := l.pattern.prefix()
	if l.negate || len(prefix) == 0 {
		return true
	}
	if x.below(schema.Bytes(prefix), false) {
		return false
	}
	// Above every value with the prefix: greater than it and not with it.
	lo := x.lo.Bytes()
	return x.lo.IsNull() || bytes.Compare(lo, prefix) <= 0 || bytes.HasPrefix(lo, prefix)
}

func (s *set) may(b Bounds) bool {
	x := s.col.extent(b)
	switch {
	case x.allNull:
		return false
	case s.negate:
		// Only when all values are the same one, and it is in the set.
		return x.lo.IsNull() || x.hi.IsNull() || schema.Compare(s.col.typ, x.lo, x.hi) != 0 || s.test(x.lo)
	}
	first := 0
	if !x.lo.IsNull() {
		first = sort.Search(len(s.sorted), func(i int) bool { return schema.Compare(s.col.typ, s.sorted[i], x.lo) >= 0 })
	}
	for _, v := range s.sorted[first:] {
		if x.below(v, false) {
			return false
		}
		if s.col.mayBe(b, v) {
			return true
		}
	}
	return false
}

// mayBe reports whether the column may have that value in some row.
func (c *column) mayBe(b Bounds, v schema.Value) bool {
	if values, is := b.(ValueBounds); is && len(c.path) == 0 && c.index >= 0 {
		return values.MayHold(c.index, v)
	}
	return true
}
