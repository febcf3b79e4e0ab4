package rowjson

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/trinedb/trine/schema"
)

// AppendRow appends row as one JSON object with every field of s in order,
// nulls written out. It is one line: no line break is ever written.
func AppendRow(dst []byte, s *schema.Schema, row []schema.Value) []byte {
	return appendStruct(dst, s.Fields, row)
}

// AppendValue appends v, a value of type t, as JSON.
func AppendValue(dst []byte, t schema.Type, v schema.Value) []byte {
	return appendValue(dst, &t, &v)
}

func appendStruct(dst []byte, fields []schema.Field, values []schema.Value) []byte {
	dst = append(dst, '{')
	for i := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, fields[i].Name), ':')
		dst = appendValue(dst, &fields[i].Type, &values[i])
	}
	return append(dst, '}')
}

func appendValue(dst []byte, t *schema.Type, v *schema.Value) []byte {
	if v.IsNull() {
		return append(dst, "null"...)
	}
	switch t.Kind {
	case schema.KindBoolean:
		return strconv.AppendBool(dst, v.Bool())
	case schema.KindInt, schema.KindLong:
		return strconv.AppendInt(dst, v.Int(), 10)
	case schema.KindFloat, schema.KindDouble:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			break // in quotes: JSON has no number for it
		}
		return schema.AppendText(dst, *t, *v)
	case schema.KindString:
		return appendString(dst, v.Bytes())
	case schema.KindJSON:
		return appendEmbedded(dst, v.Bytes())
	case schema.KindStruct:
		return appendStruct(dst, t.Fields, v.Elems())
	case schema.KindList:
		dst = append(dst, '[')
		elems := v.Elems()
		for i := range elems {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, &t.Fields[0].Type, &elems[i])
		}
		return append(dst, ']')
	case schema.KindMap:
		return appendMap(dst, t, v.Elems())
	}
	// The text of the rest holds nothing that JSON escapes.
	dst = append(dst, '"')
	dst = schema.AppendText(dst, *t, *v)
	return append(dst, '"')
}

// appendMap appends an object if the keys are strings, else an array of
// {"key", "value"}.
func appendMap(dst []byte, t *schema.Type, elems []schema.Value) []byte {
	key, value := &t.Fields[0].Type, &t.Fields[1].Type
	object := key.Kind == schema.KindString
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for i := 0; i+1 < len(elems); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		if object {
			dst = append(appendString(dst, elems[i].Bytes()), ':')
			dst = appendValue(dst, value, &elems[i+1])
			continue
		}
		dst = appendValue(append(dst, `{"key":`...), key, &elems[i])
		dst = appendValue(append(dst, `,"value":`...), value, &elems[i+1])
		dst = append(dst, '}')
	}
	return append(dst, end)
}

// appendEmbedded appends JSON as it is, but on one line: the line breaks of
// valid JSON are white space, for inside strings they are escaped.
func appendEmbedded(dst, data []byte) []byte {
	at := len(dst)
	dst = append(dst, data...)
	for i := at; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

// appendString appends a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0 // what is before it has been written
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
