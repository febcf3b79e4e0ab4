package schema

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseText reads a value of type t from text: a CSV cell, a part of a URL, an
// SQL literal. The forms are AppendText's, and these beside: a boolean may be t,
// f, 1 or 0, in any case; a number may have a sign; a decimal may have an
// exponent; timestamps may have a blank for the T; a uuid may lack its dashes. Text
// is never trimmed, and never null: what stands for null is the caller's. A
// nested type has no text that is read here; its text is JSON. Nothing of text is
// kept, neither in the value nor in the error.
//
// The error is a *FieldError without Line and Field.
func ParseText(t Type, text string) (Value, error) {
	v, rule := parseText(&t, text)
	if rule != "" {
		return Null, &FieldError{Value: cut(text), Rule: rule}
	}
	return v, nil
}

// parseText is ParseText; rule is empty or what the text breaks.
func parseText(t *Type, s string) (v Value, rule string) {
	switch t.Kind {
	case KindBoolean:
		return parseBoolean(s)
	case KindInt:
		return parseInteger(s, 32)
	case KindLong:
		return parseInteger(s, 64)
	case KindFloat:
		return parseFloat(s, 32)
	case KindDouble:
		return parseFloat(s, 64)
	case KindDecimal:
		n, rule := parseDecimal(s, *t)
		if rule != "" {
			return Null, rule
		}
		return Decimal(n), ""
	case KindDate, KindTime, KindTimestamp, KindTimestamptz:
		return parseMoment(t.Kind, s)
	case KindString:
		if !utf8.ValidString(s) {
			return Null, wantUTF8
		}
		return String(s), ""
	case KindJSON:
		if !json.Valid([]byte(s)) {
			return Null, wantJSON
		}
		return String(s), ""
	case KindUUID:
		return parseUUID(s)
	case KindFixed, KindBinary:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return Null, "want base64"
		}
		if t.Kind == KindFixed && len(b) != t.Length {
			return Null, wantBytes(t.Length, len(b))
		}
		return Bytes(b), ""
	default:
		return Null, "a " + t.Kind.String() + " is written as JSON"
	}
}

func parseBoolean(s string) (Value, string) {
	switch strings.ToLower(s) {
	case "true", "t", "1":
		return Bool(true), ""
	case "false", "f", "0":
		return Bool(false), ""
	}
	return Null, "want true or false"
}

func parseInteger(s string, bits int) (Value, string) {
	i, err := strconv.ParseInt(s, 10, bits)
	switch {
	case err == nil:
		return Int(i), ""
	case isRange(err) && bits == 32:
		return Null, "does not fit an int (32 bits): make the field a long"
	case isRange(err):
		return Null, "does not fit a long (64 bits): make the field a decimal"
	default:
		return Null, "want a whole number"
	}
}

func parseFloat(s string, bits int) (Value, string) {
	const want = "want a number such as 1.5 or -2e10, NaN, Infinity or -Infinity"
	if strings.ContainsAny(s, "xXpP_") {
		return Null, want // forms that Go reads and nobody else writes
	}
	f, err := strconv.ParseFloat(s, bits)
	switch {
	case err == nil && math.IsNaN(f):
		return Float(math.NaN()), ""
	case err == nil:
		return Float(f), ""
	case isRange(err):
		return Null, outOfRange
	default:
		return Null, want
	}
}

func isRange(err error) bool {
	n, ok := err.(*strconv.NumError)
	return ok && n.Err == strconv.ErrRange
}

// parseMoment reads a date, time or timestamp.
func parseMoment(k Kind, s string) (Value, string) {
	switch k {
	case KindDate:
		days, rest, ok := parseDate(s)
		switch {
		case !ok || rest != "":
			return Null, wantDate
		case !inRange(k, days):
			return Null, outOfRange
		}
		return Int(days), ""
	case KindTime:
		micros, rest, rule := parseClock(s, wantTime)
		switch {
		case rule != "":
			return Null, rule
		case rest != "":
			return Null, wantTime
		}
		return Int(micros), ""
	default:
		micros, rule := parseTimestamp(s, k == KindTimestamptz)
		if rule != "" {
			return Null, rule
		}
		return Int(micros), ""
	}
}

func parseUUID(s string) (Value, string) {
	const want = "want a uuid such as 123e4567-e89b-12d3-a456-426614174000"
	var digits [32]byte
	switch {
	case len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-':
		n := copy(digits[:], s[:8])
		n += copy(digits[n:], s[9:13])
		n += copy(digits[n:], s[14:18])
		n += copy(digits[n:], s[19:23])
		copy(digits[n:], s[24:])
	case len(s) == 32:
		copy(digits[:], s)
	default:
		return Null, want
	}
	b := make([]byte, 16)
	if _, err := hex.Decode(b, digits[:]); err != nil {
		return Null, want
	}
	return Bytes(b), ""
}

// AppendText appends v, of type t, as ParseText reads it: dates and times as
// ISO 8601 (a timestamptz in UTC with Z), decimals with all digits of their
// scale, uuids with dashes, fixed and binary in base64, nested values as JSON.
// Null appends nothing.
func AppendText(dst []byte, t Type, v Value) []byte { return appendText(dst, &t, &v) }

func appendText(dst []byte, t *Type, v *Value) []byte {
	if !v.valid {
		return dst
	}
	switch t.Kind {
	case KindBoolean:
		return strconv.AppendBool(dst, v.Bool())
	case KindInt, KindLong:
		return strconv.AppendInt(dst, v.Int(), 10)
	case KindFloat:
		return appendFloat(dst, v.Float(), 32)
	case KindDouble:
		return appendFloat(dst, v.Float(), 64)
	case KindDecimal:
		return appendDecimalText(dst, v.Decimal(), t.Scale)
	case KindDate:
		return appendDate(dst, v.Int())
	case KindTime:
		return appendClock(dst, v.Int())
	case KindTimestamp:
		return appendTimestamp(dst, v.Int())
	case KindTimestamptz:
		return append(appendTimestamp(dst, v.Int()), 'Z')
	case KindUUID:
		b := v.bytes
		dst = append(hex.AppendEncode(dst, b[:4]), '-')
		dst = append(hex.AppendEncode(dst, b[4:6]), '-')
		dst = append(hex.AppendEncode(dst, b[6:8]), '-')
		dst = append(hex.AppendEncode(dst, b[8:10]), '-')
		return hex.AppendEncode(dst, b[10:16])
	case KindFixed, KindBinary:
		return base64.StdEncoding.AppendEncode(dst, v.bytes)
	case KindStruct, KindList, KindMap:
		return appendJSON(dst, t, v)
	default:
		return append(dst, v.bytes...)
	}
}

// appendFloat appends the fewest digits that read back as f.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

// cut shortens a value to the 64 bytes that a FieldError tells of it.
func cut(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}
