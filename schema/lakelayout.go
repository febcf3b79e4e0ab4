package schema

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// PartitionField is one of the values by which the rows of a table are kept in
// files of their own: a field under a transform.
type PartitionField struct {
	FieldID   int // of a top-level field, or SeqColumnID or TimeColumnID
	Transform Transform
}

// SortField is one of the fields by which the rows of a data file are ordered.
type SortField struct {
	FieldID   int // of a top-level field, or SeqColumnID or TimeColumnID
	Desc      bool
	NullsLast bool
}

// Transform makes partition values of a field's values; it is one of Iceberg's.
// Null stays null under each.
type Transform struct {
	Kind  TransformKind
	Width int // bucket: how many; truncate: to which width; others: 0
}

// TransformKind numbers the transforms; the numbers are part of formats.
type TransformKind uint8

// The transforms.
const (
	TransformIdentity TransformKind = iota + 1 // the value
	TransformBucket                            // its hash, modulo the number of buckets
	TransformTruncate                          // cut to a width
	TransformYear                              // years since 1970
	TransformMonth                             // months since 1970-01
	TransformDay                               // days since 1970-01-01
	TransformHour                              // hours since 1970-01-01 00:00
)

var transformNames = [...]string{
	TransformIdentity: "identity", TransformBucket: "bucket", TransformTruncate: "truncate",
	TransformYear: "year", TransformMonth: "month", TransformDay: "day", TransformHour: "hour",
}

// Bounds of a transform's width.
const (
	MaxBuckets       = 1 << 16
	MaxTruncateWidth = 1 << 20
)

// String is the transform as a collection file has it: day, bucket(16).
func (t Transform) String() string {
	if int(t.Kind) >= len(transformNames) || transformNames[t.Kind] == "" {
		return fmt.Sprintf("transform(%d)", t.Kind)
	}
	if t.Sized() {
		return fmt.Sprintf("%s(%d)", transformNames[t.Kind], t.Width)
	}
	return transformNames[t.Kind]
}

// Of is the transform of a field, in short: day(ts), bucket(16, origin), origin.
func (t Transform) Of(field string) string {
	switch {
	case t.Kind == TransformIdentity:
		return field
	case t.Sized():
		return fmt.Sprintf("%s(%d, %s)", transformNames[t.Kind], t.Width, field)
	}
	return t.String() + "(" + field + ")"
}

// Sized reports whether the transform has a width.
func (t Transform) Sized() bool { return t.Kind == TransformBucket || t.Kind == TransformTruncate }

// Temporal reports whether the transform cuts time.
func (t Transform) Temporal() bool { return t.Kind >= TransformYear && t.Kind <= TransformHour }

// Valid reports whether t is a transform.
func (t Transform) Valid() bool {
	switch t.Kind {
	case TransformBucket:
		return t.Width >= 1 && t.Width <= MaxBuckets
	case TransformTruncate:
		return t.Width >= 1 && t.Width <= MaxTruncateWidth
	}
	return t.Kind >= TransformIdentity && t.Kind <= TransformHour && t.Width == 0
}

// ParseTransform reads what String writes.
func ParseTransform(s string) (Transform, bool) {
	name, rest, sized := strings.Cut(s, "(")
	var t Transform
	for k, n := range transformNames {
		if n != "" && n == name {
			t.Kind = TransformKind(k)
		}
	}
	if sized {
		digits, ok := strings.CutSuffix(rest, ")")
		width, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 31)
		if !ok || err != nil || !t.Sized() {
			return Transform{}, false
		}
		t.Width = int(width)
	}
	return t, t.Valid()
}

// Takes reports whether the transform can be of a field of type of. What has more
// than one form, as floats do, and json, which an engine sees as text, cannot be
// partitioned by.
func (t Transform) Takes(of Type) bool {
	switch of.Kind {
	case KindDecimal:
		return !t.Temporal() && (t.Kind != TransformTruncate || t.cutsWithin(of))
	case KindInt, KindLong, KindString, KindBinary:
		return !t.Temporal()
	case KindBoolean:
		return t.Kind == TransformIdentity
	case KindTime, KindUUID, KindFixed:
		return t.Kind == TransformIdentity || t.Kind == TransformBucket
	case KindDate:
		return t.Kind != TransformTruncate && t.Kind != TransformHour
	case KindTimestamp, KindTimestamptz:
		return t.Kind != TransformTruncate
	}
	return false
}

// cutsWithin reports whether a decimal, truncated, still is one that fits the bytes
// in which a manifest holds it: those that the type's precision takes. The least
// value is cut to a multiple of the width that lies below it.
func (t Transform) cutsWithin(of Type) bool {
	least := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(of.Precision)), nil)
	bits := least.BitLen() // of a positive one; with its sign, one more
	size := (bits + 8) / 8
	least.Sub(least, big.NewInt(1))
	width := big.NewInt(int64(t.Width))
	least.Add(least, width).Sub(least, big.NewInt(1)).Div(least, width).Mul(least, width)
	return least.Cmp(new(big.Int).Lsh(big.NewInt(1), uint(8*size-1))) <= 0
}

// Result is the type of the partition values of a field of type of.
func (t Transform) Result(of Type) Type {
	switch t.Kind {
	case TransformIdentity, TransformTruncate:
		return of
	case TransformDay:
		return Type{Kind: KindDate}
	}
	return Type{Kind: KindInt}
}

// AppendOrdered appends a value that may be null so that bytes.Compare orders the
// encodings of a type's values: descending if asked, nulls first or last. No
// encoding is a prefix of another, so that more may follow. t is not nested.
func AppendOrdered(dst []byte, t Type, v Value, desc, nullsLast bool) []byte {
	const last = valueMark + 1
	if !v.valid {
		if nullsLast {
			return append(dst, last)
		}
		return append(dst, nullMark)
	}
	dst = append(dst, valueMark)
	from := len(dst)
	dst = appendKeyValue(dst, &t, &v)
	if desc {
		for i := from; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}
