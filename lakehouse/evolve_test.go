package lakehouse_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

func kind(k schema.Kind) schema.Type { return schema.Type{Kind: k} }

// versions are the lives of one schema: each follows from the one before by
// Iceberg's rules.
func versions() []*schema.Schema {
	point := func(fields ...schema.Field) schema.Type { return schema.Type{Kind: schema.KindStruct, Fields: fields} }
	list := func(id int, of schema.Type) schema.Type {
		return schema.Type{Kind: schema.KindList, Fields: []schema.Field{{ID: id, Name: "element", Type: of}}}
	}
	mapping := func(key, value int, of schema.Type) schema.Type {
		return schema.Type{Kind: schema.KindMap, Fields: []schema.Field{
			{ID: key, Name: "key", Type: kind(schema.KindString), Required: true}, {ID: value, Name: "value", Type: of}}}
	}
	dec := func(p int) schema.Type { return schema.Type{Kind: schema.KindDecimal, Precision: p, Scale: 2} }
	id := schema.Field{ID: 1, Name: "id", Type: kind(schema.KindLong), Required: true}
	first := []schema.Field{
		id,
		{ID: 2, Name: "n", Type: kind(schema.KindInt)},
		{ID: 3, Name: "f", Type: kind(schema.KindFloat)},
		{ID: 4, Name: "d", Type: dec(8)},
		{ID: 5, Name: "gone", Type: kind(schema.KindString)},
		{ID: 6, Name: "pos", Type: point(schema.Field{ID: 7, Name: "x", Type: kind(schema.KindInt), Required: true}, schema.Field{ID: 8, Name: "y", Type: kind(schema.KindInt)})},
		{ID: 9, Name: "l", Type: list(10, point(schema.Field{ID: 11, Name: "a", Type: kind(schema.KindFloat)}))},
		{ID: 12, Name: "m", Type: mapping(13, 14, kind(schema.KindInt))},
		{ID: 15, Name: "req", Type: kind(schema.KindString), Required: true},
	}
	second := []schema.Field{ // widened, added, required → optional, renamed, reordered
		{ID: 12, Name: "counts", Type: mapping(13, 14, kind(schema.KindLong))},
		id,
		{ID: 15, Name: "req", Type: kind(schema.KindString)},
		{ID: 2, Name: "number", Type: kind(schema.KindLong)},
		{ID: 16, Name: "new", Type: kind(schema.KindUUID)},
		{ID: 3, Name: "f", Type: kind(schema.KindDouble)},
		{ID: 4, Name: "d", Type: dec(15)},
		{ID: 6, Name: "pos", Type: point(
			schema.Field{ID: 17, Name: "z", Type: list(18, kind(schema.KindDate))},
			schema.Field{ID: 8, Name: "x", Type: kind(schema.KindLong)}, schema.Field{ID: 7, Name: "y", Type: kind(schema.KindInt)})},
		{ID: 9, Name: "l", Type: list(10, point(schema.Field{ID: 19, Name: "b", Type: kind(schema.KindString)}, schema.Field{ID: 11, Name: "a", Type: kind(schema.KindDouble)}))},
	}
	third := []schema.Field{ // more of it; the name of a dropped field is used again
		id,
		{ID: 20, Name: "gone", Type: kind(schema.KindBoolean)},
		{ID: 4, Name: "d", Type: dec(38)},
		{ID: 6, Name: "pos", Type: point(schema.Field{ID: 21, Name: "w", Type: kind(schema.KindTimestamp)}, schema.Field{ID: 7, Name: "y", Type: kind(schema.KindLong)})},
		{ID: 9, Name: "l", Type: list(10, point(schema.Field{ID: 19, Name: "b", Type: kind(schema.KindString)}))},
		{ID: 12, Name: "counts", Type: mapping(13, 14, kind(schema.KindLong))},
	}
	var out []*schema.Schema
	last := []int{15, 19, 21}
	for i, fields := range [][]schema.Field{first, second, third} {
		key := slices.IndexFunc(fields, func(f schema.Field) bool { return f.ID == 1 })
		out = append(out, &schema.Schema{ID: schema.SchemaID(i + 1), Fields: fields, Key: []int{key}, LastFieldID: last[i]})
	}
	return out
}

func rowsWithID(r *rand.Rand, s *schema.Schema, from, n int) [][]schema.Value {
	rows := randomRows(r, s, n)
	for i := range rows {
		for c, f := range s.Fields {
			if c == 0 || f.ID == 1 {
				rows[i][c] = randomValue(r, f.Type, f.Required)
			}
		}
		rows[i][s.Key[0]] = schema.Int(int64(from + i))
	}
	return rows
}

func TestEvolution(t *testing.T) { eachFormat(t, testEvolution) }

func testEvolution(t *testing.T, format int) {
	r := seedtest.Rand(t)
	f := newDirFixture(t)
	all := versions()
	tbl := newTable(f, inFormat(format, all[0]))
	for i, s := range all {
		tbl.c = inFormat(format, s)
		if i > 0 {
			tbl.check(tbl.snap) // by the new schema, before anything was written by it
		}
		tbl.commit(rowsWithID(r, s, i*50, 50), nil)
		tbl.commit(nil, map[uint32][]uint32{uint32(i): {0, 7, 8}})
		tbl.check(tbl.snap)
		// Of the third, iceberg-go cannot read a list of which a file has no leaf.
		if i < 2 {
			want := sorted(tbl.want())
			meta, got := icebergRead(t, tbl.snap)
			if !slices.Equal(got, want) {
				t.Errorf("iceberg-go reads\n got %s\nwant %s", sample(got), sample(want))
			}
			if n := len(meta.Metadata().Schemas()); n != i+1 {
				t.Errorf("%d schemas in the metadata", n)
			}
		}
		for _, column := range []int{0, len(s.Fields) - 1} { // one column of old and new files
			got := read(t, tbl.snap, lakehouse.ReadOptions{Schema: s, Columns: []int{column}})
			if len(got) != 47*(i+1) {
				t.Errorf("column %s: %d rows", s.Fields[column].Name, len(got))
			}
		}
	}
	tbl.check(must(f.open(f.objects).Current(context.Background(), tbl.c)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestAgainstModel runs random commits, restarts and evolutions and compares
// with a map after each.
func TestAgainstModel(t *testing.T) { eachFormat(t, testAgainstModel) }

func testAgainstModel(t *testing.T, format int) {
	ctx := context.Background()
	r := seedtest.Rand(t)
	f := newFixture(t, func(o *lakehouse.Options) { o.RowGroupRows, o.TargetFileBytes = 256, 48<<10 })
	all := versions()
	tbl := newTable(f, inFormat(format, all[0]))
	life, rows := 0, 0
	for step := range times(150, 50) {
		switch r.IntN(8) {
		case 0: // nothing in memory
			tbl.lake = f.open(f.objects, func(o *lakehouse.Options) { o.RowGroupRows, o.TargetFileBytes = 256, 48<<10 })
			if tbl.snap != nil {
				tbl.snap = must(tbl.lake.Current(ctx, tbl.c))
			}
		case 1:
			if life < len(all)-1 && step > 40*life {
				life++
				tbl.c = inFormat(format, all[life])
			}
		}
		deletes := map[uint32][]uint32{}
		if tbl.snap != nil {
			for _, file := range tbl.snap.Files() {
				n := int(file.Rows)
				switch r.IntN(12) {
				case 0: // all of it
					for row := range n {
						deletes[file.Ordinal] = append(deletes[file.Ordinal], uint32(row))
					}
				case 1, 2, 3:
					for range r.IntN(5) {
						deletes[file.Ordinal] = append(deletes[file.Ordinal], uint32(r.IntN(n)))
					}
				}
			}
		}
		n := r.IntN(40)
		if r.IntN(10) == 0 {
			n = 1200
		}
		tbl.commit(rowsWithID(r, tbl.c.Schema, rows, n), deletes)
		rows += n
		if step%10 == 0 || step > 140 {
			tbl.check(tbl.snap)
			hide := map[uint32][]uint32{}
			hidden := 0
			for _, file := range tbl.snap.Files() {
				if r.IntN(3) == 0 {
					row := uint32(r.IntN(int(file.Rows)))
					hide[file.Ordinal] = []uint32{row}
					if !tbl.gone[file.Ordinal][row] {
						hidden++
					}
				}
			}
			got := read(t, tbl.snap, lakehouse.ReadOptions{Schema: tbl.c.Schema, Columns: []int{}, Hide: hide, BatchRows: 1 + r.IntN(500)})
			if len(got) != len(tbl.want())-hidden {
				t.Fatalf("step %d: %d rows with %d hidden of %d", step, len(got), hidden, len(tbl.want()))
			}
		}
	}
	t.Logf("%d rows written, %d files, %d left", rows, len(tbl.rows), tbl.snap.Rows())
}
