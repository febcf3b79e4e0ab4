package query

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
)

type literalKind uint8

const (
	literalNumber  literalKind = iota
	literalString              // 'text'
	literalTyped               // date '2001-01-14'
	literalBoolean             // true, false
	literalNull                // null
)

// literal is a value as the predicate's text has it.
type literal struct {
	kind literalKind
	text string // without quotes
	of   string // the type's name, of a typed literal
	src  string // as it was written
	pos  int
}

// literal is the operand's literal, if it is one and not a column.
func (o *operand) literal() (literal, bool) {
	lit := literal{src: o.String(), pos: o.Pos.Offset}
	switch {
	case o.Number != "":
		lit.kind, lit.text = literalNumber, o.Number
	case o.Text != "":
		lit.kind, lit.text = literalString, unquoteText(o.Text)
	case len(o.Typed) == 2:
		lit.kind, lit.of, lit.text = literalTyped, strings.ToLower(o.Typed[0]), unquoteText(o.Typed[1])
	case len(o.Name) == 1 && (isWord(o.Name[0], "true") || isWord(o.Name[0], "false")):
		lit.kind, lit.text = literalBoolean, strings.ToLower(o.Name[0])
	case len(o.Name) == 1 && isWord(o.Name[0], "null"):
		lit.kind = literalNull
	default:
		return literal{}, false
	}
	return lit, true
}

// String is the operand as it was written, more or less.
func (o *operand) String() string {
	switch {
	case o.Number != "":
		return o.Number
	case o.Text != "":
		return o.Text
	case len(o.Typed) > 0:
		return strings.Join(o.Typed, " ")
	default:
		return strings.Join(o.Name, ".")
	}
}

func unquoteText(s string) string { return strings.ReplaceAll(s[1:len(s)-1], "''", "'") }

// edge is a literal among the values of a column's type: the value itself, or
// where between two values it lies.
type edge struct {
	value schema.Value
	exact bool // value is the literal; else the literal lies above value and below the next
	over  int  // the literal lies below (-1) or above (+1) every value of the type
}

func exactly(v schema.Value) edge { return edge{value: v, exact: true} }

// bindLiteral is the test of a column against a literal. A literal that is no
// value of the column's type still has its place in the order: 30.5 lies above
// the int 30.
func bindLiteral(col column, o op, lit literal) (node, error) {
	at, err := lit.edge(col)
	if err != nil {
		return nil, err
	}
	below := at.over > 0 || !at.exact && at.over == 0 // value (or all values) < literal
	switch {
	case at.over == 0 && at.exact:
		return newCompare(col, o, at.value), nil
	case o == opEq:
		return constant(false), nil
	case o == opNe:
		return &null{col: col, negate: true}, nil
	case at.over == 0 && (o == opLt || o == opLe):
		return newCompare(col, opLe, at.value), nil
	case at.over == 0:
		return newCompare(col, opGt, at.value), nil
	case below == (o == opLt || o == opLe):
		return &null{col: col, negate: true}, nil
	default:
		return constant(false), nil
	}
}

// edge reads the literal as a value of the column's type.
func (l literal) edge(col column) (edge, error) {
	refuse := func(rule string, args ...any) (edge, error) {
		return edge{}, fail(l.pos, col.name, l.src, fmt.Sprintf(rule, args...))
	}
	kind := col.typ.Kind
	switch {
	case l.kind == literalNull:
		return refuse("a comparison with null is never true: write `is null`")
	case col.typ.Nested():
		return refuse("a %s column can only be tested with `is null`", col.typ)
	case l.kind == literalBoolean != (kind == schema.KindBoolean):
		if kind == schema.KindBoolean {
			return refuse("a boolean column is compared with true or false")
		}
		return refuse("not a %s", col.typ)
	case l.kind == literalBoolean:
		return exactly(schema.Bool(l.text == "true")), nil
	case l.kind == literalNumber:
		at, ok := numberEdge(l.text, col.typ)
		if !ok && classOf(col.typ) == classFloat {
			return refuse("out of the range of a %s", col.typ)
		}
		if !ok {
			return refuse("not a %s: write it as '%s'", col.typ, l.text)
		}
		return at, nil
	case l.kind == literalTyped:
		return l.typedEdge(col)
	}
	switch kind {
	case schema.KindInt, schema.KindLong:
		return refuse("a string, but the column is a %s: write the number without quotes", col.typ)
	case schema.KindDecimal:
		at, ok := numberEdge(strings.TrimSpace(l.text), col.typ)
		if !ok {
			return refuse("not a %s", col.typ)
		}
		return at, nil
	case schema.KindString, schema.KindJSON:
		return exactly(schema.String(l.text)), nil
	case schema.KindFloat, schema.KindDouble:
		switch l.text {
		case "NaN", "Infinity", "-Infinity":
			f, _ := strconv.ParseFloat(l.text, 64)
			return exactly(schema.Float(f)), nil
		}
		return refuse("a string, but the column is a %s: write the number without quotes", col.typ)
	case schema.KindDate, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz:
		return l.temporalEdge(col, kind)
	}
	v, err := schema.ParseText(col.typ, l.text)
	if err != nil {
		return edge{}, l.rejected(col, err)
	}
	return exactly(v), nil
}

// rejected is the error of a literal that ParseText refused.
func (l literal) rejected(col column, err error) error {
	if ferr, ok := err.(*schema.FieldError); ok {
		return fail(l.pos, col.name, l.src, ferr.Rule)
	}
	return fail(l.pos, col.name, l.src, err.Error())
}

// numberEdge reads a number as a value of a numeric type; ok is false when the
// type is not numeric, or a float cannot hold the number.
func numberEdge(text string, t schema.Type) (edge, bool) {
	var scale int
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	switch t.Kind {
	case schema.KindInt:
		least, most = math.MinInt32, math.MaxInt32
	case schema.KindLong:
	case schema.KindDecimal:
		scale = t.Scale
	case schema.KindFloat, schema.KindDouble:
		bits := 64
		if t.Kind == schema.KindFloat {
			bits = 32
		}
		f, err := strconv.ParseFloat(text, bits)
		return exactly(schema.Float(f)), err == nil
	default:
		return edge{}, false
	}
	n, exact, over, ok := scaledFloor(text, scale)
	if !ok || over != 0 {
		return edge{over: over}, ok
	}
	if t.Kind == schema.KindDecimal {
		return decimalEdge(n, exact), true
	}
	switch {
	case n.Cmp(big.NewInt(least)) < 0:
		return edge{over: -1}, true
	case n.Cmp(big.NewInt(most)) > 0:
		return edge{over: 1}, true
	}
	return edge{value: schema.Int(n.Int64()), exact: exact}, true
}

// scaledFloor is the greatest whole number not above text × 10^scale, whether
// it is equal, and over ≠ 0 when it is beyond any type that Trine has.
func scaledFloor(text string, scale int) (floor *big.Int, exact bool, over int, ok bool) {
	const beyond = 60 // decimal digits; a decimal has at most 38
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	exp := 0
	if exponent != "" {
		e, err := strconv.Atoi(exponent)
		if err != nil && !strings.Contains(err.Error(), strconv.ErrRange.Error()) {
			return nil, false, 0, false
		}
		exp = min(max(e, -1<<20), 1<<20)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok || strings.ContainsAny(fraction, "+-_") || strings.Contains(whole, "_") {
		return nil, false, 0, false
	}
	sign := n.Sign()
	shift := exp + scale - len(fraction)
	digits := len(n.Text(10)) // one more for a negative number
	switch {
	case sign == 0:
		return n, true, 0, true
	case digits+shift > beyond:
		return nil, false, sign, true
	case shift >= 0:
		return n.Mul(n, pow10(shift)), true, 0, true
	case digits+shift < -1: // between -1 and 1
		if sign < 0 {
			return big.NewInt(-1), false, 0, true
		}
		return new(big.Int), false, 0, true
	}
	rest := new(big.Int)
	n.DivMod(n, pow10(-shift), rest) // rounds down, as the divisor is positive
	return n, rest.Sign() == 0, 0, true
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// decimalEdge is an unscaled number among the 128-bit decimals.
func decimalEdge(n *big.Int, exact bool) edge {
	const bits = 127
	limit := new(big.Int).Lsh(big.NewInt(1), bits)
	switch {
	case n.Cmp(limit) >= 0:
		return edge{over: 1}
	case n.Cmp(new(big.Int).Neg(limit)) < 0:
		return edge{over: -1}
	}
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(limit, 1))
	}
	return edge{value: schema.Bytes(n.FillBytes(make([]byte, 16))), exact: exact}
}
