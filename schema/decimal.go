package schema

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// MaxPrecision is the most digits that a decimal can have.
const MaxPrecision = 38

// Decimal is the Value of a decimal with that unscaled value.
func Decimal(n decimal128.Num) Value {
	return Bytes(appendDecimal(make([]byte, 0, 16), n))
}

// Decimal reads the unscaled value of a decimal.
func (v Value) Decimal() decimal128.Num {
	return decimal128.New(int64(binary.BigEndian.Uint64(v.bytes)), binary.BigEndian.Uint64(v.bytes[8:16]))
}

func appendDecimal(dst []byte, n decimal128.Num) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(n.HighBits()))
	return binary.BigEndian.AppendUint64(dst, n.LowBits())
}

// mulAdd is n*10^digits + add for a magnitude n; ok is false if it does not
// fit 127 bits. digits is at most 19, add less than 10^digits.
func mulAdd(n decimal128.Num, digits int, add uint64) (decimal128.Num, bool) {
	m := pow10[digits]
	overflow, hi := bits.Mul64(uint64(n.HighBits()), m)
	carry, lo := bits.Mul64(n.LowBits(), m)
	lo, c := bits.Add64(lo, add, 0)
	hi, c2 := bits.Add64(hi, carry, c)
	return decimal128.New(int64(hi), lo), overflow == 0 && c2 == 0 && hi < signBit
}

// pow10 are the powers of ten that fit 64 bits.
var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := range p[1:] {
		p[i+1] = p[i] * 10
	}
	return p
}()

// rescale changes the scale of an unscaled value by that many digits. ok is
// false if digits that are not zero would be lost, or it no longer fits.
func rescale(n decimal128.Num, by int) (_ decimal128.Num, ok bool) {
	negative := n.Sign() < 0
	n = n.Abs()
	if n.Sign() < 0 { // -2^127 has no magnitude in 127 bits
		return n, false
	}
	for ok = true; by > 0 && ok && n.Sign() != 0; {
		step := min(by, 19)
		n, ok = mulAdd(n, step, 0)
		by -= step
	}
	for ; by < 0 && ok && n.Sign() != 0; by++ {
		var rem uint64
		n, rem = divide(n, 10)
		ok = rem == 0
	}
	if negative {
		n = n.Negate()
	}
	return n, ok
}

// divide divides a magnitude.
func divide(n decimal128.Num, by uint64) (quotient decimal128.Num, remainder uint64) {
	hi, rem := bits.Div64(0, uint64(n.HighBits()), by)
	lo, rem := bits.Div64(rem, n.LowBits(), by)
	return decimal128.New(int64(hi), lo), rem
}

// parseDecimal reads a decimal number exactly; rule is empty or what it breaks.
// An exponent is taken, as JSON numbers have it.
func parseDecimal(s string, t Type) (n decimal128.Num, rule string) {
	const want = "want a decimal number such as -12.50"
	rest, negative := s, false
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		negative, rest = rest[0] == '-', rest[1:]
	}
	exponent := 0
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		e, err := strconv.ParseInt(rest[i+1:], 10, 16)
		if err != nil {
			return n, want
		}
		rest, exponent = rest[:i], int(e)
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	if whole+fraction == "" {
		return n, want
	}
	significant := strings.TrimRight(fraction, "0")
	fits := true
	for _, digits := range [...]string{whole, fraction} {
		for i := range len(digits) {
			if digits[i] < '0' || digits[i] > '9' {
				return n, want
			}
		}
	}
	for _, digits := range [...]string{whole, significant} {
		for i := 0; i < len(digits) && fits; i++ {
			n, fits = mulAdd(n, 1, uint64(digits[i]-'0'))
		}
	}
	if !fits {
		return n, "does not fit " + t.String()
	}
	return fitDecimal(n, negative, len(significant)-exponent, t)
}

// fitDecimal brings a magnitude of some scale to the type's scale and sign.
func fitDecimal(n decimal128.Num, negative bool, scale int, t Type) (decimal128.Num, string) {
	n, ok := rescale(n, t.Scale-scale)
	if !ok && scale > t.Scale {
		return n, "has more than " + strconv.Itoa(t.Scale) + " digits after the point, the scale of " + t.String()
	}
	if !ok || !fitsPrecision(n, t.Precision) {
		return n, "does not fit " + t.String()
	}
	if negative {
		n = n.Negate()
	}
	return n, ""
}

// fitsPrecision reports whether n has no more than that many digits.
func fitsPrecision(n decimal128.Num, precision int) bool {
	if precision < 1 || precision > MaxPrecision {
		return false
	}
	limit := decimal128.GetScaleMultiplier(precision)
	return n.Less(limit) && n.Greater(limit.Negate())
}

// appendDecimalText appends n with scale digits after the point.
func appendDecimalText(dst []byte, n decimal128.Num, scale int) []byte {
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n = n.Negate()
	}
	var buf [MaxPrecision + 3]byte // 2^127 has 39 digits
	at := len(buf)
	for digits := 0; digits <= scale || n.Sign() != 0; digits++ {
		var d uint64
		if n.HighBits() == 0 {
			lo := n.LowBits()
			d, n = lo%10, decimal128.New(0, lo/10)
		} else {
			hi, rem := bits.Div64(0, uint64(n.HighBits()), 10)
			lo, rem := bits.Div64(rem, n.LowBits(), 10)
			d, n = rem, decimal128.New(int64(hi), lo)
		}
		if digits == scale && scale > 0 {
			at--
			buf[at] = '.'
		}
		at--
		buf[at] = byte('0' + d)
	}
	return append(dst, buf[at:]...)
}
