package lakehouse_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/internal/query/querytest"
	"github.com/trinedb/trine/internal/seedtest"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// TestWhereAgainstOracle reads tables of random schemas, layouts and rows by random
// predicates: what is left out of files, row groups and partitions holds no match,
// and of what is read the filter leaves what the oracle says.
func TestWhereAgainstOracle(t *testing.T) {
	r := seedtest.Rand(t)
	pruned, rounds := 0, times(12, 4)
	for range rounds {
		tbl := randomTable(t, r)
		evolved := *tbl.c.Schema
		evolved.Fields = append(slices.Clone(evolved.Fields), schema.Field{ID: 9999, Name: "later", Type: kind(schema.KindLong)})
		rows := tbl.liveRows()
		for i := range rows {
			rows[i].Values = append(slices.Clone(rows[i].Values), schema.Null)
		}
		for range 60 {
			drawn := querytest.Draw(r, &evolved, 2)
			var want []schema.Seq
			for _, row := range rows {
				if drawn.Match(row) {
					want = append(want, row.Seq)
				}
			}
			got, read := matching(t, tbl.snap, &evolved, drawn.Text)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: seqs %v match, want %v\nin %v", drawn.Text, got, want, evolved.Fields)
			}
			if read < len(rows) {
				pruned++
			}
		}
	}
	if pruned < rounds {
		t.Errorf("only %d of %d predicates pruned anything", pruned, 60*rounds)
	}
}

// randomTable has files of few rows, whose bounds are narrow, and of many row groups,
// and rows that are gone.
func randomTable(t *testing.T, r *rand.Rand) *table {
	f := newFixture(t, func(o *lakehouse.Options) { o.RowGroupRows = 16 })
	tbl := newTable(f, collection(querytest.Schema(r)))
	for range 4 {
		tbl.c.Options = randomLayout(r, tbl.c.Schema)
		for _, n := range []int{1 + r.IntN(3), 60} {
			values := make([][]schema.Value, n)
			for i := range values {
				values[i] = querytest.Values(r, tbl.c.Schema, int64(tbl.next)+int64(i))
			}
			tbl.commit(values, nil)
		}
	}
	deletes := map[uint32][]uint32{}
	for _, file := range sortedKeys(tbl.rows) {
		if r.IntN(3) == 0 {
			deletes[file] = []uint32{uint32(r.IntN(len(tbl.rows[file])))}
		}
	}
	tbl.commit(nil, deletes)
	return tbl
}

// liveRows is the rows that are not gone, by seq.
func (t *table) liveRows() []querytest.Row {
	var out []querytest.Row
	for _, at := range t.live() {
		row := t.rows[at[0]][at[1]]
		out = append(out, querytest.Row{Values: row.Values, Seq: row.Seq, Micros: row.TimeMicros})
	}
	slices.SortFunc(out, func(a, b querytest.Row) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// matching is the seqs of the rows that a predicate is true of, and how many rows
// were read to find them.
func matching(t *testing.T, snap *lakehouse.Snapshot, s *schema.Schema, where string) (seqs []schema.Seq, read int) {
	t.Helper()
	p, err := query.ParseWhere(where, s)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	for batch, err := range snap.Read(context.Background(), lakehouse.ReadOptions{Schema: s, Columns: p.Columns(), System: true, Where: p}) {
		if err != nil {
			t.Fatal(err)
		}
		keep := slices.Repeat([]bool{true}, int(batch.NumRows()))
		p.Filter(batch, keep)
		read += len(keep)
		seq := batch.Column(int(batch.NumCols()) - 2).(*array.Int64)
		for i, k := range keep {
			if k {
				seqs = append(seqs, schema.Seq(seq.Value(i)))
			}
		}
	}
	return seqs, read
}
