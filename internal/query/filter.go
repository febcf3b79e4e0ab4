package query

import (
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/trinedb/trine/schema"
)

func (c *compare) filter(batch arrow.RecordBatch, keep []bool) {
	v := c.col.vector(batch)
	v.present(keep)
	switch a := v.values.(type) {
	case nil:
	case *array.Int32:
		keepWithin(keep, a.Int32Values(), c.op, c.value.Int())
	case *array.Int64:
		keepWithin(keep, a.Int64Values(), c.op, c.value.Int())
	case *array.Date32:
		keepWithin(keep, a.Date32Values(), c.op, c.value.Int())
	case *array.Time64:
		keepWithin(keep, a.Time64Values(), c.op, c.value.Int())
	case *array.Timestamp:
		keepWithin(keep, a.TimestampValues(), c.op, c.value.Int())
	case *array.Float32:
		keepFloats(keep, a.Float32Values(), c.op, c.value.Float())
	case *array.Float64:
		keepFloats(keep, a.Float64Values(), c.op, c.value.Float())
	case *array.Decimal128:
		keepDecimals(keep, a.Values(), c.op, c.value)
	case *array.String:
		keepStrings(keep, a, c.op, string(c.value.Bytes()))
	default:
		keepTested(keep, v, c.test)
	}
}

func (p *pair) filter(batch arrow.RecordBatch, keep []bool) {
	l, r := p.left.vector(batch), p.right.vector(batch)
	l.present(keep)
	r.present(keep)
	for i, k := range keep {
		if k {
			keep[i] = p.test(l.at(i), r.at(i))
		}
	}
}

func (n *null) filter(batch arrow.RecordBatch, keep []bool) {
	v := n.col.vector(batch)
	if n.negate {
		v.present(keep)
		return
	}
	valid := make([]bool, len(keep))
	for i := range valid {
		valid[i] = true
	}
	v.present(valid)
	for i, ok := range valid {
		keep[i] = keep[i] && !ok
	}
}

func (l *like) filter(batch arrow.RecordBatch, keep []bool) {
	v := l.col.vector(batch)
	v.present(keep)
	switch a := v.values.(type) {
	case nil:
	case *array.String:
		keepLike(keep, a, l)
	default:
		keepTested(keep, v, l.test)
	}
}

func (s *set) filter(batch arrow.RecordBatch, keep []bool) {
	v := s.col.vector(batch)
	v.present(keep)
	switch a := v.values.(type) {
	case nil:
	case *array.Int32:
		keepMembers(keep, a.Int32Values(), s)
	case *array.Int64:
		keepMembers(keep, a.Int64Values(), s)
	case *array.Date32:
		keepMembers(keep, a.Date32Values(), s)
	case *array.Timestamp:
		keepMembers(keep, a.TimestampValues(), s)
	case *array.String:
		for i, k := range keep {
			if k {
				_, in := s.words[a.Value(i)]
				keep[i] = in != s.negate
			}
		}
	default:
		keepTested(keep, v, s.test)
	}
}

// keepTested is the loop for types that have none of their own.
func keepTested(keep []bool, v vector, test func(schema.Value) bool) {
	for i, k := range keep {
		if k {
			keep[i] = test(v.at(i))
		}
	}
}

// keepMembers keeps the values that are in the set, or not in it.
func keepMembers[T ~int32 | ~int64](keep []bool, values []T, s *set) {
	for i, k := range keep {
		if k {
			_, in := s.ints[int64(values[i])]
			keep[i] = in != s.negate
		}
	}
}

// keepWithin keeps the whole numbers of which `value op bound` is true. All
// six comparisons are one: whether the value lies in a closed interval.
func keepWithin[T ~int32 | ~int64](keep []bool, values []T, o op, bound int64) {
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	switch o {
	case opEq, opNe:
		lo, hi = bound, bound
	case opLt:
		if bound == lo {
			clear(keep)
			return
		}
		hi = bound - 1
	case opLe:
		hi = bound
	case opGt:
		if bound == hi {
			clear(keep)
			return
		}
		lo = bound + 1
	case opGe:
		lo = bound
	}
	want, width := o != opNe, uint64(hi)-uint64(lo)
	values = values[:len(keep)]
	for i := range keep {
		within := uint64(int64(values[i]))-uint64(lo) <= width
		keep[i] = keep[i] && within == want
	}
}

// keepFloats keeps the numbers of which `value op bound` is true in the order
// in which NaN equals NaN and is greatest.
func keepFloats[T float32 | float64](keep []bool, values []T, o op, bound float64) {
	values = values[:len(keep)]
	nan := bound != bound
	for i := range keep {
		if !keep[i] {
			continue
		}
		v := float64(values[i])
		switch o {
		case opEq:
			keep[i] = v == bound || nan && v != v
		case opNe:
			keep[i] = v != bound && !(nan && v != v)
		case opLt:
			keep[i] = v < bound || nan && v == v
		case opLe:
			keep[i] = v <= bound || nan
		case opGt:
			keep[i] = !nan && !(v <= bound)
		default:
			keep[i] = v >= bound && !nan || v != v
		}
	}
}

func keepDecimals(keep []bool, values []decimal128.Num, o op, bound schema.Value) {
	n := bound.Decimal()
	for i, k := range keep {
		if k {
			keep[i] = o.holds(values[i].Cmp(n))
		}
	}
}

func keepStrings(keep []bool, values *array.String, o op, bound string) {
	switch o {
	case opEq, opNe:
		want := o == opEq
		for i, k := range keep {
			if k {
				keep[i] = (values.Value(i) == bound) == want
			}
		}
	default:
		for i, k := range keep {
			if k {
				keep[i] = o.holds(strings.Compare(values.Value(i), bound))
			}
		}
	}
}

func keepLike(keep []bool, values *array.String, l *like) {
	if len(keep) == 0 {
		return
	}
	text, first := values.ValueBytes(), values.ValueOffset(0)
	for i, k := range keep {
		if k {
			at := values.ValueOffset(i) - first
			s := text[at : at+len(values.Value(i))]
			keep[i] = l.pattern.match(s) != l.negate
		}
	}
}
