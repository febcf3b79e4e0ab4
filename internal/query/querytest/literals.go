package querytest

import (
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/trinedb/trine/schema"
)

// literal is a literal of a predicate.
type literal struct {
	text  string
	order func(v schema.Value) int // how a value compares with it
}

// literal draws a literal that a column of a type is compared with. It need not be
// a value of the type: it may lie between two, or beyond all of them.
func (d drawer) literal(t schema.Type) literal {
	switch t.Kind {
	case schema.KindInt, schema.KindLong, schema.KindDecimal:
		if d.IntN(4) == 0 {
			return d.anyNumber(t)
		}
	case schema.KindTimestamp, schema.KindTimestamptz, schema.KindDate:
		if d.IntN(3) == 0 {
			return d.otherMoment(t)
		}
	}
	v := present(d.Rand, t)
	text := string(schema.AppendText(nil, t, v))
	switch t.Kind {
	case schema.KindBoolean, schema.KindInt, schema.KindLong, schema.KindDecimal:
	case schema.KindFloat, schema.KindDouble:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			text = "'" + text + "'"
		}
	default:
		text = "'" + strings.ReplaceAll(text, "'", "''") + "'"
		if t.Kind == schema.KindTime || t.Kind == schema.KindDate {
			text = pick(d.Rand, "", t.String()+" ") + text
		}
	}
	return literal{text, func(a schema.Value) int { return Compare(t, a, v) }}
}

// anyNumber draws a number that a column of whole numbers or decimals need not be
// able to hold.
func (d drawer) anyNumber(t schema.Type) literal {
	text := pick(d.Rand, "0.5", "-0.5", "1.0", "2e0", "20e-1", "1.2500000001", "1e-50", "-1e-50", "2147483648", "-9223372036854775809", "1e30", "-1e39", "1e60")
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		panic("no number: " + text)
	}
	return literal{text, func(v schema.Value) int { return number(t, v).Cmp(n) }}
}

// otherMoment draws a date for a column of timestamps, or a timestamp for one of
// dates: a date is its midnight in UTC.
func (d drawer) otherMoment(t schema.Type) literal {
	text, unit := pick(d.Rand, "1970-01-01", "2001-01-14"), time.Microsecond
	layout, typed := time.DateOnly, pick(d.Rand, "", "date ")
	if t.Kind == schema.KindDate {
		text, unit = strings.TrimSuffix(moment(d.Rand), "Z"), 24*time.Hour
		layout, typed = "2006-01-02T15:04:05.999999", "timestamp "
	}
	at, err := time.Parse(layout, text)
	if err != nil {
		panic(err)
	}
	return literal{typed + "'" + text + "'", func(v schema.Value) int {
		return time.UnixMicro(0).Add(time.Duration(v.Int()) * unit).Compare(at)
	}}
}
