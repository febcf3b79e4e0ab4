package lakehouse

import (
	"time"

	"github.com/trinedb/trine/schema"
)

// MayHold reports whether a data file may have a row with that value, which is not
// null: not when the value's partition is another than the file's. It implements
// query.ValueBounds, and is exact where bounds say nothing, as of buckets.
func (b *fileBounds) MayHold(i int, v schema.Value) bool {
	f := b.schema.Fields[i]
	for n, by := range b.spec.fields {
		if by.FieldID != f.ID || !by.Transform.Takes(f.Type) {
			continue
		}
		if !schema.Equal(b.spec.types[n], TransformValue(by.Transform, f.Type, v), b.part[n]) {
			return false
		}
	}
	return true
}

// partitionBounds are what the partition tells of a field's values.
func (b *fileBounds) partitionBounds(f schema.Field) (lo, hi schema.Value) {
	for n, by := range b.spec.fields {
		if by.FieldID != f.ID || b.part[n].IsNull() || !by.Transform.Takes(f.Type) {
			continue
		}
		switch {
		case by.Transform.Kind == schema.TransformIdentity:
			return b.part[n], b.part[n]
		case by.Transform.Temporal():
			return timeBounds(by.Transform.Kind, f.Type, b.part[n].Int())
		}
	}
	return schema.Null, schema.Null
}

// timeBounds are the first and the last value of a year, month, day or hour.
func timeBounds(kind schema.TransformKind, t schema.Type, part int64) (lo, hi schema.Value) {
	first := func(n int64) int64 { // in days, or microseconds
		days := n
		switch kind {
		case schema.TransformHour:
			return n * microsPerHour
		case schema.TransformYear:
			days = time.Date(1970+int(n), 1, 1, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
		case schema.TransformMonth:
			days = time.Date(1970, 1+time.Month(n), 1, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
		}
		if t.Kind == schema.KindDate {
			return days
		}
		return days * microsPerDay
	}
	return schema.Int(first(part)), schema.Int(first(part+1) - 1)
}
