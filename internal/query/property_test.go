package query_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/schema"
)

// The oracle: a predicate made at random, rendered as text for the package and
// evaluated here with three-valued logic, by the book.

type truth int

const (
	isFalse truth = iota
	isUnknown
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// random is a random predicate: its text and what it is of a row.
type random struct {
	text string
	eval func(row []schema.Value, seq schema.Seq, micros int64) truth
}

type maker struct{ *rand.Rand }

func pick[T any](m maker, of []T) T { return of[m.IntN(len(of))] }

// The small domains make equal values, empty ranges and nulls common.
var (
	ints    = []int64{math.MinInt32, -2, -1, 0, 1, 2, math.MaxInt32}
	floats  = []float64{math.Inf(-1), -1.5, math.Copysign(0, -1), 0, 0.5, 2, math.Inf(1), math.NaN()}
	strs    = []string{"", "a", "ab", "b", "ba", "é", "zz"}
	likes   = []string{"", "%", "a%", "%a", "_", "a_", "%b%", "_%", "b%a", "é%"}
	decs    = []string{"-1.50", "-0.01", "0.00", "1.25", "99.99"}
	dates   = []string{"1969-12-31", "1970-01-01", "2001-01-14"}
	moments = []string{"1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "2001-01-14T08:30:00Z"}
)

// value is a random value of a column, or null.
func (m maker) value(t schema.Type) schema.Value {
	if m.IntN(5) == 0 {
		return schema.Null
	}
	switch t.Kind {
	case schema.KindBoolean:
		return schema.Bool(m.IntN(2) == 0)
	case schema.KindStruct:
		vs := make([]schema.Value, len(t.Fields))
		for i, f := range t.Fields {
			vs[i] = m.value(f.Type)
		}
		return schema.Elems(vs)
	case schema.KindList:
		return schema.Elems(nil)
	case schema.KindFloat, schema.KindDouble:
		return schema.Float(pick(m, floats))
	case schema.KindInt, schema.KindLong:
		return schema.Int(pick(m, ints))
	}
	v, err := schema.ParseText(t, m.textOf(t))
	if err != nil {
		panic(err)
	}
	return v
}

func (m maker) textOf(t schema.Type) string {
	switch t.Kind {
	case schema.KindDecimal:
		return pick(m, decs)
	case schema.KindDate:
		return pick(m, dates)
	case schema.KindTime:
		return pick(m, []string{"00:00:00", "12:00:00", "23:59:59.999999"})
	case schema.KindTimestamp:
		return strings.TrimSuffix(pick(m, moments), "Z")
	case schema.KindTimestamptz:
		return pick(m, moments)
	case schema.KindString:
		return pick(m, strs)
	case schema.KindJSON:
		return pick(m, []string{"1", `"a"`, "{}"})
	case schema.KindUUID:
		return pick(m, []string{"00000000-0000-0000-0000-000000000000", "80000000-0000-0000-0000-000000000000"})
	case schema.KindFixed:
		return pick(m, []string{"AAAA", "AQID", "////"})
	default:
		return pick(m, []string{"", "AA==", "AQID"})
	}
}

// naive compares by the book, independently of the package under test.
func naive(t schema.Type, a, b schema.Value) int {
	switch t.Kind {
	case schema.KindFloat, schema.KindDouble:
		x, y := a.Float(), b.Float()
		if math.IsNaN(x) || math.IsNaN(y) {
			return cmp.Compare(truthOf(math.IsNaN(x)), truthOf(math.IsNaN(y)))
		}
		return cmp.Compare(x, y)
	case schema.KindDecimal:
		x, y := string(a.Bytes()), string(b.Bytes())
		if x[0] < 128 {
			x = "\x01" + x
		} else {
			x = "\x00" + x
		}
		if y[0] < 128 {
			y = "\x01" + y
		} else {
			y = "\x00" + y
		}
		return cmp.Compare(x, y)
	case schema.KindString, schema.KindJSON, schema.KindUUID, schema.KindFixed, schema.KindBinary:
		return cmp.Compare(string(a.Bytes()), string(b.Bytes()))
	default:
		return cmp.Compare(a.Int(), b.Int())
	}
}

var comparisons = map[string]func(int) bool{
	"=":  func(c int) bool { return c == 0 },
	"!=": func(c int) bool { return c != 0 },
	"<>": func(c int) bool { return c != 0 },
	"<":  func(c int) bool { return c < 0 },
	"<=": func(c int) bool { return c <= 0 },
	">":  func(c int) bool { return c > 0 },
	">=": func(c int) bool { return c >= 0 },
}

// target is a column of a predicate and how to read it.
type target struct {
	text string
	typ  schema.Type
	read func(row []schema.Value, seq schema.Seq, micros int64) schema.Value
}

func (m maker) target() target {
	switch n := m.IntN(len(all.Fields) + 2); n {
	case len(all.Fields):
		return target{"_seq", kind(schema.KindLong), func(_ []schema.Value, seq schema.Seq, _ int64) schema.Value { return schema.Int(int64(seq)) }}
	case len(all.Fields) + 1:
		return target{"_time", kind(schema.KindTimestamptz), func(_ []schema.Value, _ schema.Seq, micros int64) schema.Value { return schema.Int(micros) }}
	default:
		f := all.Fields[n]
		to := target{`"` + strings.ReplaceAll(f.Name, `"`, `""`) + `"`, f.Type,
			func(row []schema.Value, _ schema.Seq, _ int64) schema.Value { return row[n] }}
		for to.typ.Kind == schema.KindStruct && m.IntN(4) > 0 {
			i, above := m.IntN(len(to.typ.Fields)), to.read
			to.text += "." + to.typ.Fields[i].Name
			to.typ = to.typ.Fields[i].Type
			to.read = func(row []schema.Value, seq schema.Seq, micros int64) schema.Value {
				if v := above(row, seq, micros); !v.IsNull() {
					return v.Elems()[i]
				}
				return schema.Null
			}
		}
		return to
	}
}

// literal is a random literal for a column, and its value. cols with a number
// type may get one that lies between two values; it then compares as half.
func (m maker) literal(t schema.Type) (string, schema.Value) {
	var v schema.Value
	for v.IsNull() {
		v = m.value(t)
	}
	switch t.Kind {
	case schema.KindBoolean, schema.KindInt, schema.KindLong, schema.KindDecimal:
		return string(schema.AppendText(nil, t, v)), v
	case schema.KindFloat, schema.KindDouble:
		text := string(schema.AppendText(nil, t, v))
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			text = "'" + text + "'"
		}
		return text, v
	default:
		return "'" + strings.ReplaceAll(string(schema.AppendText(nil, t, v)), "'", "''") + "'", v
	}
}

func (m maker) test() random {
	to := m.target()
	name := to.text
	choice := m.IntN(5)
	if to.typ.Nested() {
		choice = 4
	}
	if choice == 3 && to.typ.Kind != schema.KindString {
		choice = 0
	}
	given := func(f func(v schema.Value) bool) func([]schema.Value, schema.Seq, int64) truth {
		return func(row []schema.Value, seq schema.Seq, micros int64) truth {
			v := to.read(row, seq, micros)
			if v.IsNull() {
				return isUnknown
			}
			return truthOf(f(v))
		}
	}
	not, negate := "", m.IntN(2) == 0
	if negate {
		not = "not "
	}
	switch choice {
	case 0:
		o := pick(m, []string{"=", "!=", "<>", "<", "<=", ">", ">="})
		text, lit := m.literal(to.typ)
		return random{name + o + text, given(func(v schema.Value) bool { return comparisons[o](naive(to.typ, v, lit)) })}
	case 1:
		lo, a := m.literal(to.typ)
		hi, b := m.literal(to.typ)
		return random{name + " " + not + "between " + lo + " and " + hi, given(func(v schema.Value) bool {
			return (naive(to.typ, v, a) >= 0 && naive(to.typ, v, b) <= 0) != negate
		})}
	case 2:
		var texts []string
		var vs []schema.Value
		for range 1 + m.IntN(4) {
			text, v := m.literal(to.typ)
			texts, vs = append(texts, text), append(vs, v)
		}
		return random{name + " " + not + "in (" + strings.Join(texts, ",") + ")", given(func(v schema.Value) bool {
			in := false
			for _, lit := range vs {
				in = in || naive(to.typ, v, lit) == 0
			}
			return in != negate
		})}
	case 3:
		p := pick(m, likes)
		return random{name + " " + not + "like '" + p + "'", given(func(v schema.Value) bool {
			return naiveLike([]rune(p), []rune(string(v.Bytes()))) != negate
		})}
	default:
		return random{name + " is " + not + "null", func(row []schema.Value, seq schema.Seq, micros int64) truth {
			return truthOf(to.read(row, seq, micros).IsNull() != negate)
		}}
	}
}

func naiveLike(p, s []rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '%':
		return naiveLike(p[1:], s) || len(s) > 0 && naiveLike(p, s[1:])
	default:
		return len(s) > 0 && (p[0] == '_' || p[0] == s[0]) && naiveLike(p[1:], s[1:])
	}
}

func (m maker) predicate(depth int) random {
	if depth == 0 || m.IntN(4) == 0 {
		return m.test()
	}
	switch m.IntN(5) {
	case 0:
		a := m.predicate(depth - 1)
		return random{"not (" + a.text + ")", func(row []schema.Value, seq schema.Seq, micros int64) truth {
			return isTrue - a.eval(row, seq, micros)
		}}
	case 1, 2:
		a, b := m.predicate(depth-1), m.predicate(depth-1)
		return random{"(" + a.text + ") and (" + b.text + ")", func(row []schema.Value, seq schema.Seq, micros int64) truth {
			return min(a.eval(row, seq, micros), b.eval(row, seq, micros))
		}}
	default:
		a, b := m.predicate(depth-1), m.predicate(depth-1)
		return random{"(" + a.text + ") or (" + b.text + ")", func(row []schema.Value, seq schema.Seq, micros int64) truth {
			return max(a.eval(row, seq, micros), b.eval(row, seq, micros))
		}}
	}
}

// rows are some random rows with their seqs and times.
func (m maker) rows(n int) (rows [][]schema.Value, micros []int64) {
	for range n {
		r := make([]schema.Value, len(all.Fields))
		for j, f := range all.Fields {
			r[j] = m.value(f.Type)
		}
		v, _ := schema.ParseText(kind(schema.KindTimestamptz), pick(m, moments))
		rows, micros = append(rows, r), append(micros, v.Int())
	}
	return rows, micros
}

// TestAgainstOracle demands of random predicates and rows that Match and
// Filter find what the oracle finds, and that MayMatch never rules out a match.
func TestAgainstOracle(t *testing.T) {
	const rounds, size = 300, 24
	m := maker{seedtest.Rand(t)}
	for range rounds {
		rows, micros := m.rows(size)
		batch := toBatch(rows, micros)
		for range 4 {
			pred := m.predicate(3)
			p, err := query.ParseWhere(pred.text, all)
			if err != nil {
				t.Fatalf("%s: %v", pred.text, err)
			}
			checkPredicate(t, m, pred, p, rows, micros, batch)
			if t.Failed() {
				return
			}
		}
		batch.Release()
	}
}

func checkPredicate(t *testing.T, m maker, pred random, p *query.Predicate, rows [][]schema.Value, micros []int64, batch arrow.RecordBatch) {
	keep, want := make([]bool, len(rows)), make([]bool, len(rows))
	some := false
	for i := range rows {
		want[i] = pred.eval(rows[i], schema.Seq(i), micros[i]) == isTrue
		some = some || want[i]
		keep[i] = true
		if got := p.Match(rows[i], schema.Seq(i), micros[i]); got != want[i] {
			t.Errorf("%s: Match %v is %v", pred.text, rows[i], got)
		}
	}
	before := m.IntN(len(keep))
	keep[before] = false // what is not kept stays so
	p.Filter(batch, keep)
	for i := range rows {
		if keep[i] != (want[i] && i != before) {
			t.Errorf("%s: Filter of row %d %v is %v", pred.text, i, rows[i], keep[i])
		}
	}
	from := m.IntN(len(rows))
	slice := batch.NewSlice(int64(from), int64(len(rows)))
	defer slice.Release()
	part := make([]bool, len(rows)-from)
	for i := range part {
		part[i] = true
	}
	p.Filter(slice, part)
	for i := range part {
		if part[i] != want[from+i] {
			t.Errorf("%s: Filter of slice at %d: row %d is %v", pred.text, from, i, part[i])
		}
	}
	b := &bounds{maker: m, rows: rows, micros: micros}
	if some && (!p.MayMatch(b) || !p.MayMatch(nanBounds{b})) {
		t.Errorf("%s: MayMatch rules out a match", pred.text)
	}
}

// toBatch is the rows as Arrow, in the types that the schema gives.
func toBatch(rows [][]schema.Value, micros []int64) arrow.RecordBatch {
	b := schema.NewArrowBuilder(memory.DefaultAllocator, all, nil, true)
	defer b.Release()
	for i, r := range rows {
		b.Append(r, schema.Seq(i), micros[i])
	}
	return b.NewRecordBatch()
}

// bounds are true bounds of rows, at times loose or partly unknown.
type bounds struct {
	maker
	rows   [][]schema.Value
	micros []int64
}

func (b *bounds) Column(at int) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	vs := make([]schema.Value, len(b.rows))
	for i := range b.rows {
		vs[i] = b.rows[i][at]
	}
	return b.of(all.Fields[at].Type, vs)
}

func (b *bounds) System(name string) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	vs := make([]schema.Value, len(b.rows))
	for i := range b.rows {
		vs[i] = schema.Int(int64(i))
		if name == schema.TimeColumn {
			vs[i] = schema.Int(b.micros[i])
		}
	}
	return b.of(kind(schema.KindLong), vs)
}

func (b *bounds) of(t schema.Type, vs []schema.Value) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	for _, v := range vs {
		switch {
		case v.IsNull():
			nulls++
			continue
		case t.Nested(), (t.Kind == schema.KindFloat || t.Kind == schema.KindDouble) && math.IsNaN(v.Float()):
			continue
		}
		if lo.IsNull() || naive(t, v, lo) < 0 {
			lo = v
		}
		if hi.IsNull() || naive(t, v, hi) > 0 {
			hi = v
		}
	}
	if t.Kind == schema.KindString && !lo.IsNull() && b.IntN(2) == 0 { // cut, as Iceberg does
		lo = schema.Bytes(lo.Bytes()[:min(1, len(lo.Bytes()))])
		hi = schema.String(string(hi.Bytes()) + "x")
	}
	switch b.IntN(8) {
	case 0:
		lo = schema.Null
	case 1:
		hi = schema.Null
	case 2:
		nulls = -1
	case 3:
		return schema.Null, schema.Null, 0, 0, false
	}
	return lo, hi, nulls, int64(len(vs)), true
}

type nanBounds struct{ *bounds }

func (b nanBounds) NaNs(at int) (int64, bool) {
	n := int64(0)
	for _, r := range b.rows {
		if !r[at].IsNull() && math.IsNaN(r[at].Float()) {
			n++
		}
	}
	return n, true
}

type fixedBounds struct{ lo, hi schema.Value }

func (b fixedBounds) Column(int) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	return b.lo, b.hi, 0, 100, true
}

func TestMayMatchPrunes(t *testing.T) {
	text := func(lo, hi string) fixedBounds { return fixedBounds{schema.String(lo), schema.String(hi)} }
	whole := func(lo, hi int64) fixedBounds { return fixedBounds{schema.Int(lo), schema.Int(hi)} }
	tests := []struct {
		where  string
		bounds query.Bounds
		want   bool
	}{
		{"delay > 30", whole(0, 30), false}, {"delay >= 30", whole(0, 30), true},
		{"delay < 0", whole(0, 30), false}, {"delay = 31", whole(0, 30), false},
		{"delay != 5", whole(5, 5), false}, {"delay != 5", whole(5, 6), true},
		{"delay in (1,50)", whole(2, 30), false}, {"delay in (1,30)", whole(2, 30), true},
		{"delay not in (1,5)", whole(5, 5), false}, {"delay is null", whole(5, 5), false},
		{"not delay <= 30", whole(0, 30), false}, {"delay between 40 and 50", whole(0, 30), false},
		{"delay > 40 or delay < 0", whole(0, 30), false}, {"delay > 40 or delay < 9", whole(0, 30), true},
		{"delay > 20 and delay < 0", whole(0, 30), false},
		{"origin like 'SE%'", text("A", "S"), false}, {"origin like 'SE%'", text("SF", "T"), false},
		{"origin like 'SE%'", text("SEA", "SEA"), true}, {"origin = 'SEA'", text("PDX", "SDF"), false},
		{"delay < distance", whole(3, 3), false}, {"delay <= distance", whole(3, 3), true},
		{"false", whole(3, 3), false},
		{"ratio < 0", fixedBounds{schema.Float(0), schema.Float(1)}, false},
		{"ratio > 5", fixedBounds{schema.Float(0), schema.Float(1)}, true}, // there may be NaNs
	}
	for _, tt := range tests {
		p, err := query.ParseWhere(tt.where, all)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.MayMatch(tt.bounds); got != tt.want {
			t.Errorf("%s within %v: %v", tt.where, tt.bounds, got)
		}
	}
}

func TestFilterOtherForms(t *testing.T) {
	mem := memory.DefaultAllocator
	b := array.NewDictionaryBuilder(mem, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
	for _, s := range []string{"SEA", "PDX", "SEA"} {
		if err := b.AppendString(s); err != nil {
			t.Fatal(err)
		}
	}
	b.AppendNull()
	col := b.NewArray()
	batch := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "origin", Type: col.DataType(), Nullable: true}}, nil), []arrow.Array{col}, 4)
	for where, want := range map[string]string{
		"origin = 'SEA'":     "[true false true false]",
		"origin in ('PDX')":  "[false true false false]",
		"origin like '%X'":   "[false true false false]",
		"origin is null":     "[false false false true]",
		"delay is null":      "[true true true true]",
		"delay = 1":          "[false false false false]",
		"pos.deep.y is null": "[true true true true]",
	} {
		p, err := query.ParseWhere(where, all)
		if err != nil {
			t.Fatal(err)
		}
		keep := []bool{true, true, true, true}
		if p.Filter(batch, keep); fmt.Sprint(keep) != want {
			t.Errorf("%s: %v, want %s", where, keep, want)
		}
	}
}

// A field of a null struct is null, whatever its own array says.
func TestFilterHiddenFields(t *testing.T) {
	mem := memory.DefaultAllocator
	child := array.NewInt32Builder(mem)
	child.AppendValues([]int32{3, 3, 4}, nil)
	x := child.NewArray()
	pos := arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int32, Nullable: true})
	data := array.NewData(pos, 3, []*memory.Buffer{memory.NewBufferBytes([]byte{0b110})}, []arrow.ArrayData{x.Data()}, 1, 0)
	batch := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "pos", Type: pos, Nullable: true}}, nil), []arrow.Array{array.NewStructData(data)}, 3)
	for where, want := range map[string]string{
		"pos.x = 3":         "[false true false]",
		"pos.x is null":     "[true false false]",
		"pos.x in (3, 4)":   "[false true true]",
		"pos.x = pos.x":     "[false true true]",
		"not pos.x <> 4":    "[false false true]",
		"pos.deep.y = 1":    "[false false false]",
		"pos.label like ''": "[false false false]",
	} {
		p, err := query.ParseWhere(where, all)
		if err != nil {
			t.Fatal(err)
		}
		keep := []bool{true, true, true}
		if p.Filter(batch, keep); fmt.Sprint(keep) != want {
			t.Errorf("%s: %v, want %s", where, keep, want)
		}
	}
}
