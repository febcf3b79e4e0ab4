package query

import (
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/trinedb/trine/schema"
)

// The grammar. Keywords are not reserved by the lexer, so that a column called
// date or null-like names need no quotes where they cannot be mistaken.

type orExpr struct {
	Terms []*andExpr `parser:"@@ ( 'or' @@ )*"`
}

type andExpr struct {
	Terms []*notExpr `parser:"@@ ( 'and' @@ )*"`
}

type notExpr struct {
	Nots []string  `parser:"@'not'*"`
	Sub  *orExpr   `parser:"( '(' @@ ')'"`
	Test *testExpr `parser:"| @@ )"`
}

type testExpr struct {
	Pos     lexer.Position
	Left    *operand     `parser:"@@"`
	Compare *compareTail `parser:"( @@"`
	Is      *isTail      `parser:"| @@"`
	Set     *setTail     `parser:"| @@ )?"`
}

type compareTail struct {
	Op    string   `parser:"@Operator"`
	Right *operand `parser:"@@"`
}

type isTail struct {
	Not bool `parser:"'is' @'not'? 'null'"`
}

type setTail struct {
	Not    bool       `parser:"@'not'?"`
	In     []*operand `parser:"( 'in' '(' @@ ( ',' @@ )* ')'"`
	Low    *operand   `parser:"| 'between' @@"`
	High   *operand   `parser:"  'and' @@"`
	Like   *operand   `parser:"| 'like' @@"`
	Escape *operand   `parser:"  ( 'escape' @@ )? )"`
}

type operand struct {
	Pos    lexer.Position
	Number string   `parser:"  @( ( '-' | '+' )? Number )"`
	Text   string   `parser:"| @String"`
	Typed  []string `parser:"| @Ident @String"`
	Name   []string `parser:"| @( Ident | Quoted ) ( '.' @( Ident | Quoted ) )*"`
}

var tokens = lexer.MustSimple([]lexer.SimpleRule{
	{Name: "space", Pattern: `[ \t\r\n]+`},
	{Name: "Ident", Pattern: `[\p{L}_][\p{L}\p{N}_]*`},
	{Name: "Quoted", Pattern: `"(""|[^"])+"`},
	{Name: "String", Pattern: `'(''|[^'])*'`},
	{Name: "Number", Pattern: `(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?`},
	{Name: "Operator", Pattern: `<>|!=|<=|>=|=|<|>`},
	{Name: "Punct", Pattern: `[().,+-]`},
})

// grammar is built at its first use: a program that never parses a predicate
// does not pay for it.
var grammar = sync.OnceValue(func() *participle.Parser[orExpr] {
	return participle.MustBuild[orExpr](
		participle.Lexer(tokens),
		participle.CaseInsensitive("Ident"),
		participle.UseLookahead(2),
	)
})

// parseText reads a predicate's text, within its limits.
func parseText(src string) (*orExpr, error) {
	if len(src) > MaxTextBytes {
		return nil, fail(0, "", "", fmt.Sprintf("a predicate is at most %d bytes, this one has %d", MaxTextBytes, len(src)))
	}
	if !utf8.ValidString(src) {
		return nil, fail(0, "", "", "a predicate is UTF-8 text")
	}
	if err := checkLimits(src); err != nil {
		return nil, err
	}
	tree, err := grammar().ParseString("", src)
	if err != nil {
		return nil, syntaxError(err)
	}
	return tree, nil
}

// checkLimits refuses a text that nests too deep or holds too many literals,
// before the parser recurses into it.
func checkLimits(src string) error {
	lex, err := tokens.LexString("", src)
	if err != nil {
		return syntaxError(err)
	}
	var (
		symbols               = tokens.Symbols()
		number, text          = symbols["Number"], symbols["String"]
		ident, space          = symbols["Ident"], symbols["space"]
		depth, nots, literals int
	)
	for {
		tok, err := lex.Next()
		switch {
		case err != nil:
			return syntaxError(err)
		case tok.EOF():
			return nil
		case tok.Type == space:
			continue
		case tok.Type == number || tok.Type == text:
			literals++
		case tok.Value == "(":
			depth++
		case tok.Value == ")":
			depth--
		}
		if tok.Type == ident && isWord(tok.Value, "not") {
			nots++
		} else if tok.Value != "(" {
			nots = 0
		}
		if depth > MaxDepth || nots > MaxDepth {
			return fail(tok.Pos.Offset, "", "", fmt.Sprintf("a predicate nests at most %d deep", MaxDepth))
		}
		if literals > MaxLiterals {
			return fail(tok.Pos.Offset, "", "", fmt.Sprintf("a predicate has at most %d literals", MaxLiterals))
		}
	}
}

func syntaxError(err error) error {
	var perr participle.Error
	if errors.As(err, &perr) {
		return fail(perr.Position().Offset, "", "", perr.Message())
	}
	return fail(0, "", "", err.Error())
}

// fail is the error of a predicate: what is wrong, with which column or
// literal, and where in the text.
func fail(offset int, field, value, rule string) *schema.FieldError {
	return &schema.FieldError{
		Field: field,
		Value: cut(value),
		Rule:  fmt.Sprintf("%s (at offset %d of where)", rule, offset),
	}
}

// cut shortens a value to what an error tells of it.
func cut(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
