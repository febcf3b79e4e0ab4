package schema

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

const (
	millisPerDay = microsPerDay / 1000
	hasNanos     = "has nanoseconds: microseconds are kept, round it"
)

// momentGetter finds how cells of an Arrow date, time or timestamp are read.
func momentGetter(t *Type, in arrow.DataType) func(arrow.Array, *batchState) getter {
	switch in := in.(type) {
	case *arrow.Date32Type:
		if t.Kind == KindDate {
			return func(a arrow.Array, _ *batchState) getter { return widen(a.(*array.Date32).Values()) }
		}
	case *arrow.Date64Type:
		if t.Kind == KindDate {
			return func(a arrow.Array, _ *batchState) getter { return wholeDays(a.(*array.Date64).Values()) }
		}
	case *arrow.Time32Type:
		if t.Kind == KindTime {
			return func(a arrow.Array, _ *batchState) getter { return micros(t.Kind, a.(*array.Time32).Values(), in.Unit) }
		}
	case *arrow.Time64Type:
		if t.Kind == KindTime {
			return func(a arrow.Array, _ *batchState) getter { return micros(t.Kind, a.(*array.Time64).Values(), in.Unit) }
		}
	case *arrow.TimestampType:
		if t.Kind == KindTimestamp && in.TimeZone == "" || t.Kind == KindTimestamptz && in.TimeZone != "" {
			return func(a arrow.Array, _ *batchState) getter {
				return micros(t.Kind, a.(*array.Timestamp).Values(), in.Unit)
			}
		}
	}
	return nil
}

func wholeDays(values []arrow.Date64) getter {
	return func(i int, out *Value) string {
		ms := int64(values[i])
		days := ms / millisPerDay
		switch {
		case days*millisPerDay != ms:
			return "has a time of day, and a date has none"
		case !inRange(KindDate, days):
			return outOfRange
		}
		*out = Int(days)
		return ""
	}
}

// micros reads times of any unit that come out in whole microseconds.
func micros[T arrow.Time32 | arrow.Time64 | arrow.Timestamp](k Kind, values []T, unit arrow.TimeUnit) getter {
	switch unit {
	case arrow.Nanosecond:
		return func(i int, out *Value) string {
			n := int64(values[i])
			if n%1000 != 0 {
				return hasNanos
			}
			return moment(k, n/1000, out)
		}
	case arrow.Microsecond:
		return func(i int, out *Value) string { return moment(k, int64(values[i]), out) }
	default:
		factor := int64(1000)
		if unit == arrow.Second {
			factor = 1_000_000
		}
		return func(i int, out *Value) string {
			n := int64(values[i])
			if n > math.MaxInt64/factor || n < math.MinInt64/factor {
				return outOfRange
			}
			return moment(k, n*factor, out)
		}
	}
}

func moment(k Kind, micros int64, out *Value) string {
	if !inRange(k, micros) {
		return outOfRange
	}
	*out = Int(micros)
	return ""
}
