package schema

import (
	"encoding/binary"
	"math"
)

const microsPerDay = 24 * 60 * 60 * 1_000_000

// rowReader consumes an encoded row. Its methods report failure by ok and
// trust nothing in b.
type rowReader struct {
	b        []byte
	budget   int    // nested Values that may still be read
	decimals int    // top-level decimals: the size of the first block
	block    []byte // room for decimals, which do not lie in the row as a Value has them
}

// fields reads the null bitmap and the fields of a row or struct into dst, or
// past them if dst is nil. It returns the field that is not right, len(fields)
// for the bitmap, or -1.
func (r *rowReader) fields(p *plan, dst []Value) int {
	n := len(p.fields)
	nulls, ok := r.bitmap(n)
	if !ok {
		return n
	}
	for i := range p.fields {
		f := &p.fields[i]
		var out *Value
		if f.dst >= 0 && dst != nil {
			out = &dst[f.dst]
		}
		if nulls[i>>3]>>(i&7)&1 != 0 {
			if out != nil {
				*out = Value{}
			}
			continue
		}
		if !r.value(&f.plan, out) {
			return i
		}
	}
	return -1
}

// value reads a value that is not null into out, or past it if out is nil.
func (r *rowReader) value(p *plan, out *Value) bool {
	switch p.kind {
	case KindBoolean:
		if len(r.b) == 0 || r.b[0] > 1 {
			return false
		}
		return r.number(out, uint64(r.b[0]), 1)
	case KindInt, KindDate, KindLong, KindTimestamp, KindTimestamptz, KindTime:
		u, n := uvarint(r.b)
		i := int64(u>>1) ^ -int64(u&1)
		if n == 0 || !inRange(p.kind, i) {
			return false
		}
		return r.number(out, uint64(i), n)
	case KindFloat:
		if len(r.b) < 4 {
			return false
		}
		u := binary.LittleEndian.Uint32(r.b)
		f := float64(math.Float32frombits(u))
		return (f == f || u == nan32) && r.number(out, float64Bits(f), 4)
	case KindDouble:
		if len(r.b) < 8 {
			return false
		}
		u := binary.LittleEndian.Uint64(r.b)
		f := math.Float64frombits(u)
		return (f == f || u == nan64) && r.number(out, u, 8)
	case KindString, KindBinary, KindJSON:
		u, n := uvarint(r.b)
		if n == 0 || u > uint64(len(r.b)-n) {
			return false
		}
		r.b = r.b[n:]
		return r.raw(out, int(u))
	case KindDecimal:
		return r.decimal(out)
	case KindUUID:
		return r.raw(out, 16)
	case KindFixed:
		return r.raw(out, p.length)
	case KindStruct:
		return r.structure(p, out)
	case KindList:
		return r.list(p, out)
	case KindMap:
		return r.mapping(p, out)
	default:
		return false
	}
}

// number takes n bytes that were read as bits.
func (r *rowReader) number(out *Value, bits uint64, n int) bool {
	r.b = r.b[n:]
	if out != nil {
		*out = Value{valid: true, bits: bits}
	}
	return true
}

// raw takes n bytes as they are.
func (r *rowReader) raw(out *Value, n int) bool {
	if n < 0 || n > len(r.b) {
		return false
	}
	if out != nil {
		*out = Value{valid: true, bytes: r.b[:n:n]}
	}
	r.b = r.b[n:]
	return true
}

func (r *rowReader) decimal(out *Value) bool {
	if len(r.b) < 2 {
		return false
	}
	n := int(r.b[0])
	if n < 1 || n > 16 || n >= len(r.b) {
		return false
	}
	b := r.b[1 : 1+n]
	if len(trimInt(b)) != n {
		return false
	}
	r.b = r.b[1+n:]
	if out == nil {
		return true
	}
	if len(r.block) < 16 {
		r.block = make([]byte, 16*max(r.decimals, 1))
	}
	wide := r.block[:16:16]
	r.block = r.block[16:]
	extendInt(wide, b)
	*out = Value{valid: true, bytes: wide}
	return true
}

func (r *rowReader) structure(p *plan, out *Value) bool {
	if r.budget -= len(p.fields); r.budget < 0 {
		return false
	}
	if out == nil {
		return r.fields(p, nil) < 0
	}
	elems := make([]Value, p.width)
	*out = Value{valid: true, elems: elems}
	return r.fields(p, elems) < 0
}

func (r *rowReader) list(p *plan, out *Value) bool {
	count, ok := r.count()
	if !ok || count > r.budget {
		return false
	}
	r.budget -= count
	var elems []Value
	if out != nil {
		elems = make([]Value, count)
		*out = Value{valid: true, elems: elems}
	}
	return r.elems(&p.fields[0].plan, elems, count, 0, 1)
}

func (r *rowReader) mapping(p *plan, out *Value) bool {
	count, ok := r.count()
	if !ok || 2*count > r.budget {
		return false
	}
	r.budget -= 2 * count
	var elems []Value
	if out != nil {
		elems = make([]Value, 2*count)
		*out = Value{valid: true, elems: elems}
	}
	for i := range count {
		var key *Value
		if elems != nil {
			key = &elems[2*i]
		}
		if !r.value(&p.fields[0].plan, key) {
			return false
		}
	}
	return r.elems(&p.fields[1].plan, elems, count, 1, 2)
}

// elems reads a null bitmap and count values into elems at first, first+step, …
// or past them if elems is nil.
func (r *rowReader) elems(p *plan, elems []Value, count, first, step int) bool {
	nulls, ok := r.bitmap(count)
	if !ok {
		return false
	}
	for i := range count {
		if nulls[i>>3]>>(i&7)&1 != 0 {
			continue
		}
		var out *Value
		if elems != nil {
			out = &elems[first+i*step]
		}
		if !r.value(p, out) {
			return false
		}
	}
	return true
}

// count reads how many elements follow. Each of them has at least a bit in the
// bitmap, so there are no more than eight for a byte that is left.
func (r *rowReader) count() (int, bool) {
	u, n := uvarint(r.b)
	if n == 0 {
		return 0, false
	}
	r.b = r.b[n:]
	if u > 8*uint64(len(r.b)) || u > MaxRowValues {
		return 0, false
	}
	return int(u), true
}

// bitmap takes a null bitmap of n bits, whose spare bits have to be zero.
func (r *rowReader) bitmap(n int) ([]byte, bool) {
	size := bitmapLen(n)
	if size > len(r.b) {
		return nil, false
	}
	b := r.b[:size]
	r.b = r.b[size:]
	if n&7 != 0 && b[size-1]>>(n&7) != 0 {
		return nil, false
	}
	return b, true
}

// inRange reports whether i is a value of a kind that is held as an integer.
func inRange(k Kind, i int64) bool {
	switch k {
	case KindInt, KindDate:
		return i == int64(int32(i))
	case KindTime:
		return i >= 0 && i < microsPerDay
	default:
		return true
	}
}
