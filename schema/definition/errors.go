package definition

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/trinedb/trine/schema"
)

// Error is what is wrong with a collection file or a definition. It is a
// schema.ErrInvalid; errors.As finds its schema.FieldErrors.
type Error struct {
	Problems schema.FieldErrors
}

// Error tells the problems, one a line, each with its line if it has one.
func (e *Error) Error() string { return tell(e.Problems) }

// Unwrap is the problems.
func (e *Error) Unwrap() error { return e.Problems }

// Incompatible is why a collection cannot become what a definition asks for:
// each problem names a field, the rule of evolution and the way out. It is a
// schema.ErrIncompatible.
type Incompatible struct {
	Problems schema.FieldErrors
}

// Error tells the refusals, one a line.
func (e *Incompatible) Error() string { return tell(e.Problems) }

// Is makes it a schema.ErrIncompatible.
func (e *Incompatible) Is(target error) bool { return target == schema.ErrIncompatible }

func tell(problems schema.FieldErrors) string {
	var b strings.Builder
	for i, p := range problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		if p.Line > 0 {
			fmt.Fprintf(&b, "line %d: ", p.Line)
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// maxTold is how many bytes of a user's text an error repeats.
const maxTold = 64

// quote is a user's text for an error: a JSON string, so that it stays on one
// line, cut to maxTold bytes.
func quote(s string) string {
	return cut(jsonString(s))
}

// cut cuts s to maxTold bytes at a rune's border.
func cut(s string) string {
	const more = "…"
	if len(s) <= maxTold {
		return s
	}
	s = s[:maxTold-len(more)]
	for s != "" && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + more
}

// jsonString is s as JSON, with nothing escaped that need not be.
func jsonString(s string) string {
	data, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		data, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\ufffd"))
	}
	return string(data)
}
