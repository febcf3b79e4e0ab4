// Package querytest is the oracle of predicates: it draws schemas, rows and
// predicates at random, and evaluates the predicates row by row, by SQL's
// three-valued logic, with none of the code that it judges.
package querytest

import (
	"bytes"
	"cmp"
	"math"
	"math/big"

	"github.com/trinedb/trine/schema"
)

// Row is a row as a predicate sees it.
type Row struct {
	Values []schema.Value // one for each field of the schema
	Seq    schema.Seq
	Micros int64 // its _time
}

// Predicate is a predicate: the text, and what it is of a row.
type Predicate struct {
	Text string
	eval func(Row) truth
}

// Match reports whether the predicate is true of a row, and neither false nor
// unknown.
func (p Predicate) Match(r Row) bool { return p.eval(r) == isTrue }

type truth int

const (
	isFalse truth = iota
	isUnknown
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// Compare is the order of two values of a type that are not null, by the book.
func Compare(t schema.Type, a, b schema.Value) int {
	switch t.Kind {
	case schema.KindFloat, schema.KindDouble:
		return compareFloats(a.Float(), b.Float())
	case schema.KindDecimal:
		return unscaled(a).Cmp(unscaled(b))
	case schema.KindString, schema.KindJSON, schema.KindUUID, schema.KindFixed, schema.KindBinary:
		return bytes.Compare(a.Bytes(), b.Bytes())
	default:
		return cmp.Compare(a.Int(), b.Int())
	}
}

// compareFloats has NaN equal to itself and above all else, and one zero.
func compareFloats(a, b float64) int {
	if math.IsNaN(a) || math.IsNaN(b) {
		return cmp.Compare(truthOf(math.IsNaN(a)), truthOf(math.IsNaN(b)))
	}
	return cmp.Compare(a, b)
}

// unscaled is a decimal's number, of 16 bytes in two's complement.
func unscaled(v schema.Value) *big.Int {
	n := new(big.Int).SetBytes(v.Bytes())
	if v.Bytes()[0] >= 128 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return n
}

// number is the number that a value of an int, long or decimal is.
func number(t schema.Type, v schema.Value) *big.Rat {
	if t.Kind != schema.KindDecimal {
		return new(big.Rat).SetInt64(v.Int())
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)
	return new(big.Rat).SetFrac(unscaled(v), scale)
}

// like reports whether text is as the pattern.
func like(pattern, text []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(text) == 0
	case pattern[0] == anyText:
		return like(pattern[1:], text) || len(text) > 0 && like(pattern, text[1:])
	default:
		return len(text) > 0 && (pattern[0] == anyRune || pattern[0] == text[0]) && like(pattern[1:], text[1:])
	}
}

// Wildcards of a pattern whose escapes are undone.
const (
	anyText rune = -1 - iota // %
	anyRune                  // _
)
