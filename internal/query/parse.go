package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trinedb/trine/schema"
)

// ParseWhere parses a predicate and checks its columns, types and literals
// against a schema. The empty text is the nil Predicate. Every error is a
// *schema.FieldError, and so an ErrInvalid, that names the column or literal
// and the byte offset in src.
func ParseWhere(src string, s *schema.Schema) (*Predicate, error) {
	if strings.TrimSpace(src) == "" {
		return nil, nil
	}
	tree, err := parseText(src)
	if err != nil {
		return nil, err
	}
	b := &binder{schema: s, read: make(map[int]bool)}
	root, err := b.or(tree, false)
	if err != nil {
		return nil, err
	}
	p := &Predicate{root: root}
	for index := range b.read {
		if index < 0 {
			p.system = true
		} else {
			p.columns = append(p.columns, index)
		}
	}
	slices.Sort(p.columns)
	return p, nil
}

// binder turns a syntax tree into nodes over a schema's columns.
//
// It carries `not` down to the tests, each of which has a complement that is
// also not true of null. What is left is and, or and tests, all of which are
// monotone: to know where the whole is true it is enough to know where each
// test is true, so that false and unknown need not be told apart.
type binder struct {
	schema *schema.Schema
	read   map[int]bool // top-level columns met
}

func (b *binder) or(e *orExpr, negate bool) (node, error) {
	terms, err := bindAll(e.Terms, negate, b.and)
	if err != nil {
		return nil, err
	}
	return join(terms, negate), nil
}

func (b *binder) and(e *andExpr, negate bool) (node, error) {
	terms, err := bindAll(e.Terms, negate, b.not)
	if err != nil {
		return nil, err
	}
	return join(terms, !negate), nil
}

func (b *binder) not(e *notExpr, negate bool) (node, error) {
	if len(e.Nots)%2 == 1 {
		negate = !negate
	}
	if e.Sub != nil {
		return b.or(e.Sub, negate)
	}
	return b.test(e.Test, negate)
}

func bindAll[E any](exprs []E, negate bool, bind func(E, bool) (node, error)) ([]node, error) {
	nodes := make([]node, len(exprs))
	for i, e := range exprs {
		n, err := bind(e, negate)
		if err != nil {
			return nil, err
		}
		nodes[i] = n
	}
	return nodes, nil
}

// join is the conjunction of the terms, or their disjunction.
func join(terms []node, conjunction bool) node {
	switch {
	case len(terms) == 1:
		return terms[0]
	case conjunction:
		return allOf(terms)
	default:
		return anyOf(terms)
	}
}

func (b *binder) test(e *testExpr, negate bool) (node, error) {
	switch {
	case e.Compare != nil:
		o := operators[e.Compare.Op]
		if negate {
			o = o.complement()
		}
		return b.compare(e.Left, o, e.Compare.Right)
	case e.Is != nil:
		return b.isNull(e.Left, e.Is.Not != negate)
	case e.Set == nil:
		return b.bare(e.Left, negate)
	case e.Set.In != nil:
		return b.in(e.Left, e.Set.In, e.Set.Not != negate)
	case e.Set.Low != nil:
		return b.between(e.Left, e.Set, e.Set.Not != negate)
	default:
		return b.like(e.Left, e.Set, e.Set.Not != negate)
	}
}

// bare binds an operand that stands alone: true, false, or a boolean column.
func (b *binder) bare(o *operand, negate bool) (node, error) {
	if lit, ok := o.literal(); ok {
		if lit.kind != literalBoolean {
			return nil, fail(o.Pos.Offset, "", o.String(), "a predicate says what is true of a row: compare the literal with a column")
		}
		return constant((lit.text == "true") != negate), nil
	}
	col, err := b.column(o)
	if err != nil {
		return nil, err
	}
	if col.typ.Kind != schema.KindBoolean {
		return nil, fail(o.Pos.Offset, col.name, "", fmt.Sprintf("a %s column does not stand alone: compare it with something", col.typ))
	}
	return newCompare(col, opEq, schema.Bool(!negate)), nil
}

func (b *binder) compare(left *operand, o op, right *operand) (node, error) {
	llit, lok := left.literal()
	rlit, rok := right.literal()
	switch {
	case lok && rok:
		return nil, fail(left.Pos.Offset, "", left.String(), "one side of a comparison must be a column")
	case lok:
		col, err := b.column(right)
		if err != nil {
			return nil, err
		}
		return bindLiteral(col, o.flip(), llit)
	case rok:
		col, err := b.column(left)
		if err != nil {
			return nil, err
		}
		return bindLiteral(col, o, rlit)
	}
	lcol, err := b.column(left)
	if err != nil {
		return nil, err
	}
	rcol, err := b.column(right)
	if err != nil {
		return nil, err
	}
	if !comparable(lcol.typ, rcol.typ) {
		return nil, fail(right.Pos.Offset, rcol.name, "", fmt.Sprintf(
			"a %s column cannot be compared with the %s column %s", rcol.typ, lcol.typ, lcol.name))
	}
	return &pair{left: lcol, op: o, right: rcol}, nil
}

func (b *binder) between(left *operand, set *setTail, negate bool) (node, error) {
	low, high := opGe, opLe
	if negate {
		low, high = opLt, opGt
	}
	lo, err := b.compare(left, low, set.Low)
	if err != nil {
		return nil, err
	}
	hi, err := b.compare(left, high, set.High)
	if err != nil {
		return nil, err
	}
	return join([]node{lo, hi}, !negate), nil
}

func (b *binder) in(left *operand, items []*operand, negate bool) (node, error) {
	col, err := b.columnOf(left, "in")
	if err != nil {
		return nil, err
	}
	values := make([]schema.Value, 0, len(items))
	for _, item := range items {
		lit, ok := item.literal()
		if !ok {
			return nil, fail(item.Pos.Offset, "", item.String(), "an `in` list holds literals; write a string as 'text'")
		}
		at, err := lit.edge(col)
		if err != nil {
			return nil, err
		}
		if at.exact && at.over == 0 { // any other is no value of the column's type
			values = append(values, at.value)
		}
	}
	return newSet(col, values, negate), nil
}

func (b *binder) like(left *operand, set *setTail, negate bool) (node, error) {
	col, err := b.columnOf(left, "like")
	if err != nil {
		return nil, err
	}
	if col.typ.Kind != schema.KindString && col.typ.Kind != schema.KindJSON {
		return nil, fail(left.Pos.Offset, col.name, "", fmt.Sprintf("like works on strings, this column is a %s", col.typ))
	}
	lit, ok := set.Like.literal()
	if !ok || lit.kind != literalString {
		return nil, fail(set.Like.Pos.Offset, col.name, set.Like.String(), "like wants a string literal as its pattern")
	}
	escape := ""
	if set.Escape != nil {
		esc, ok := set.Escape.literal()
		if !ok || esc.kind != literalString || len([]rune(esc.text)) != 1 {
			return nil, fail(set.Escape.Pos.Offset, col.name, set.Escape.String(), "escape wants a string of one character")
		}
		escape = esc.text
	}
	pat, rule := compilePattern(lit.text, escape)
	if rule != "" {
		return nil, fail(set.Like.Pos.Offset, col.name, set.Like.String(), rule)
	}
	if only, ok := pat.exact(); ok {
		o := opEq
		if negate {
			o = opNe
		}
		return newCompare(col, o, schema.String(only)), nil
	}
	return &like{col: col, pattern: pat, negate: negate}, nil
}

func (b *binder) isNull(o *operand, negate bool) (node, error) {
	col, err := b.columnOf(o, "is null")
	if err != nil {
		return nil, err
	}
	return &null{col: col, negate: negate}, nil
}

// columnOf binds the left side of a test that only makes sense of a column.
func (b *binder) columnOf(o *operand, test string) (column, error) {
	if _, ok := o.literal(); ok {
		return column{}, fail(o.Pos.Offset, "", o.String(), fmt.Sprintf("the left side of `%s` must be a column", test))
	}
	return b.column(o)
}
