package schema

import (
	"unicode/utf8"
)

// appendJSON appends a value as JSON, for nested values in tables, CSV cells
// and logs. The forms are those of package schema/rowjson.
func appendJSON(dst []byte, t *Type, v *Value) []byte {
	if !v.valid {
		return append(dst, "null"...)
	}
	switch t.Kind {
	case KindBoolean, KindInt, KindLong, KindJSON:
		return appendText(dst, t, v)
	case KindFloat, KindDouble:
		at := len(dst)
		dst = append(appendText(append(dst, '"'), t, v), '"')
		if last := dst[len(dst)-2]; last == 'N' || last == 'y' { // NaN, Infinity
			return dst
		}
		copy(dst[at:], dst[at+1:])
		return dst[:len(dst)-2]
	case KindString:
		return appendQuoted(dst, v.bytes)
	case KindStruct:
		dst = append(dst, '{')
		for i := range t.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, []byte(t.Fields[i].Name)), ':')
			dst = appendJSON(dst, &t.Fields[i].Type, &v.elems[i])
		}
		return append(dst, '}')
	case KindList:
		dst = append(dst, '[')
		for i := range v.elems {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, &t.Fields[0].Type, &v.elems[i])
		}
		return append(dst, ']')
	case KindMap:
		return appendJSONMap(dst, t, v)
	default:
		return append(appendText(append(dst, '"'), t, v), '"')
	}
}

// appendJSONMap appends an object if the keys are strings, else an array of
// {"key", "value"}.
func appendJSONMap(dst []byte, t *Type, v *Value) []byte {
	key, value := &t.Fields[0].Type, &t.Fields[1].Type
	object := key.Kind == KindString
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for i := 0; i+1 < len(v.elems); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		if object {
			dst = append(appendQuoted(dst, v.elems[i].bytes), ':')
			dst = appendJSON(dst, value, &v.elems[i+1])
			continue
		}
		dst = appendJSON(append(dst, `{"key":`...), key, &v.elems[i])
		dst = appendJSON(append(dst, `,"value":`...), value, &v.elems[i+1])
		dst = append(dst, '}')
	}
	return append(dst, end)
}

// appendQuoted appends a JSON string.
func appendQuoted(dst, s []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}
