package query_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/query/querytest"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/schema"
)

// rows draws rows with their seqs and times.
func rows(r *rand.Rand, s *schema.Schema, n int) []querytest.Row {
	out := make([]querytest.Row, n)
	for i := range out {
		out[i] = querytest.Row{Values: querytest.Values(r, s, int64(i%7)), Seq: schema.Seq(i), Micros: int64(r.IntN(3))}
	}
	return out
}

// TestAgainstOracle demands of random predicates and rows of random schemas that
// Match and Filter find what the oracle finds, and that MayMatch never rules out a
// match.
func TestAgainstOracle(t *testing.T) {
	const rounds, size = 300, 24
	r := seedtest.Rand(t)
	for range rounds {
		s := querytest.Schema(r)
		o := &oracle{Rand: r, schema: s, rows: rows(r, s, size)}
		batch := o.batch()
		for range 8 {
			o.check(t, querytest.Draw(r, s, 3), batch)
			if t.Failed() {
				return
			}
		}
		batch.Release()
	}
}

// oracle is rows that predicates are held against. It gives true bounds of them, at
// times loose or partly unknown.
type oracle struct {
	*rand.Rand
	schema *schema.Schema
	rows   []querytest.Row
}

func (o *oracle) check(t *testing.T, drawn querytest.Predicate, batch arrow.RecordBatch) {
	p, err := query.ParseWhere(drawn.Text, o.schema)
	if err != nil {
		t.Fatalf("%s: %v", drawn.Text, err)
	}
	keep, want := make([]bool, len(o.rows)), make([]bool, len(o.rows))
	for i, row := range o.rows {
		want[i], keep[i] = drawn.Match(row), true
		if got := p.Match(row.Values, row.Seq, row.Micros); got != want[i] {
			t.Errorf("%s: Match %v is %v", drawn.Text, row, got)
		}
	}
	before := o.IntN(len(keep))
	keep[before] = false // what is not kept stays so
	p.Filter(batch, keep)
	for i := range o.rows {
		if keep[i] != (want[i] && i != before) {
			t.Errorf("%s: Filter of row %d %v is %v", drawn.Text, i, o.rows[i], keep[i])
		}
	}
	from := o.IntN(len(o.rows))
	slice := batch.NewSlice(int64(from), int64(len(o.rows)))
	defer slice.Release()
	part := slices.Repeat([]bool{true}, len(o.rows)-from)
	p.Filter(slice, part)
	if !slices.Equal(part, want[from:]) {
		t.Errorf("%s: Filter of the slice from row %d is %v, want %v", drawn.Text, from, part, want[from:])
	}
	if slices.Contains(want, true) && (!p.MayMatch(o) || !p.MayMatch(nanBounds{o})) {
		t.Errorf("%s: MayMatch rules out a match", drawn.Text)
	}
}

// batch is the rows as Arrow, in the types that the schema gives.
func (o *oracle) batch() arrow.RecordBatch {
	b := schema.NewArrowBuilder(memory.DefaultAllocator, o.schema, nil, true)
	defer b.Release()
	for _, r := range o.rows {
		b.Append(r.Values, r.Seq, r.Micros)
	}
	return b.NewRecordBatch()
}

func (o *oracle) Column(at int) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	return o.bounds(o.schema.Fields[at].Type, func(r querytest.Row) schema.Value { return r.Values[at] })
}

func (o *oracle) System(name string) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	return o.bounds(kind(schema.KindLong), func(r querytest.Row) schema.Value {
		if name == schema.TimeColumn {
			return schema.Int(r.Micros)
		}
		return schema.Int(int64(r.Seq))
	})
}

func (o *oracle) bounds(t schema.Type, read func(querytest.Row) schema.Value) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	for _, r := range o.rows {
		switch v := read(r); {
		case v.IsNull():
			nulls++
		case t.Nested(), isNaN(t, v):
		default:
			if lo.IsNull() || querytest.Compare(t, v, lo) < 0 {
				lo = v
			}
			if hi.IsNull() || querytest.Compare(t, v, hi) > 0 {
				hi = v
			}
		}
	}
	if t.Kind == schema.KindString && !lo.IsNull() && o.IntN(2) == 0 { // cut, as Iceberg does
		lo = schema.Bytes(lo.Bytes()[:min(1, len(lo.Bytes()))])
		hi = schema.String(string(hi.Bytes()) + "x")
	}
	switch o.IntN(8) {
	case 0:
		lo = schema.Null
	case 1:
		hi = schema.Null
	case 2:
		nulls = -1
	case 3:
		return schema.Null, schema.Null, 0, 0, false
	}
	return lo, hi, nulls, int64(len(o.rows)), true
}

func isNaN(t schema.Type, v schema.Value) bool {
	return (t.Kind == schema.KindFloat || t.Kind == schema.KindDouble) && !v.IsNull() && math.IsNaN(v.Float())
}

type nanBounds struct{ *oracle }

func (b nanBounds) NaNs(at int) (int64, bool) {
	n := int64(0)
	for _, r := range b.rows {
		if isNaN(b.schema.Fields[at].Type, r.Values[at]) {
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
