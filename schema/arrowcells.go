package schema

import (
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// flatBinder finds how cells of a flat Arrow type are read as t, nil if they
// are not.
func flatBinder(t *Type, in arrow.DataType) binder {
	var get func(a arrow.Array, state *batchState) getter
	switch t.Kind {
	case KindBoolean:
		if in.ID() == arrow.BOOL {
			get = func(a arrow.Array, _ *batchState) getter { return booleans(a.(*array.Boolean)) }
		}
	case KindInt, KindLong:
		if arrow.IsInteger(in.ID()) {
			get = func(a arrow.Array, _ *batchState) getter { return integers(t.Kind, a) }
		}
	case KindFloat, KindDouble:
		if readsAsFloat(t.Kind, in.ID()) {
			get = func(a arrow.Array, _ *batchState) getter { return floats(a) }
		}
	case KindDecimal:
		if d, ok := in.(arrow.DecimalType); ok && d.GetScale() >= -76 && d.GetScale() <= 76 {
			by := t.Scale - int(d.GetScale())
			get = func(a arrow.Array, state *batchState) getter { return decimals(t, by, decimalSource(a), state) }
		} else if arrow.IsInteger(in.ID()) {
			get = func(a arrow.Array, state *batchState) getter { return decimals(t, t.Scale, integerSource(a), state) }
		}
	case KindDate, KindTime, KindTimestamp, KindTimestamptz:
		get = momentGetter(t, in)
	case KindString, KindJSON:
		if isString(in.ID()) {
			get = func(a arrow.Array, _ *batchState) getter { return octets(a) }
		}
	case KindUUID:
		if w, ok := in.(*arrow.FixedSizeBinaryType); ok && w.ByteWidth == 16 {
			get = func(a arrow.Array, _ *batchState) getter { return octets(a) }
		} else if isString(in.ID()) {
			get = func(a arrow.Array, _ *batchState) getter { return uuids(octets(a)) }
		}
	case KindFixed, KindBinary:
		w, fixed := in.(*arrow.FixedSizeBinaryType)
		if fixed && (t.Kind == KindBinary || w.ByteWidth == t.Length) || isBinary(in.ID()) {
			get = func(a arrow.Array, _ *batchState) getter { return sized(t, octets(a)) }
		}
	}
	if get == nil {
		return nil
	}
	return func(a arrow.Array, state *batchState) cells { return newCells(a, get(a, state)) }
}

func isString(id arrow.Type) bool {
	return id == arrow.STRING || id == arrow.LARGE_STRING || id == arrow.STRING_VIEW
}

func isBinary(id arrow.Type) bool {
	return id == arrow.BINARY || id == arrow.LARGE_BINARY || id == arrow.BINARY_VIEW
}

// readsAsFloat reports whether values of the type are floats or doubles, or
// integers that usually are; floats checks those of 64 bits.
func readsAsFloat(k Kind, id arrow.Type) bool {
	switch id {
	case arrow.FLOAT16, arrow.FLOAT32, arrow.INT8, arrow.INT16, arrow.UINT8, arrow.UINT16:
		return true
	case arrow.FLOAT64, arrow.INT32, arrow.UINT32, arrow.INT64, arrow.UINT64:
		return k == KindDouble
	default:
		return false
	}
}

func booleans(a *array.Boolean) getter {
	return func(i int, out *Value) string { *out = Bool(a.Value(i)); return "" }
}

// integers reads any width as an int or long, if the value fits.
func integers(k Kind, a arrow.Array) getter {
	switch a := a.(type) {
	case *array.Int8:
		return widen(a.Values())
	case *array.Int16:
		return widen(a.Values())
	case *array.Int32:
		return widen(a.Values())
	case *array.Uint8:
		return widen(a.Values())
	case *array.Uint16:
		return widen(a.Values())
	case *array.Uint32:
		if k == KindLong {
			return widen(a.Values())
		}
		return narrow(a.Values())
	case *array.Int64:
		if k == KindLong {
			return widen(a.Values())
		}
		return narrow(a.Values())
	case *array.Uint64:
		values, limit := a.Values(), uint64(math.MaxInt64)
		if k == KindInt {
			limit = math.MaxInt32
		}
		return func(i int, out *Value) string {
			if values[i] > limit {
				return outOfRange
			}
			*out = Int(int64(values[i]))
			return ""
		}
	default:
		panic("not an array of integers")
	}
}

func widen[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | arrow.Date32](values []T) getter {
	return func(i int, out *Value) string { *out = Int(int64(values[i])); return "" }
}

func narrow[T int64 | uint32](values []T) getter {
	return func(i int, out *Value) string {
		n := int64(values[i])
		if n != int64(int32(n)) {
			return outOfRange
		}
		*out = Int(n)
		return ""
	}
}

// floats reads floats of any width and integers that a double holds exactly.
func floats(a arrow.Array) getter {
	switch a := a.(type) {
	case *array.Float16:
		values := a.Values()
		return func(i int, out *Value) string { *out = Float(float64(values[i].Float32())); return "" }
	case *array.Float32:
		values := a.Values()
		return func(i int, out *Value) string { *out = Float(float64(values[i])); return "" }
	case *array.Float64:
		values := a.Values()
		return func(i int, out *Value) string { *out = Float(values[i]); return "" }
	}
	whole := integers(KindLong, a)
	return func(i int, out *Value) string {
		if rule := whole(i, out); rule != "" {
			return rule
		}
		n := out.Int()
		f := float64(n)
		if f >= 1<<63 || int64(f) != n {
			return "is a whole number that a double does not hold exactly"
		}
		*out = Float(f)
		return ""
	}
}

// decimalSource gives the unscaled values of a decimal array; ok is false for
// one that does not fit 128 bits.
func decimalSource(a arrow.Array) func(i int) (decimal128.Num, bool) {
	switch a := a.(type) {
	case *array.Decimal32:
		values := a.Values()
		return func(i int) (decimal128.Num, bool) { return decimal128.FromI64(int64(values[i])), true }
	case *array.Decimal64:
		values := a.Values()
		return func(i int) (decimal128.Num, bool) { return decimal128.FromI64(int64(values[i])), true }
	case *array.Decimal128:
		values := a.Values()
		return func(i int) (decimal128.Num, bool) { return values[i], true }
	case *array.Decimal256:
		values := a.Values()
		return func(i int) (decimal128.Num, bool) { return narrow256(values[i]) }
	default:
		panic("not an array of decimals")
	}
}

func narrow256(n decimal256.Num) (decimal128.Num, bool) {
	words := n.Array() // low first
	sign := uint64(int64(words[1]) >> 63)
	return decimal128.New(int64(words[1]), words[0]), words[2] == sign && words[3] == sign
}

func integerSource(a arrow.Array) func(i int) (decimal128.Num, bool) {
	if a, ok := a.(*array.Uint64); ok {
		values := a.Values()
		return func(i int) (decimal128.Num, bool) { return decimal128.FromU64(values[i]), true }
	}
	whole := integers(KindLong, a)
	return func(i int) (decimal128.Num, bool) {
		var v Value
		rule := whole(i, &v)
		return decimal128.FromI64(v.Int()), rule == ""
	}
}

// decimals reads decimals after changing their scale by that many digits.
func decimals(t *Type, by int, source func(int) (decimal128.Num, bool), state *batchState) getter {
	tooBig := "does not fit " + t.String()
	return func(i int, out *Value) string {
		n, ok := source(i)
		if ok && by != 0 {
			if n, ok = rescale(n, by); !ok && by < 0 {
				return "has more digits after the point than the scale of " + t.String()
			}
		}
		if !ok || !fitsPrecision(n, t.Precision) {
			return tooBig
		}
		*out = Bytes(appendDecimal(state.decimal()[:0], n))
		return ""
	}
}

// octets reads strings and binaries of any layout. The bytes are the batch's.
func octets(a arrow.Array) getter {
	switch a := a.(type) {
	case *array.String:
		return func(i int, out *Value) string { *out = alias(a.Value(i)); return "" }
	case *array.LargeString:
		return func(i int, out *Value) string { *out = alias(a.Value(i)); return "" }
	case *array.StringView:
		return func(i int, out *Value) string { *out = alias(a.Value(i)); return "" }
	case *array.Binary:
		return func(i int, out *Value) string { *out = Bytes(a.Value(i)); return "" }
	case *array.LargeBinary:
		return func(i int, out *Value) string { *out = Bytes(a.Value(i)); return "" }
	case *array.BinaryView:
		return func(i int, out *Value) string { *out = Bytes(a.Value(i)); return "" }
	case *array.FixedSizeBinary:
		return func(i int, out *Value) string { *out = Bytes(a.Value(i)); return "" }
	default:
		panic("not an array of bytes")
	}
}

// alias is the Value of a string whose bytes nobody changes.
func alias(s string) Value {
	return Bytes(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// sized demands the length of a fixed.
func sized(t *Type, get getter) getter {
	if t.Kind != KindFixed {
		return get
	}
	return func(i int, out *Value) string {
		if rule := get(i, out); rule != "" {
			return rule
		}
		if len(out.bytes) != t.Length {
			return wantBytes(t.Length, len(out.bytes))
		}
		return ""
	}
}

// uuids reads uuids that are text.
func uuids(text getter) getter {
	return func(i int, out *Value) (rule string) {
		if rule = text(i, out); rule != "" {
			return rule
		}
		*out, rule = parseUUID(string(out.bytes))
		return rule
	}
}
