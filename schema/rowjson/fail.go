package rowjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trinedb/trine/schema"
)

// step is one part of the path to a value: a name, or a place in a list.
type step struct {
	name  string
	index int // when name is empty
}

// maxTold is how many bytes of a value an error repeats.
const maxTold = 64

// fail notes what is wrong with the value at the path.
func (d *Decoder) fail(raw []byte, rule string) {
	d.bad = true
	if d.errs == nil || len(*d.errs) >= schema.MaxFieldErrors {
		return
	}
	*d.errs = append(*d.errs, &schema.FieldError{Line: d.line, Field: d.where(), Value: cut(raw), Rule: rule})
}

// required notes that the field called name has no value.
func (d *Decoder) required(name string, null bool, rule string) {
	var raw []byte
	if null {
		raw = []byte("null")
	}
	d.path = append(d.path, step{name: name})
	d.fail(raw, rule)
	d.path = d.path[:len(d.path)-1]
}

// where is the path as a dotted name.
func (d *Decoder) where() string {
	var b strings.Builder
	for i, s := range d.path {
		if i > 0 {
			b.WriteByte('.')
		}
		if s.name == "" {
			b.WriteString(strconv.Itoa(s.index))
		}
		b.WriteString(s.name)
	}
	return b.String()
}

// cut is raw as an error tells it: at most maxTold bytes of UTF-8.
func cut(raw []byte) string {
	const more = "…"
	if len(raw) > maxTold {
		raw = raw[:maxTold-len(more)]
		for n := 0; n < utf8.UTFMax-1 && len(raw) > 0; n++ {
			if r, size := utf8.DecodeLastRune(raw); r != utf8.RuneError || size > 1 {
				break
			}
			raw = raw[:len(raw)-1]
		}
		return printable(raw) + more
	}
	return printable(raw)
}

// printable puts a question mark for every byte that is not UTF-8.
func printable(raw []byte) string { return strings.ToValidUTF8(string(raw), "?") }

// syntax notes why the record is not JSON, and where. It is the last error of
// a record.
func (d *Decoder) syntax(err error) {
	d.ended = true
	if errors.Is(err, errTold) {
		return
	}
	at := int(d.tok.InputOffset())
	text := err.Error()
	var se *jsontext.SyntacticError
	if errors.As(err, &se) {
		at, text = int(se.ByteOffset), strings.TrimPrefix(se.Err.Error(), "jsontext: ")
	}
	at = min(at, len(d.data))
	switch {
	case len(bytes.TrimSpace(d.data)) == 0:
		d.fail(nil, `is empty: a record is a JSON object: {"field": value, …}`)
	case errors.Is(err, jsontext.ErrDuplicateName) && se != nil:
		d.path = d.path[:0]
		for name := range se.JSONPointer.Tokens() {
			d.path = append(d.path, step{name: name})
		}
		d.fail(d.data[at:], "is given twice: a name stands once in an object, remove one")
	case errors.Is(err, io.ErrUnexpectedEOF):
		d.fail(d.data[max(0, len(d.data)-16):], "is cut short: a bracket or quote is not closed")
	case !utf8.Valid(d.data[at:min(len(d.data), at+utf8.UTFMax)]) && strings.Contains(text, "UTF-8"):
		d.fail(d.data[max(0, at-8):min(len(d.data), at+8)], fmt.Sprintf("is not UTF-8 at byte %d: send UTF-8", at+1))
	default:
		d.fail(d.data[at:min(len(d.data), at+24)], fmt.Sprintf("is not JSON at byte %d: %s", at+1, text))
	}
}

// errTold ends a record of which the reason has been told.
var errTold = errors.New("told")
