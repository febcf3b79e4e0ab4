package lakehouse

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"

	"github.com/trinedb/trine/schema"
)

// metrics are what a manifest entry tells of a file's columns, by field id.
type metrics struct {
	sizes, values, nulls, nans map[int]int64
	lower, upper               map[int][]byte
}

// boundLength is how many code points or bytes of a string's or binary's bound
// are kept, Iceberg's default.
const boundLength = 16

// collectMetrics sums up a file's row groups. NaNs and the bounds of wide
// decimals come from the shredder.
func collectMetrics(meta *format.FileMetaData, columns []shredColumn) metrics {
	m := metrics{
		sizes: map[int]int64{}, values: map[int]int64{}, nulls: map[int]int64{}, nans: map[int]int64{},
		lower: map[int][]byte{}, upper: map[int][]byte{},
	}
	for i := range columns {
		c := &columns[i]
		id, t := c.field.ID, c.field.Type
		if isLineage(id) {
			continue // no column of the table's schema
		}
		for g := range meta.RowGroups {
			chunk := &meta.RowGroups[g].Columns[i].MetaData
			m.sizes[id] += chunk.TotalCompressedSize
			m.values[id] += chunk.NumValues
			m.nulls[id] += chunk.Statistics.NullCount
		}
		if t.Kind == schema.KindFloat || t.Kind == schema.KindDouble {
			m.nans[id] = c.nans
		}
		lo, hi, ok := columnBounds(meta, i, c)
		if !ok || !c.flat {
			continue
		}
		if b := encodeBound(t, lo, false); b != nil {
			m.lower[id] = b
		}
		if b := encodeBound(t, hi, true); b != nil {
			m.upper[id] = b
		}
	}
	return m
}

// columnBounds are the least and greatest value of a column in all row groups.
func columnBounds(meta *format.FileMetaData, i int, c *shredColumn) (lo, hi schema.Value, ok bool) {
	if c.wide {
		return schema.Bytes(c.lo), schema.Bytes(c.hi), c.lo != nil
	}
	t := c.field.Type
	for g := range meta.RowGroups {
		chunk := &meta.RowGroups[g].Columns[i].MetaData
		stats := &chunk.Statistics
		if chunk.NumValues == stats.NullCount {
			continue
		}
		l, lok := parquetValue(t, stats.MinValue)
		h, hok := parquetValue(t, stats.MaxValue)
		if !lok || !hok {
			return schema.Null, schema.Null, false
		}
		if !ok || schema.Compare(t, l, lo) < 0 {
			lo = l
		}
		if !ok || schema.Compare(t, h, hi) > 0 {
			hi = h
		}
		ok = true
	}
	return lo, hi, ok
}

// parquetValue reads a bound as Parquet's statistics hold it: the plain
// encoding. Ok is false if it is none: missing, NaN, or of the wrong length.
// An int or float stands for a long or double too, as files outlive widening.
func parquetValue(t schema.Type, b []byte) (schema.Value, bool) {
	if b == nil {
		return schema.Null, false
	}
	switch t.Kind {
	case schema.KindDecimal:
		switch len(b) {
		case 4:
			return wideDecimal(int64(int32(binary.LittleEndian.Uint32(b)))), true
		case 8:
			return wideDecimal(int64(binary.LittleEndian.Uint64(b))), true
		}
		return schema.Null, false // unsigned order: not to be trusted
	case schema.KindStruct, schema.KindList, schema.KindMap:
		return schema.Null, false
	default:
		return plainValue(t, b)
	}
}

// plainValue reads what Parquet's plain encoding and Iceberg's single-value
// encoding share.
func plainValue(t schema.Type, b []byte) (schema.Value, bool) {
	switch t.Kind {
	case schema.KindBoolean:
		if len(b) != 1 {
			return schema.Null, false
		}
		return schema.Bool(b[0] != 0), true
	case schema.KindFloat, schema.KindDouble:
		f := math.NaN()
		switch len(b) {
		case 4:
			f = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case 8:
			f = math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
		return schema.Float(f), !math.IsNaN(f)
	case schema.KindString, schema.KindJSON, schema.KindBinary:
		return schema.Bytes(b), true
	case schema.KindUUID:
		return schema.Bytes(b), len(b) == 16
	case schema.KindFixed:
		return schema.Bytes(b), len(b) == t.Length
	}
	switch len(b) {
	case 4:
		return schema.Int(int64(int32(binary.LittleEndian.Uint32(b)))), true
	case 8:
		return schema.Int(int64(binary.LittleEndian.Uint64(b))), true
	}
	return schema.Null, false
}

func wideDecimal(i int64) schema.Value {
	var b [16]byte
	binary.BigEndian.PutUint64(b[8:], uint64(i))
	binary.BigEndian.PutUint64(b[:8], uint64(i>>63))
	return schema.Bytes(b[:])
}

// encodeBound is a bound in Iceberg's single-value encoding, nil if it has
// none.
func encodeBound(t schema.Type, v schema.Value, upper bool) []byte {
	switch t.Kind {
	case schema.KindBoolean:
		return []byte{byte(v.Int())}
	case schema.KindInt, schema.KindDate:
		return binary.LittleEndian.AppendUint32(nil, uint32(v.Int()))
	case schema.KindLong, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz:
		return binary.LittleEndian.AppendUint64(nil, uint64(v.Int()))
	case schema.KindFloat:
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(zeroOutward(v.Float(), upper))))
	case schema.KindDouble:
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(zeroOutward(v.Float(), upper)))
	case schema.KindDecimal:
		return shortestSigned(v.Bytes())
	case schema.KindString, schema.KindJSON:
		return boundString(v.Bytes(), upper)
	case schema.KindBinary:
		return boundBytes(v.Bytes(), upper)
	case schema.KindUUID, schema.KindFixed:
		return bytes.Clone(v.Bytes())
	}
	return nil
}

// zeroOutward makes a bound of zero hold −0 and +0.
func zeroOutward(f float64, upper bool) float64 {
	if f != 0 {
		return f
	}
	if upper {
		return 0
	}
	return math.Copysign(0, -1)
}

// shortestSigned drops the leading bytes that two's complement does not need.
func shortestSigned(b []byte) []byte { return bytes.Clone(signedTail(b)) }

// signedTail is shortestSigned of the same bytes.
func signedTail(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

func boundString(b []byte, upper bool) []byte {
	end := 0
	for n := 0; n < boundLength && end < len(b); n++ {
		_, size := utf8.DecodeRune(b[end:])
		end += size
	}
	if end == len(b) || !upper {
		return append([]byte{}, b[:end]...)
	}
	// Round up: the last code point that has a successor gets it.
	for end > 0 {
		r, size := utf8.DecodeLastRune(b[:end])
		end -= size
		if r == utf8.RuneError && size == 1 {
			return nil // not UTF-8
		}
		if r++; r == 0xd800 {
			r = 0xe000
		}
		if r <= utf8.MaxRune {
			return utf8.AppendRune(append([]byte{}, b[:end]...), r)
		}
	}
	return nil
}

func boundBytes(b []byte, upper bool) []byte {
	if len(b) <= boundLength || !upper {
		return append([]byte{}, b[:min(len(b), boundLength)]...)
	}
	for end := boundLength; end > 0; end-- {
		if b[end-1] != 0xff {
			out := append([]byte{}, b[:end]...)
			out[end-1]++
			return out
		}
	}
	return nil
}

// decodeBound reads a manifest entry's bound.
func decodeBound(t schema.Type, b []byte) (schema.Value, bool) {
	if b == nil {
		return schema.Null, false
	}
	switch t.Kind {
	case schema.KindDecimal:
		if len(b) == 0 || len(b) > 16 {
			return schema.Null, false
		}
		var full [16]byte
		if b[0] >= 0x80 {
			for i := range full {
				full[i] = 0xff
			}
		}
		copy(full[16-len(b):], b)
		return schema.Bytes(full[:]), true
	case schema.KindStruct, schema.KindList, schema.KindMap:
		return schema.Null, false
	case schema.KindUUID:
		return schema.Bytes(b), len(b) == 16
	}
	return plainValue(t, b)
}
