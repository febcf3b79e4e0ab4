package schema

import (
	"bytes"
	"cmp"
	"math"
)

// Compare orders two values of type t: -1, 0 or 1. The order is total, and the
// one in which keys are encoded: null first; false before true; −0 equals 0
// and NaN, equal to itself, is the greatest; strings and bytes by byte; structs
// and lists by their first difference, the shorter list first; maps as lists of
// their entries.
func Compare(t Type, a, b Value) int { return compare(&t, &a, &b) }

// Equal reports whether Compare finds no difference.
func Equal(t Type, a, b Value) bool { return compare(&t, &a, &b) == 0 }

func compare(t *Type, a, b *Value) int {
	if !a.valid || !b.valid {
		return int(bit(a.valid)) - int(bit(b.valid))
	}
	switch t.Kind {
	case KindFloat, KindDouble:
		return compareFloats(a.Float(), b.Float())
	case KindDecimal:
		if x, y := a.bytes[0]^0x80, b.bytes[0]^0x80; x != y {
			return cmp.Compare(x, y)
		}
		return bytes.Compare(a.bytes, b.bytes)
	case KindString, KindJSON, KindUUID, KindFixed, KindBinary:
		return bytes.Compare(a.bytes, b.bytes)
	case KindStruct:
		for i := range t.Fields {
			if c := compare(&t.Fields[i].Type, &a.elems[i], &b.elems[i]); c != 0 {
				return c
			}
		}
		return 0
	case KindList, KindMap:
		for i := range min(len(a.elems), len(b.elems)) {
			elem := &t.Fields[i%len(t.Fields)].Type
			if c := compare(elem, &a.elems[i], &b.elems[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(a.elems), len(b.elems))
	default:
		return cmp.Compare(int64(a.bits), int64(b.bits))
	}
}

// compareFloats differs from cmp.Compare in that NaN is the greatest.
func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	default:
		return int(bit(math.IsNaN(a))) - int(bit(math.IsNaN(b)))
	}
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
