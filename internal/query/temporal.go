package query

import (
	"fmt"
	"math"

	"github.com/trinedb/trine/schema"
)

const microsPerDay = 24 * 60 * 60 * 1_000_000

// typedEdge reads a literal that names its type: date '2001-01-14'.
func (l literal) typedEdge(col column) (edge, error) {
	var kind schema.Kind
	switch l.of {
	case "date":
		kind = schema.KindDate
	case "time":
		kind = schema.KindTime
	case "timestamp":
		kind = schema.KindTimestamp
	case "timestamptz":
		kind = schema.KindTimestamptz
	default:
		return edge{}, fail(l.pos, col.name, l.src, fmt.Sprintf(
			"%s is no type of literal; there are date, time, timestamp and timestamptz", cut(l.of)))
	}
	switch to := col.typ.Kind; {
	case to == kind:
	case to == schema.KindTime || kind == schema.KindTime, !temporal(to):
		return edge{}, fail(l.pos, col.name, l.src, fmt.Sprintf("a %s cannot be compared with a %s column", l.of, col.typ))
	}
	return l.temporalEdge(col, kind)
}

func temporal(k schema.Kind) bool {
	return k == schema.KindDate || k == schema.KindTime || k == schema.KindTimestamp || k == schema.KindTimestamptz
}

// temporalEdge reads the literal's text as a point in time and finds its place
// among the values of the column. A date is its midnight, and what names no
// zone is UTC.
func (l literal) temporalEdge(col column, kind schema.Kind) (edge, error) {
	direct := kind == schema.KindTime || kind == schema.KindDate && col.typ.Kind == schema.KindDate
	if direct {
		v, err := schema.ParseText(schema.Type{Kind: kind}, l.text)
		switch {
		case err == nil:
			return exactly(v), nil
		case kind == schema.KindTime:
			return edge{}, l.rejected(col, err)
		}
	}
	micros, err := parseMoment(l.text, kind)
	if err != nil {
		return edge{}, l.rejected(col, err)
	}
	if col.typ.Kind != schema.KindDate {
		return exactly(schema.Int(micros)), nil
	}
	day := micros / microsPerDay
	if micros%microsPerDay < 0 {
		day--
	}
	return edge{value: schema.Int(day), exact: micros == day*microsPerDay}, nil
}

// parseMoment reads a date or a timestamp, with or without a zone, as
// microseconds since 1970 in UTC. The error is that of the kind asked for.
func parseMoment(text string, kind schema.Kind) (int64, error) {
	var first error
	for _, k := range []schema.Kind{kind, schema.KindTimestamp, schema.KindTimestamptz, schema.KindDate} {
		v, err := schema.ParseText(schema.Type{Kind: k}, text)
		if first == nil {
			first = err
		}
		if err != nil {
			continue
		}
		if k != schema.KindDate {
			return v.Int(), nil
		}
		const most = math.MaxInt64 / microsPerDay
		if day := v.Int(); day > most || day < -most {
			return 0, &schema.FieldError{Rule: "is outside of a timestamp's range"}
		}
		return v.Int() * microsPerDay, nil
	}
	return 0, first
}
