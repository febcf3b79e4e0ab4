package schema

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// DecodeKey reads an encoded primary key into dst, which it grows as needed,
// and returns one Value for each part; what dst held is overwritten. Values
// alias key where they can. A key that is not exactly of the format is
// ErrCorrupt.
func (s *Schema) DecodeKey(key []byte, dst []Value) ([]Value, error) {
	dst = dst[:0]
	for _, f := range s.Key {
		var v Value
		var ok bool
		if v, key, ok = keyValue(key, &s.Fields[f].Type); !ok {
			return dst[:0], fmt.Errorf("key, field %s: %w", s.Fields[f].Name, ErrCorrupt)
		}
		dst = append(dst, v)
	}
	if len(key) != 0 {
		return dst[:0], fmt.Errorf("key: %d bytes follow it: %w", len(key), ErrCorrupt)
	}
	return dst, nil
}

// DecodeIndexFields reads what AppendIndexFields wrote for the same fields. It
// returns the values, overwriting dst, and what follows them: the primary key.
func (s *Schema) DecodeIndexFields(fields []int, key []byte, dst []Value) ([]Value, []byte, error) {
	dst = dst[:0]
	for _, f := range fields {
		var v Value
		ok := len(key) > 0 && key[0] <= valueMark
		if ok {
			mark := key[0]
			key = key[1:]
			if mark == valueMark {
				v, key, ok = keyValue(key, &s.Fields[f].Type)
			}
		}
		if !ok {
			return dst[:0], nil, fmt.Errorf("index key, field %s: %w", s.Fields[f].Name, ErrCorrupt)
		}
		dst = append(dst, v)
	}
	return dst, key, nil
}

// keyValue reads one value and returns what follows it.
func keyValue(key []byte, t *Type) (v Value, rest []byte, ok bool) {
	width := 0
	switch t.Kind {
	case KindBoolean:
		width = 1
	case KindDate:
		width = 4
	case KindInt, KindLong, KindTime, KindTimestamp, KindTimestamptz, KindFloat, KindDouble:
		width = 8
	case KindDecimal, KindUUID:
		width = 16
	case KindFixed:
		width = t.Length
	case KindString, KindBinary, KindJSON:
		b, rest, ok := keyBytes(key)
		return Bytes(b), rest, ok
	default:
		return Value{}, nil, false
	}
	if width < 0 || len(key) < width {
		return Value{}, nil, false
	}
	b, rest := key[:width:width], key[width:]
	switch t.Kind {
	case KindBoolean:
		return Int(int64(b[0])), rest, b[0] <= 1
	case KindDate:
		return Int(int64(int32(binary.BigEndian.Uint32(b) ^ 1<<31))), rest, true
	case KindFloat, KindDouble:
		u := binary.BigEndian.Uint64(b)
		f := floatOfKey(u)
		return Float(f), rest, floatKey(f) == u
	case KindDecimal:
		b = bytes.Clone(b)
		b[0] ^= 0x80
		return Bytes(b), rest, true
	case KindUUID, KindFixed:
		return Bytes(b), rest, true
	default:
		i := int64(binary.BigEndian.Uint64(b) ^ signBit)
		return Int(i), rest, inRange(t.Kind, i)
	}
}

// keyBytes reads an escaped string and its end. It copies only if there is
// something to unescape.
func keyBytes(key []byte) (b, rest []byte, ok bool) {
	i := bytes.IndexByte(key, escape)
	if i < 0 || i+1 == len(key) {
		return nil, nil, false
	}
	if key[i+1] == terminator {
		return key[:i:i], key[i+2:], true
	}
	b = make([]byte, 0, len(key))
	for {
		switch key[i+1] {
		case terminator:
			return append(b, key[:i]...), key[i+2:], true
		case escapedNul:
			b = append(b, key[:i+1]...)
			key = key[i+2:]
		default:
			return nil, nil, false
		}
		i = bytes.IndexByte(key, escape)
		if i < 0 || i+1 == len(key) {
			return nil, nil, false
		}
	}
}
