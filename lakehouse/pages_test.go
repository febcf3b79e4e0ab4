package lakehouse_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// paged has columns whose values lie close together, so that pages differ; the texts
// are long, so that there are many.
func paged() *schema.Schema {
	return &schema.Schema{ID: 1, LastFieldID: 12, Key: []int{0}, Fields: []schema.Field{
		{ID: 1, Name: "k", Type: kind(schema.KindString), Required: true},
		{ID: 2, Name: "n", Type: kind(schema.KindInt)},
		{ID: 3, Name: "word", Type: kind(schema.KindString)},
		{ID: 4, Name: "x", Type: kind(schema.KindDouble)},
		{ID: 5, Name: "u", Type: kind(schema.KindUUID)},
		{ID: 6, Name: "must", Type: kind(schema.KindString), Required: true},
		{ID: 7, Name: "list", Type: schema.Type{Kind: schema.KindList, Fields: []schema.Field{
			{ID: 8, Name: "element", Type: kind(schema.KindString)}}}},
		{ID: 9, Name: "both", Type: schema.Type{Kind: schema.KindStruct, Fields: []schema.Field{
			{ID: 10, Name: "a", Type: kind(schema.KindString)}, {ID: 11, Name: "b", Type: kind(schema.KindInt)}}}},
		{ID: 12, Name: "flag", Type: kind(schema.KindBoolean)},
	}}
}

func pagedRows(r *rand.Rand, s *schema.Schema, n int) [][]schema.Value {
	rows := randomRows(r, s, n)
	fill := strings.Repeat("x", 150)
	for i, row := range rows {
		row[0] = schema.String(fmt.Sprintf("%05d %s", i, fill[:120]))
		row[1] = schema.Int(int64(i/700 - 5))
		row[2] = schema.String(fmt.Sprintf("%05d %s", i/10, fill[:50+r.IntN(100)]))
		row[3] = schema.Float(float64(i) / 100)
		row[4] = schema.Bytes(fmt.Appendf(nil, "%016d", i))
		row[5] = schema.String(fill[:r.IntN(150)] + "\xc3\xbc")
		switch {
		case i/5000%3 == 1: // pages without a value
			row[1], row[2], row[4] = schema.Null, schema.Null, schema.Null
		case i/3000%4 == 2:
			row[3] = schema.Float(math.NaN())
		case r.IntN(50) == 0:
			row[1], row[2] = schema.Null, schema.Null
		}
	}
	return rows
}

// Pages that cannot hold a match are jumped over, none that can, and what is read
// are the rows that are there.
func TestPagesAreLeftOut(t *testing.T) {
	r := seedtest.Rand(t)
	f := newDirFixture(t, func(o *lakehouse.Options) { o.RowGroupRows = 12_000 })
	tbl := newTable(f, collection(paged()))
	tbl.commit(pagedRows(r, tbl.c.Schema, 30_000), nil)
	gone := map[uint32]bool{}
	for range 3000 {
		gone[uint32(r.IntN(30_000))] = true
	}
	file := sortedKeys(tbl.rows)[0]
	tbl.commit(nil, map[uint32][]uint32{file: sortedKeys(gone)})
	s := tbl.c.Schema
	all := read(t, tbl.snap, lakehouse.ReadOptions{Schema: s, System: true})
	if len(all) != 30_000-len(gone) {
		t.Fatalf("%d rows, want %d", len(all), 30_000-len(gone))
	}
	most := map[string]int{ // rows that may be read: the group has 12,000
		"k like '0200%'": 3000, "k between '27000' and '27010' and n is not null": 3000, "k < '00010' or k > '29990'": 5000,
	}
	texts := slices.Collect(maps.Keys(most))
	for range 12 {
		texts = append(texts, pagedPredicate(r))
	}
	for _, text := range texts {
		where, err := query.ParseWhere(text, s)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		some := read(t, tbl.snap, lakehouse.ReadOptions{Schema: s, System: true, Where: where, BatchRows: 1 + r.IntN(3000)})
		next, at := 0, -1
		for i, row := range tbl.rows[file] {
			if gone[uint32(i)] {
				continue
			}
			at++
			switch {
			case next < len(some) && some[next] == all[at]:
				next++
			case where.Match(row.Values, row.Seq, row.TimeMicros):
				t.Fatalf("%s: row %d is left out: %.60s", text, i, all[at])
			}
		}
		if next < len(some) {
			t.Fatalf("%s: reads what is not there, or not in its place: %.60s", text, some[next])
		}
		if m := most[text]; m > 0 && len(some) > m {
			t.Errorf("%s: %d rows are read, want %d at most", text, len(some), m)
		}
	}
}

func pagedPredicate(r *rand.Rand) string {
	one := func() string {
		i := r.IntN(31_000) - 500
		return []string{
			fmt.Sprintf("k between '%05d' and '%05d'", max(0, i), max(0, i)+r.IntN(2000)),
			fmt.Sprintf("k < '%05d' or k > '%05d'", r.IntN(2000), 30_000-r.IntN(2000)),
			fmt.Sprintf("n = %d", i/700-5),
			fmt.Sprintf("word like '%04d%%'", max(0, i)/100),
			fmt.Sprintf("word >= '%05d' and word < '%05d z'", max(0, i)/10, max(0, i)/10+50),
			fmt.Sprintf("x > %d.5", max(0, i)/100),
			fmt.Sprintf("x <= %d.5", max(0, i)/100),
			"n is null", "word is not null", "list is null", "flag",
			fmt.Sprintf("u = '%s'", uuidText(max(0, i))),
			fmt.Sprintf("_seq <= %d", max(0, i)),
			fmt.Sprintf("_seq > %d", max(0, i)),
		}[r.IntN(14)]
	}
	return []string{one(), one() + " and " + one(), "(" + one() + ") or (" + one() + ")", "not (" + one() + ")"}[r.IntN(4)]
}

func uuidText(i int) string {
	return string(schema.AppendText(nil, kind(schema.KindUUID), schema.Bytes(fmt.Appendf(nil, "%016d", i))))
}

// Texts come as they were written, whichever way a column of them is encoded and
// wherever its nulls are.
func TestTexts(t *testing.T) {
	r := seedtest.Rand(t)
	f := newFixture(t, func(o *lakehouse.Options) { o.RowGroupRows = 5000 })
	s := &schema.Schema{ID: 1, LastFieldID: 5, Key: []int{0}, Fields: []schema.Field{
		{ID: 1, Name: "key", Type: kind(schema.KindString), Required: true}, // plain
		{ID: 2, Name: "few", Type: kind(schema.KindString)},                 // by a dictionary
		{ID: 3, Name: "many", Type: kind(schema.KindString)},                // by one that grows too large
		{ID: 4, Name: "bytes", Type: kind(schema.KindBinary)},
		{ID: 5, Name: "none", Type: kind(schema.KindString)},
	}}
	tbl := newTable(f, collection(s))
	rows := make([][]schema.Value, 12_000)
	for i := range rows {
		text := func(n int) schema.Value {
			if i/2500%2 == 1 && r.IntN(3) == 0 { // pages with nulls, and pages without
				return schema.Null
			}
			return schema.Bytes(fmt.Appendf(nil, "%0*d", n, r.IntN(1000)))
		}
		rows[i] = []schema.Value{
			schema.String(fmt.Sprintf("%06d", i)), text(r.IntN(12)), text(100 + r.IntN(400)), text(r.IntN(30)), schema.Null,
		}
	}
	tbl.commit(rows, nil)
	for _, size := range []int{1, 777, lakehouse.MaxBatchRows} {
		if got, want := read(t, tbl.snap, lakehouse.ReadOptions{Schema: s, System: true, BatchRows: size}), tbl.want(); !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("batches of %d: %d rows, want %d\n got %.200s\nwant %.200s", size, len(got), len(want), sample(got), sample(want))
		}
	}
}
