package query

import "github.com/trinedb/trine/schema"

// op is a comparison.
type op uint8

const (
	opEq op = iota
	opNe
	opLt
	opLe
	opGt
	opGe
)

var operators = map[string]op{
	"=": opEq, "!=": opNe, "<>": opNe, "<": opLt, "<=": opLe, ">": opGt, ">=": opGe,
}

// complement is the comparison that is true where o is false; neither is true
// of null.
func (o op) complement() op { return [...]op{opNe, opEq, opGe, opGt, opLe, opLt}[o] }

// flip is the comparison with its sides exchanged.
func (o op) flip() op { return [...]op{opEq, opNe, opGt, opGe, opLt, opLe}[o] }

// holds reports whether o is true of two values that compare as c.
func (o op) holds(c int) bool {
	switch o {
	case opEq:
		return c == 0
	case opNe:
		return c != 0
	case opLt:
		return c < 0
	case opLe:
		return c <= 0
	case opGt:
		return c > 0
	default:
		return c >= 0
	}
}

// class is how the values of a type are compared.
type class uint8

const (
	classNone    class = iota // structs, lists and maps have no order
	classInt                  // whole numbers, booleans, dates and times
	classFloat                // NaN equals NaN and is greatest
	classBytes                // unsigned, byte by byte
	classDecimal              // 16 bytes of two's complement
)

func classOf(t schema.Type) class {
	switch t.Kind {
	case schema.KindStruct, schema.KindList, schema.KindMap:
		return classNone
	case schema.KindFloat, schema.KindDouble:
		return classFloat
	case schema.KindDecimal:
		return classDecimal
	case schema.KindString, schema.KindJSON, schema.KindUUID, schema.KindFixed, schema.KindBinary:
		return classBytes
	default:
		return classInt
	}
}

// comparable reports whether the values of two columns can be compared as they
// are.
func comparable(a, b schema.Type) bool {
	family := func(t schema.Type) (schema.Kind, int) {
		switch t.Kind {
		case schema.KindInt:
			return schema.KindLong, 0
		case schema.KindFloat:
			return schema.KindDouble, 0
		case schema.KindTimestamptz:
			return schema.KindTimestamp, 0
		case schema.KindJSON:
			return schema.KindString, 0
		case schema.KindFixed:
			return schema.KindBinary, 0
		case schema.KindDecimal:
			return schema.KindDecimal, t.Scale
		}
		return t.Kind, 0
	}
	ak, as := family(a)
	bk, bs := family(b)
	return ak == bk && as == bs && classOf(a) != classNone
}
