package querytest

import (
	"math/rand/v2"
	"strings"

	"github.com/trinedb/trine/schema"
)

// Draw draws a predicate on the fields of a schema, _seq and _time, that nests
// up to depth levels.
func Draw(r *rand.Rand, s *schema.Schema, depth int) Predicate {
	d := drawer{r, s}
	return d.predicate(depth)
}

type drawer struct {
	*rand.Rand
	schema *schema.Schema
}

func (d drawer) predicate(depth int) Predicate {
	if depth == 0 || d.IntN(4) == 0 {
		return d.test()
	}
	a := d.predicate(depth - 1)
	if d.IntN(5) == 0 {
		return Predicate{"not (" + a.Text + ")", func(r Row) truth { return isTrue - a.eval(r) }}
	}
	b := d.predicate(depth - 1)
	if d.IntN(2) == 0 {
		return Predicate{"(" + a.Text + ") and (" + b.Text + ")", func(r Row) truth { return min(a.eval(r), b.eval(r)) }}
	}
	return Predicate{"(" + a.Text + ") or (" + b.Text + ")", func(r Row) truth { return max(a.eval(r), b.eval(r)) }}
}

// test draws a leaf of a predicate.
func (d drawer) test() Predicate {
	c := d.column()
	not, negate := "", d.IntN(2) == 0
	if negate {
		not = "not "
	}
	if c.typ.Nested() || d.IntN(6) == 0 {
		return Predicate{c.text + " is " + not + "null", func(r Row) truth { return truthOf(c.read(r).IsNull() != negate) }}
	}
	switch kind := c.typ.Kind; {
	case kind == schema.KindBoolean && d.IntN(3) == 0:
		return Predicate{not + c.text, c.given(func(v schema.Value) bool { return v.Bool() != negate })}
	case (kind == schema.KindString || kind == schema.KindJSON) && d.IntN(3) == 0:
		return d.like(c, not)
	case d.IntN(3) == 0:
		return d.between(c, not)
	case d.IntN(3) == 0:
		return d.in(c, not)
	case d.IntN(3) == 0:
		return d.pair(c)
	default:
		return d.compare(c)
	}
}

// column is a column of a predicate and how to read it.
type column struct {
	text string
	typ  schema.Type
	read func(Row) schema.Value
}

// given is a test that is unknown of null.
func (c column) given(test func(v schema.Value) bool) func(Row) truth {
	return func(r Row) truth {
		v := c.read(r)
		if v.IsNull() {
			return isUnknown
		}
		return truthOf(test(v))
	}
}

// column draws a column, or a field of one.
func (d drawer) column() column {
	at := d.IntN(len(d.schema.Fields) + 2)
	switch at - len(d.schema.Fields) {
	case 0:
		return column{schema.SeqColumn, schema.Type{Kind: schema.KindLong}, func(r Row) schema.Value { return schema.Int(int64(r.Seq)) }}
	case 1:
		return column{schema.TimeColumn, schema.Type{Kind: schema.KindTimestamptz}, func(r Row) schema.Value { return schema.Int(r.Micros) }}
	}
	f := d.schema.Fields[at]
	c := column{quoted(f.Name), f.Type, func(r Row) schema.Value { return r.Values[at] }}
	for c.typ.Kind == schema.KindStruct && d.IntN(4) > 0 {
		at, above := d.IntN(len(c.typ.Fields)), c.read
		c.text += "." + quoted(c.typ.Fields[at].Name)
		c.typ = c.typ.Fields[at].Type
		c.read = func(r Row) schema.Value {
			if v := above(r); !v.IsNull() {
				return v.Elems()[at]
			}
			return schema.Null
		}
	}
	return c
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

var comparisons = map[string]func(order int) bool{
	"=":  func(o int) bool { return o == 0 },
	"!=": func(o int) bool { return o != 0 },
	"<>": func(o int) bool { return o != 0 },
	"<":  func(o int) bool { return o < 0 },
	"<=": func(o int) bool { return o <= 0 },
	">":  func(o int) bool { return o > 0 },
	">=": func(o int) bool { return o >= 0 },
}

func (d drawer) operator() string { return pick(d.Rand, "=", "!=", "<>", "<", "<=", ">", ">=") }

// compare draws a comparison with a literal, on either side.
func (d drawer) compare(c column) Predicate {
	lit, op := d.literal(c.typ), d.operator()
	if d.IntN(5) == 0 {
		return Predicate{lit.text + " " + op + " " + c.text, c.given(func(v schema.Value) bool { return comparisons[op](-lit.order(v)) })}
	}
	return Predicate{c.text + op + lit.text, c.given(func(v schema.Value) bool { return comparisons[op](lit.order(v)) })}
}

// pair draws a comparison with another column of the same type.
func (d drawer) pair(c column) Predicate {
	other := c
	for range 20 {
		if o := d.column(); o.typ.String() == c.typ.String() {
			other = o
			break
		}
	}
	op := d.operator()
	return Predicate{c.text + " " + op + " " + other.text, func(r Row) truth {
		a, b := c.read(r), other.read(r)
		if a.IsNull() || b.IsNull() {
			return isUnknown
		}
		return truthOf(comparisons[op](Compare(c.typ, a, b)))
	}}
}

func (d drawer) between(c column, not string) Predicate {
	lo, hi := d.literal(c.typ), d.literal(c.typ)
	return Predicate{c.text + " " + not + "between " + lo.text + " and " + hi.text, c.given(func(v schema.Value) bool {
		return (lo.order(v) >= 0 && hi.order(v) <= 0) != (not != "")
	})}
}

func (d drawer) in(c column, not string) Predicate {
	var texts []string
	var literals []literal
	for range 1 + d.IntN(4) {
		lit := d.literal(c.typ)
		texts, literals = append(texts, lit.text), append(literals, lit)
	}
	return Predicate{c.text + " " + not + "in (" + strings.Join(texts, ", ") + ")", c.given(func(v schema.Value) bool {
		in := false
		for _, lit := range literals {
			in = in || lit.order(v) == 0
		}
		return in != (not != "")
	})}
}

// like draws a pattern, one time in two with an escape character.
func (d drawer) like(c column, not string) Predicate {
	escape := pick(d.Rand, "", "!")
	var text strings.Builder
	var pattern []rune
	for range d.IntN(4) {
		switch next := pick(d.Rand, '%', '%', '_', 'a', 'b', 'é', '"', '!'); {
		case next == '%' && d.IntN(3) > 0:
			text.WriteRune(next)
			pattern = append(pattern, anyText)
		case next == '_' && d.IntN(3) > 0:
			text.WriteRune(next)
			pattern = append(pattern, anyRune)
		case next == '%' || next == '_' || next == '!':
			if escape == "" {
				continue
			}
			text.WriteString(escape + string(next))
			pattern = append(pattern, next)
		default:
			text.WriteRune(next)
			pattern = append(pattern, next)
		}
	}
	end := ""
	if escape != "" {
		end = " escape '" + escape + "'"
	}
	return Predicate{c.text + " " + not + "like '" + text.String() + "'" + end, c.given(func(v schema.Value) bool {
		return like(pattern, []rune(string(v.Bytes()))) != (not != "")
	})}
}
