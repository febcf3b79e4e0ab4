package schema

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The row format is specified in docs/format/row.md:
//
//	+-----------+-------------+---------+---------+-----+
//	| schema id | null bitmap | field 0 | field 1 | ... |
//	+-----------+-------------+---------+---------+-----+
//	  uvarint     ceil(n/8) B

// RowFormat is the version of the row format that AppendRow writes. Whatever
// holds rows (a chunk's header, an index's directory) records it.
const RowFormat = 1

// Limits of a row.
const (
	// MaxDepth is how many levels a type may nest.
	MaxDepth = 64
	// MaxRowValues is how many Values the nested fields of one row may hold: a
	// null is one bit in the row and 64 bytes in memory.
	MaxRowValues = 1 << 20
)

// AppendRow appends the encoded form of row to dst. The row has passed
// CheckRow; floats are rounded to the field's width. It does not allocate
// beyond dst's growth.
func (s *Schema) AppendRow(dst []byte, row []Value) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.ID))
	return appendFields(dst, s.Fields, row)
}

// RowSchemaID reads which schema a row was written with.
func RowSchemaID(row []byte) (SchemaID, error) {
	id, n := uvarint(row)
	if n == 0 || id > math.MaxUint32 {
		return 0, fmt.Errorf("row has no schema id: %w", ErrCorrupt)
	}
	return SchemaID(id), nil
}

// appendFields appends the null bitmap of a row or struct, then its fields.
func appendFields(dst []byte, fields []Field, row []Value) []byte {
	at := len(dst)
	dst = appendZeros(dst, bitmapLen(len(fields)))
	for i := range fields {
		if !row[i].valid {
			dst[at+i>>3] |= 1 << (i & 7)
			continue
		}
		dst = appendValue(dst, &fields[i].Type, &row[i])
	}
	return dst
}

// appendValue appends a value that is not null.
func appendValue(dst []byte, t *Type, v *Value) []byte {
	switch t.Kind {
	case KindBoolean:
		return append(dst, byte(v.bits&1))
	case KindInt, KindLong, KindDate, KindTime, KindTimestamp, KindTimestamptz:
		return appendUvarint(dst, v.bits<<1^uint64(int64(v.bits)>>63))
	case KindFloat:
		return binary.LittleEndian.AppendUint32(dst, float32Bits(v.Float()))
	case KindDouble:
		return binary.LittleEndian.AppendUint64(dst, float64Bits(v.Float()))
	case KindString, KindBinary, KindJSON:
		dst = appendUvarint(dst, uint64(len(v.bytes)))
		return append(dst, v.bytes...)
	case KindDecimal:
		b := trimInt(v.bytes[:16])
		dst = append(dst, byte(len(b)))
		return append(dst, b...)
	case KindUUID:
		return append(dst, v.bytes[:16]...)
	case KindFixed:
		return append(dst, v.bytes[:t.Length]...)
	case KindStruct:
		return appendFields(dst, t.Fields, v.elems)
	case KindList:
		dst = appendUvarint(dst, uint64(len(v.elems)))
		return appendElems(dst, &t.Fields[0].Type, v.elems, 0, 1)
	case KindMap:
		dst = appendUvarint(dst, uint64(len(v.elems)/2))
		for i := 0; i < len(v.elems); i += 2 {
			dst = appendValue(dst, &t.Fields[0].Type, &v.elems[i])
		}
		return appendElems(dst, &t.Fields[1].Type, v.elems, 1, 2)
	default:
		panic("schema: encode a value of " + t.Kind.String())
	}
}

// appendElems appends the null bitmap and the values at first, first+step, …
func appendElems(dst []byte, t *Type, elems []Value, first, step int) []byte {
	at := len(dst)
	dst = appendZeros(dst, bitmapLen(len(elems)/step))
	for i, n := first, 0; i < len(elems); i, n = i+step, n+1 {
		if !elems[i].valid {
			dst[at+n>>3] |= 1 << (n & 7)
			continue
		}
		dst = appendValue(dst, t, &elems[i])
	}
	return dst
}

// nan32 and nan64 are the NaN that every NaN becomes in a row or a key.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

func float32Bits(f float64) uint32 {
	if f != f {
		return nan32
	}
	return math.Float32bits(float32(f))
}

func float64Bits(f float64) uint64 {
	if f != f {
		return nan64
	}
	return math.Float64bits(f)
}

func bitmapLen(n int) int { return (n + 7) >> 3 }

func appendZeros(dst []byte, n int) []byte {
	for ; n >= 8; n -= 8 {
		dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	for ; n > 0; n-- {
		dst = append(dst, 0)
	}
	return dst
}

// appendUvarint is binary.AppendUvarint, with the one-byte case inlined.
func appendUvarint(dst []byte, u uint64) []byte {
	if u < 0x80 {
		return append(dst, byte(u))
	}
	return binary.AppendUvarint(dst, u)
}

// uvarint reads a uvarint in its shortest form; n is 0 if there is none.
func uvarint(b []byte) (u uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	u, n = binary.Uvarint(b)
	if n <= 0 || b[n-1] == 0 {
		return 0, 0
	}
	return u, n
}

// trimInt cuts a big-endian two's complement number to its fewest bytes.
func trimInt(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// extendInt is the inverse of trimInt: it fills dst, which is not shorter.
func extendInt(dst, b []byte) {
	var fill byte
	if b[0] >= 0x80 {
		fill = 0xff
	}
	n := len(dst) - len(b)
	for i := range dst[:n] {
		dst[i] = fill
	}
	copy(dst[n:], b)
}
