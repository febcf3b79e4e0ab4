package rowjson

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trinedb/trine/schema"
)

// object reads an object into the fields of s, which are null before. An error
// is one after which the record cannot be read on.
func (d *Decoder) object(s *shape, out []schema.Value, given []bool) error {
	if _, err := d.tok.ReadToken(); err != nil {
		return err
	}
	next := 0
	for {
		switch d.tok.PeekKind() {
		case '}':
			_, err := d.tok.ReadToken()
			return err
		case '"':
		default: // only to get the error
			_, err := d.tok.ReadValue()
			return orTold(err)
		}
		raw, err := d.tok.ReadValue()
		if err != nil {
			return err
		}
		name := d.unquote(raw)
		i := s.find(name, next)
		if i < 0 && given != nil && d.beside != "" && string(name) == d.beside {
			if d.besideValue, err = d.tok.ReadValue(); err != nil {
				return err
			}
			continue
		}
		if i < 0 {
			if err := d.skipUnknown(s, string(name)); err != nil {
				return err
			}
			continue
		}
		next = i + 1
		if given != nil {
			given[i] = true
		}
		d.path = append(d.path, step{name: s.t.Fields[i].Name})
		if out[i], err = d.value(&s.inner[i]); err != nil {
			return err
		}
		d.path = d.path[:len(d.path)-1]
	}
}

func orTold(err error) error {
	if err == nil {
		return errTold
	}
	return err
}

func (d *Decoder) skipUnknown(s *shape, name string) error {
	raw, err := d.tok.ReadValue()
	if err != nil {
		return err
	}
	d.path = append(d.path, step{name: name})
	d.fail(raw, s.unknown(name))
	d.path = d.path[:len(d.path)-1]
	return nil
}

// value reads one value. Null is told by whoever demands one.
func (d *Decoder) value(s *shape) (schema.Value, error) {
	kind := s.t.Kind
	if kind == schema.KindStruct || kind == schema.KindList || kind == schema.KindMap {
		want := jsontext.Kind('[')
		if kind == schema.KindStruct || kind == schema.KindMap && s.t.Fields[0].Type.Kind == schema.KindString {
			want = '{'
		}
		if d.tok.PeekKind() == want {
			return d.nested(s, want)
		}
	}
	raw, err := d.tok.ReadValue()
	if err != nil {
		return schema.Null, err
	}
	if raw[0] == 'n' {
		return schema.Null, nil
	}
	return d.scalar(s.t, raw), nil
}

// wrong stands for a value that has been told to be wrong, so that it is not
// told to be missing too.
var wrong = schema.Bool(false)

// scalar reads a value whose JSON is at hand.
func (d *Decoder) scalar(t *schema.Type, raw []byte) schema.Value {
	c := raw[0]
	switch t.Kind {
	case schema.KindBoolean:
		if c == 't' || c == 'f' {
			return schema.Bool(c == 't')
		}
	case schema.KindInt:
		if i, ok := whole(raw); ok && i >= math.MinInt32 && i <= math.MaxInt32 {
			return schema.Int(i)
		}
	case schema.KindLong:
		if i, ok := whole(raw); ok {
			return schema.Int(i)
		}
	case schema.KindFloat, schema.KindDouble:
		if f, ok := float(t.Kind, raw); ok {
			return schema.Float(f)
		}
	case schema.KindString:
		if c == '"' {
			return schema.Bytes(d.unquote(raw))
		}
	case schema.KindJSON:
		if depth := d.tok.StackDepth() + depthOf(raw); depth > MaxDepth {
			d.fail(raw, fmt.Sprintf("nests %d levels deep: at most %d, the record counted", depth, MaxDepth))
			return wrong
		}
		return schema.Bytes(raw)
	case schema.KindStruct, schema.KindList, schema.KindMap:
	default:
		return d.fromText(t, raw)
	}
	d.fail(raw, expects(t, raw))
	return wrong
}

// fromText reads the types whose JSON is a string with their text form; a
// decimal may be a number too.
func (d *Decoder) fromText(t *schema.Type, raw []byte) schema.Value {
	text := []byte(nil)
	switch c := raw[0]; {
	case c == '"':
		text = d.unquote(raw)
	case t.Kind == schema.KindDecimal && (c == '-' || c >= '0' && c <= '9'):
		text = raw
	default:
		d.fail(raw, expects(t, raw))
		return wrong
	}
	// ParseText keeps nothing of the text but in its error, whose text is
	// made anew here, so the bytes may stand in for a string.
	v, err := schema.ParseText(*t, unsafe.String(unsafe.SliceData(text), len(text)))
	if err == nil {
		return v
	}
	rule := expects(t, raw)
	var fe *schema.FieldError
	if errors.As(err, &fe) && !strings.HasPrefix(fe.Rule, "want ") { // that the rule has said
		rule += ": " + fe.Rule
	}
	d.fail(raw, rule)
	return wrong
}

// whole reads a number without fraction and exponent.
func whole(raw []byte) (int64, bool) {
	digits := raw
	negative := raw[0] == '-'
	if negative {
		digits = raw[1:]
	}
	if len(digits) > 19 {
		return 0, false
	}
	var n uint64 // 19 digits fit
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n < 1<<63
}

// float reads a number, or one of the strings that stand for what JSON has no
// number for.
func float(k schema.Kind, raw []byte) (float64, bool) {
	switch raw[0] {
	case '"':
		switch string(raw) {
		case `"NaN"`:
			return math.NaN(), true
		case `"Infinity"`:
			return math.Inf(1), true
		case `"-Infinity"`:
			return math.Inf(-1), true
		}
		return 0, false
	case '{', '[', 't', 'f':
		return 0, false
	}
	bits := 64
	if k == schema.KindFloat {
		bits = 32
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(raw), len(raw)), bits)
	return f, err == nil
}

// unquote is the text of a JSON string: part of it, or of d.text if it has
// escapes.
func (d *Decoder) unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1 : len(raw)-1]
	}
	at := len(d.text)
	d.text, _ = jsontext.AppendUnquote(d.text, raw) // it has been read, so it is valid
	return d.text[at:len(d.text):len(d.text)]
}

// depthOf is how deep valid JSON nests.
func depthOf(raw []byte) (deepest int) {
	if raw[0] != '{' && raw[0] != '[' {
		return 0
	}
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		}
	}
	return deepest
}
