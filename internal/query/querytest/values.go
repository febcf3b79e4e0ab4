package querytest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/trinedb/trine/schema"
)

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// Value draws a value of a type, one time in five null. The domains are small,
// so that equal values, empty ranges and nulls are common.
func Value(r *rand.Rand, t schema.Type) schema.Value {
	if r.IntN(5) == 0 {
		return schema.Null
	}
	return present(r, t)
}

// present draws a value that is not null.
func present(r *rand.Rand, t schema.Type) schema.Value {
	switch t.Kind {
	case schema.KindBoolean:
		return schema.Bool(r.IntN(2) == 0)
	case schema.KindStruct:
		return schema.Elems(values(r, t.Fields))
	case schema.KindList, schema.KindMap:
		return many(r, t)
	case schema.KindFloat, schema.KindDouble:
		return schema.Float(pick(r, math.Inf(-1), -1.5, math.Copysign(0, -1), 0, 0.5, 2, math.Inf(1), math.NaN()))
	case schema.KindInt:
		return schema.Int(pick(r, math.MinInt32, -2, -1, 0, 1, 2, int64(math.MaxInt32)))
	case schema.KindLong:
		return schema.Int(pick(r, math.MinInt64, -2, -1, 0, 1, 2, int64(math.MaxInt64)))
	}
	v, err := schema.ParseText(t, text(r, t))
	if err != nil {
		panic(fmt.Sprintf("a %s drawn at random: %v", t, err))
	}
	return v
}

// values draws the values of a level's fields.
func values(r *rand.Rand, fields []schema.Field) []schema.Value {
	vs := make([]schema.Value, len(fields))
	for i, f := range fields {
		vs[i] = Value(r, f.Type)
		if f.Required && vs[i].IsNull() {
			vs[i] = present(r, f.Type)
		}
	}
	return vs
}

// many draws a list, or a map of at most one entry: its keys are distinct.
func many(r *rand.Rand, t schema.Type) schema.Value {
	n := r.IntN(3)
	if t.Kind == schema.KindMap {
		n = r.IntN(2)
	}
	var vs []schema.Value
	for range n {
		vs = append(vs, values(r, t.Fields)...)
	}
	return schema.Elems(vs)
}

// text draws the text of a value.
func text(r *rand.Rand, t schema.Type) string {
	switch t.Kind {
	case schema.KindDecimal:
		return decimal(r, t)
	case schema.KindDate:
		return pick(r, "1969-12-31", "1970-01-01", "2001-01-14", "2001-01-15")
	case schema.KindTime:
		return pick(r, "00:00:00", "12:00:00", "23:59:59.999999")
	case schema.KindTimestamp:
		return strings.TrimSuffix(moment(r), "Z")
	case schema.KindTimestamptz:
		return moment(r)
	case schema.KindString:
		return pick(r, "", "a", "ab", "b", "ba", "é", "zz", "a%b", "a_b", "!", "long enough to be cut off by the bounds of a file", "long enough to be cut off by the bounds of a page")
	case schema.KindJSON:
		return pick(r, "1", `"a"`, "{}", `{"a":[1,null]}`)
	case schema.KindUUID:
		return pick(r, "00000000-0000-0000-0000-000000000000", "7fffffff-ffff-ffff-ffff-ffffffffffff", "80000000-0000-0000-0000-000000000000")
	case schema.KindFixed:
		return pick(r, "AAAA", "AQID", "////")
	default:
		return pick(r, "", "AA==", "AQID")
	}
}

func moment(r *rand.Rand) string {
	return pick(r, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "2001-01-14T00:00:00Z", "2001-01-14T08:30:00Z")
}

// decimal draws a number of some digits, also the least and the greatest.
func decimal(r *rand.Rand, t schema.Type) string {
	digits := pick(r, "0", "1", "125", strings.Repeat("9", t.Precision))
	digits = digits[:min(len(digits), t.Precision)]
	if missing := t.Scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	at := len(digits) - t.Scale
	s := pick(r, "", "-") + digits[:at]
	if t.Scale > 0 {
		s += "." + digits[at:]
	}
	return s
}
