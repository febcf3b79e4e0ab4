package lakehouse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	iceberg_table "github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// randomLayout is any partitioning and order that a definition may ask for.
func randomLayout(r *rand.Rand, s *schema.Schema) schema.Options {
	o := schema.DefaultOptions()
	fields := append(slices.Clone(s.Fields), schema.Field{ID: schema.TimeColumnID, Type: kind(schema.KindTimestamptz)})
	temporal := map[int]bool{}
	decimal := false
	for range r.IntN(4) {
		f := fields[r.IntN(len(fields))]
		x := schema.Transform{Kind: schema.TransformKind(1 + r.IntN(7))}
		if x.Sized() {
			x.Width = 1 + r.IntN(6)
		}
		p := schema.PartitionField{FieldID: f.ID, Transform: x}
		if !x.Takes(f.Type) || slices.Contains(o.LakePartition, p) || x.Temporal() && temporal[f.ID] {
			continue
		}
		if x.Result(f.Type).Kind == schema.KindDecimal {
			if decimal {
				continue // refused by definitions
			}
			decimal = true
		}
		temporal[f.ID] = temporal[f.ID] || x.Temporal()
		o.LakePartition = append(o.LakePartition, p)
	}
	for _, i := range r.Perm(len(fields))[:r.IntN(3)] {
		if f := fields[i]; !f.Type.Nested() && f.Type.Kind != schema.KindJSON {
			o.LakeSort = append(o.LakeSort, schema.SortField{FieldID: f.ID, Desc: r.IntN(2) == 0, NullsLast: r.IntN(2) == 0})
		}
	}
	return o
}

// few is a row of few distinct values, so that partitions have several.
func few(r *rand.Rand, s *schema.Schema, id int64) []schema.Value {
	row := make([]schema.Value, len(s.Fields))
	seed := rand.New(rand.NewPCG(r.Uint64N(3), 1))
	for i, f := range s.Fields {
		from := seed
		if r.IntN(8) == 0 {
			from = r
		}
		row[i] = randomValue(from, f.Type, f.Required)
	}
	row[0] = schema.Int(id)
	return row
}

// live are the places of rows that are not deleted.
func (t *table) live() (places [][2]uint32) {
	for _, file := range sortedKeys(t.rows) {
		for row := range t.rows[file] {
			if !t.gone[file][uint32(row)] {
				places = append(places, [2]uint32{file, uint32(row)})
			}
		}
	}
	return places
}

// change commits new rows, and some that take the place of others, in another
// partition mostly.
func (t *table) change(r *rand.Rand, rows int) {
	values, deletes := [][]schema.Value{}, map[uint32][]uint32{}
	places := t.live()
	r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	for i := range rows {
		id := int64(t.next) + int64(i)
		if t.c.Schema.Keyed() && i < len(places) && r.IntN(3) == 0 {
			file, row := places[i][0], places[i][1]
			deletes[file] = append(deletes[file], row)
			id = t.rows[file][row].Values[0].Int()
		}
		values = append(values, few(r, t.c.Schema, id))
	}
	slices.SortFunc(values, func(a, b []schema.Value) int { return int(a[0].Int() - b[0].Int()) })
	t.commit(values, deletes)
}

// checkFiles looks at each data file by iceberg-go's reading of the table: its rows
// are of the partition that its manifest says, under the spec that it says, and in
// the order that it says.
func (t *table) checkFiles(snap *lakehouse.Snapshot) (files int) {
	t.Helper()
	tbl, got := icebergRead(t, snap)
	if want := sorted(t.want()); !slices.Equal(got, want) {
		t.Fatalf("iceberg-go reads %d rows, want %d\n got %s\nwant %s", len(got), len(want), sample(got), sample(want))
	}
	tasks, err := tbl.Scan().PlanFiles(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	meta := tbl.Metadata()
	for _, task := range tasks {
		at := slices.IndexFunc(snap.Files(), func(f lakehouse.DataFile) bool { return f.URI == task.File.FilePath() })
		ordinal := snap.Files()[at].Ordinal
		rows, s := t.rows[ordinal], t.schemas[ordinal]
		spec := meta.PartitionSpecByID(int(task.File.SpecID()))
		for _, f := range spec.Fields() {
			for _, row := range rows {
				typ, v := valueOf(s, f.SourceID(), row)
				want := f.Transform.Apply(optional(typ, v))
				got := task.File.Partition()[f.FieldID]
				if !want.Valid != (got == nil) || want.Valid && fmt.Sprint(got) != fmt.Sprint(want.Val.Any()) {
					t.Fatalf("file %d has a row with %v in partition %s = %v", ordinal, want, f.Name, got)
				}
			}
		}
		t.checkSorted(ordinal, rows, s, task.File)
	}
	return len(tasks)
}

func (t *table) checkSorted(ordinal uint32, rows []lakehouse.Row, s *schema.Schema, file iceberg.DataFile) {
	t.Helper()
	by := t.orders[*file.SortOrderID()]
	for i := 1; i < len(rows); i++ {
		for _, f := range by {
			typ, a := valueOf(s, f.FieldID, rows[i-1])
			_, b := valueOf(s, f.FieldID, rows[i])
			c := schema.Compare(typ, a, b)
			if a.IsNull() != b.IsNull() {
				if f.NullsLast {
					c = -c
				}
			} else if f.Desc {
				c = -c
			}
			if c > 0 {
				t.Fatalf("row %d of file %d comes before %d by order %d", i, ordinal, i-1, *file.SortOrderID())
			}
			if c < 0 {
				break
			}
		}
	}
}

func valueOf(s *schema.Schema, id int, row lakehouse.Row) (schema.Type, schema.Value) {
	switch id {
	case schema.SeqColumnID:
		return kind(schema.KindLong), schema.Int(int64(row.Seq))
	case schema.TimeColumnID:
		return kind(schema.KindTimestamptz), schema.Int(row.TimeMicros)
	}
	i := s.IndexID(id)
	return s.Fields[i].Type, row.Values[i]
}

func optional(typ schema.Type, v schema.Value) iceberg.Optional[iceberg.Literal] {
	if v.IsNull() {
		return iceberg.Optional[iceberg.Literal]{}
	}
	return iceberg.Optional[iceberg.Literal]{Valid: true, Val: literal(typ, v)}
}

// noteOrder remembers by what the newest sort order is.
func (t *table) noteOrder() {
	t.Helper()
	meta, err := iceberg_table.ParseMetadataBytes(t.snap.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	id := meta.DefaultSortOrder()
	by := t.c.Options.LakeSort
	if len(by) == 0 {
		for _, k := range t.c.Schema.Key {
			by = append(by, schema.SortField{FieldID: t.c.Schema.Fields[k].ID})
		}
	}
	if old, known := t.orders[id]; known && !slices.Equal(old, by) {
		t.Fatalf("sort order %d is %v and %v", id, old, by)
	}
	t.orders[id] = by
}

// Tables of any partitioning and order, through changes of both and of the format,
// upserts that move rows between partitions, deletes and compaction, hold the rows
// that they should: as we read them, as a newly opened lake does, and as iceberg-go
// does.
func TestLayoutsAgainstOracle(t *testing.T) {
	r := seedtest.Rand(t)
	for round := range times(6, 3) {
		s := *flat()
		if round%3 == 2 {
			s.Key = nil
		}
		f := newDirFixture(t, func(o *lakehouse.Options) {
			o.TargetFileBytes, o.RowGroupRows = 64<<10, 64
			o.ArrangeBytes = int64([]int{8 << 10, 32 << 10, 1 << 20}[r.IntN(3)])
		})
		tbl := newTable(f, collection(&s))
		tbl.orders = map[int][]schema.SortField{}
		for range 5 {
			if r.IntN(2) == 0 || tbl.snap == nil {
				c := *tbl.c
				format := c.Options.LakeFormat
				c.Options = randomLayout(r, &s)
				if c.Options.LakeFormat = format; r.IntN(3) == 0 {
					c.Options.LakeFormat = 3
				}
				tbl.c = &c
			}
			tbl.change(r, r.IntN(60))
			tbl.noteOrder()
			old := tbl.snap
			plan := old.PlanRewrite(&s)
			if r.IntN(3) == 0 {
				plan = nil
				for _, file := range old.Files() {
					if r.IntN(2) == 0 {
						plan = append(plan, file.Ordinal)
					}
				}
			}
			if len(plan) > 0 {
				if r.IntN(2) == 0 {
					tbl.change(r, r.IntN(20)) // races with the rewrite
				}
				tbl.rewrite(old, plan)
			}
			tbl.checkSet(tbl.snap)
			tbl.checkFiles(tbl.snap)
			again, err := f.open(f.objects).Current(t.Context(), tbl.c)
			if err != nil {
				t.Fatal(err)
			}
			tbl.checkSet(again)
			tbl.checkWhere(r, again)
			if current, err := again.DefinitionCurrent(tbl.c); err != nil || !current {
				t.Fatalf("the definition is not that of the table (%v)", err)
			}
		}
		for plan := tbl.snap.PlanRewrite(&s); plan != nil; plan = tbl.snap.PlanRewrite(&s) {
			tbl.rewrite(tbl.snap, plan)
		}
		tbl.checkSet(tbl.snap)
		tbl.checkFiles(tbl.snap)
		if status, err := tbl.snap.Layout(&s); err != nil || status.OldFiles > 0 {
			t.Fatalf("files of an older spec are left: %+v (%v)", status, err)
		}
	}
}

// checkWhere reads with predicates that partitions can rule out files by: no row
// that matches may be missing.
func (t *table) checkWhere(r *rand.Rand, snap *lakehouse.Snapshot) {
	t.Helper()
	s := t.c.Schema
	places := t.live()
	for range 10 {
		if len(places) == 0 {
			return
		}
		at := places[r.IntN(len(places))]
		row := t.rows[at[0]][at[1]].Values
		i := r.IntN(len(s.Fields))
		if by := t.c.Options.LakePartition; len(by) > 0 && r.IntN(4) > 0 {
			i = max(0, s.IndexID(by[r.IntN(len(by))].FieldID))
		}
		f := s.Fields[i]
		text := `"` + strings.ReplaceAll(f.Name, `"`, `""`) + `"`
		if row[i].IsNull() {
			text += " is null"
		} else if lit, ok := literalText(f.Type, row[i]); ok {
			text += []string{" = ", " >= ", " <= "}[r.IntN(3)] + lit
		} else {
			continue
		}
		where, err := query.ParseWhere(text, s)
		if err != nil {
			t.Fatalf("where %s: %v", text, err)
		}
		found := false
		want := t.line(t.rows[at[0]][at[1]])
		for _, line := range read(t, snap, lakehouse.ReadOptions{Schema: s, System: true, Where: where}) {
			found = found || line == want
		}
		if !found {
			t.Fatalf("where %s: row %v of file %d is not found", text, at[1], at[0])
		}
	}
}

func literalText(t schema.Type, v schema.Value) (string, bool) {
	switch t.Kind {
	case schema.KindInt, schema.KindLong:
		return fmt.Sprint(v.Int()), true
	case schema.KindString:
		return "'" + strings.ReplaceAll(string(v.Bytes()), "'", "''") + "'", true
	case schema.KindDate, schema.KindTime, schema.KindTimestamp, schema.KindTimestamptz, schema.KindDecimal, schema.KindUUID:
		text := string(schema.AppendText(nil, t, v))
		if t.Kind != schema.KindDecimal {
			text = "'" + text + "'"
		}
		return text, true
	}
	return "", false
}

// line is a row as read has it.
func (t *table) line(row lakehouse.Row) string {
	b := schema.NewArrowBuilder(memory.DefaultAllocator, t.c.Schema, nil, true)
	defer b.Release()
	b.Append(row.Values, row.Seq, row.TimeMicros)
	batch := b.NewRecordBatch()
	defer batch.Release()
	return lines(batch)[0]
}
