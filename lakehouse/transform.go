package lakehouse

import (
	"encoding/binary"
	"math"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/twmb/murmur3"

	"github.com/trinedb/trine/schema"
)

// Units of timestamps.
const (
	microsPerHour = int64(time.Hour / time.Microsecond)
	microsPerDay  = 24 * microsPerHour
)

// TransformValue is the partition value of a field's value under a transform that
// takes its type, as the Iceberg specification has it. It may alias v's bytes.
//
// It is ours and not iceberg-go's since that makes an object of each value.
func TransformValue(x schema.Transform, t schema.Type, v schema.Value) schema.Value {
	if v.IsNull() {
		return schema.Null
	}
	switch x.Kind {
	case schema.TransformBucket:
		return schema.Int(int64(bucketHash(t, v)&math.MaxInt32) % int64(x.Width))
	case schema.TransformTruncate:
		return truncate(t, v, x.Width)
	case schema.TransformYear, schema.TransformMonth:
		return schema.Int(monthOrYear(x.Kind, t, v.Int()))
	case schema.TransformDay:
		if t.Kind == schema.KindDate {
			return v
		}
		return schema.Int(floorDiv(v.Int(), microsPerDay))
	case schema.TransformHour:
		return schema.Int(floorDiv(v.Int(), microsPerHour))
	}
	return v
}

// bucketHash is the 32-bit Murmur3 hash, x86 variant, seed 0.
func bucketHash(t schema.Type, v schema.Value) uint32 {
	switch t.Kind {
	case schema.KindDecimal:
		return murmur3.Sum32(signedTail(v.Bytes()))
	case schema.KindString, schema.KindUUID, schema.KindFixed, schema.KindBinary:
		return murmur3.Sum32(v.Bytes())
	}
	// An int, a date or a time hashes as the long of its value.
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(v.Int()))
	return murmur3.Sum32(b[:])
}

func truncate(t schema.Type, v schema.Value, width int) schema.Value {
	switch t.Kind {
	case schema.KindInt: // in the type's width, as other writers have it
		return schema.Int(int64(int32(v.Int() - floorMod(v.Int(), int64(width)))))
	case schema.KindLong:
		return schema.Int(v.Int() - floorMod(v.Int(), int64(width)))
	case schema.KindDecimal:
		return truncateDecimal(v, int64(width))
	case schema.KindBinary:
		return schema.Bytes(v.Bytes()[:min(width, len(v.Bytes()))])
	}
	b, end := v.Bytes(), 0
	for n := 0; n < width && end < len(b); n++ { // code points
		_, size := utf8.DecodeRune(b[end:])
		end += size
	}
	return schema.Bytes(b[:end])
}

func truncateDecimal(v schema.Value, width int64) schema.Value {
	unscaled := bigOf(v.Bytes())
	var rest big.Int
	rest.Mod(unscaled, big.NewInt(width)) // Euclidean: never negative
	unscaled.Sub(unscaled, &rest)
	var out [16]byte
	if unscaled.Sign() < 0 {
		unscaled.Add(unscaled, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	unscaled.FillBytes(out[:])
	return schema.Bytes(out[:])
}

// bigOf is the number that two's complement stands for.
func bigOf(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

func monthOrYear(kind schema.TransformKind, t schema.Type, v int64) int64 {
	days := v
	if t.Kind != schema.KindDate {
		days = floorDiv(v, microsPerDay)
	}
	year, month, _ := time.Unix(days*24*60*60, 0).UTC().Date()
	if kind == schema.TransformYear {
		return int64(year - 1970)
	}
	return int64(year-1970)*12 + int64(month-1)
}

func floorDiv(a, b int64) int64 { return (a - floorMod(a, b)) / b }

// floorMod is the remainder that has b's sign.
func floorMod(a, b int64) int64 { return ((a % b) + b) % b }
