package schema

import (
	"bytes"
	"encoding/binary"
	"math"
)

// The key format is specified in docs/format/key.md. bytes.Compare of two
// encoded keys orders them as Compare orders their values, part by part.

// KeyFormat is the version of the key format that AppendKey writes.
const KeyFormat = 1

const (
	escape     = 0x00 // in a string: followed by one of the two below
	escapedNul = 0xff
	terminator = 0x01

	nullMark  = 0x00 // before a field of a secondary index
	valueMark = 0x01

	signBit = 1 << 63
)

// KeyTypes are the types of the primary key's parts, in key order.
func (s *Schema) KeyTypes() []Type {
	types := make([]Type, len(s.Key))
	for i, f := range s.Key {
		types[i] = s.Fields[f].Type
	}
	return types
}

// AppendKey appends the encoded primary key of row to dst. The row has passed
// CheckRow, so its key fields are not null.
func (s *Schema) AppendKey(dst []byte, row []Value) []byte {
	for _, f := range s.Key {
		dst = appendKeyValue(dst, &s.Fields[f].Type, &row[f])
	}
	return dst
}

// AppendKeyParts appends a key given by its parts: all of them, or the leading
// ones, which makes a prefix of every key that begins with them. Parts are of
// the key's types and not null.
func (s *Schema) AppendKeyParts(dst []byte, parts []Value) []byte {
	for i := range parts {
		dst = appendKeyValue(dst, &s.Fields[s.Key[i]].Type, &parts[i])
	}
	return dst
}

// AppendIndexFields appends the fields of row, given by their place in the
// schema, as a secondary index holds them: each a mark and, unless it is null,
// its value. The primary key is to follow.
func (s *Schema) AppendIndexFields(dst []byte, fields []int, row []Value) []byte {
	for _, f := range fields {
		dst = appendMarked(dst, &s.Fields[f].Type, &row[f])
	}
	return dst
}

// AppendIndexParts is AppendIndexFields of values given by themselves: all of
// the index's fields, or the leading ones. They may be null.
func (s *Schema) AppendIndexParts(dst []byte, fields []int, parts []Value) []byte {
	for i := range parts {
		dst = appendMarked(dst, &s.Fields[fields[i]].Type, &parts[i])
	}
	return dst
}

// PrefixEnd is the smallest key that is greater than every key with that
// prefix, or nil if there is none: the exclusive end of a prefix's range.
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := bytes.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

func appendMarked(dst []byte, t *Type, v *Value) []byte {
	if !v.valid {
		return append(dst, nullMark)
	}
	return appendKeyValue(append(dst, valueMark), t, v)
}

// appendKeyValue appends a value that is not null.
func appendKeyValue(dst []byte, t *Type, v *Value) []byte {
	switch t.Kind {
	case KindBoolean:
		return append(dst, byte(v.bits&1))
	case KindInt, KindLong, KindTime, KindTimestamp, KindTimestamptz:
		return binary.BigEndian.AppendUint64(dst, v.bits^signBit)
	case KindDate:
		return binary.BigEndian.AppendUint32(dst, uint32(v.bits)^(1<<31))
	case KindFloat, KindDouble:
		return binary.BigEndian.AppendUint64(dst, floatKey(v.Float()))
	case KindString, KindBinary, KindJSON:
		return appendKeyBytes(dst, v.bytes)
	case KindDecimal:
		dst = append(dst, v.bytes[:16]...)
		dst[len(dst)-16] ^= 0x80
		return dst
	case KindUUID:
		return append(dst, v.bytes[:16]...)
	case KindFixed:
		return append(dst, v.bytes[:t.Length]...)
	default:
		panic("schema: key of type " + t.Kind.String())
	}
}

// appendKeyBytes appends b with its NULs escaped, and the end.
func appendKeyBytes(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, escape)
		if i < 0 {
			dst = append(dst, b...)
			return append(dst, escape, terminator)
		}
		dst = append(dst, b[:i+1]...)
		dst = append(dst, escapedNul)
		b = b[i+1:]
	}
}

// floatKey maps f to a number that orders as f does, NaN last.
func floatKey(f float64) uint64 {
	bits := float64Bits(f)
	if f == 0 {
		bits = 0 // of −0 too
	}
	if bits&signBit != 0 {
		return ^bits
	}
	return bits | signBit
}

// floatOfKey is the inverse of floatKey.
func floatOfKey(u uint64) float64 {
	if u&signBit != 0 {
		return math.Float64frombits(u &^ signBit)
	}
	return math.Float64frombits(^u)
}
