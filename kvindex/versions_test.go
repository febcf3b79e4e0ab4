package kvindex_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// A walk over long rows goes on as of its start, however often they are
// replaced and whatever is compacted meanwhile; and when it ends, what it held
// back goes.
func TestRangeOutlivesCompaction(t *testing.T) {
	const rows, inst = 40, schema.FirstUserInstance
	ctx := context.Background()
	x := open(t, t.TempDir())
	m := newMaker()
	write := func(round int) {
		for i := range rows {
			row := fmt.Sprint(round) + strings.Repeat("x", 300<<10)
			must(t, x.Apply(ctx, m.chunk(inst, upsert(fmt.Sprintf("%03d", i), row))))
		}
	}
	write(0)
	n := 0
	must(t, x.Range(ctx, inst, kvindex.KeyRange{}, func(key, row []byte) (bool, error) {
		if n++; n == 1 {
			for round := range 5 {
				write(round + 1)
			}
			x.Compact(t)
		}
		if len(row) != 300<<10+1 || row[0] != '0' {
			t.Errorf("row %s is of round %c", key, row[0])
		}
		return true, nil
	}))
	if n != rows {
		t.Errorf("%d rows", n)
	}
	// Compaction takes what was flushed, which is not all: go on until it did.
	for round := 6; x.Versions(inst) > 4*rows; round++ {
		if round == 40 {
			t.Fatalf("%d versions of %d rows are kept", x.Versions(inst), rows)
		}
		write(round)
		x.Compact(t)
	}
}

func TestFailedCommit(t *testing.T) {
	const inst = schema.FirstUserInstance
	ctx := context.Background()
	dir := t.TempDir()
	x := open(t, dir)
	m := newMaker()
	must(t, x.Apply(ctx, m.chunk(inst, upsert("a", "0"))))
	var records []schema.Record
	for i := range 2000 {
		records = append(records, upsert(fmt.Sprint(i), "1"))
	}
	broken := errors.New("broken")
	x.FailCommit(2, broken)
	c := m.chunk(inst, records...)
	for range 2 { // and stays failed
		if err := x.Apply(ctx, c); !errors.Is(err, broken) || x.Applied() != at(1) {
			t.Fatalf("got %v at %s", err, x.Applied())
		}
	}
	if err := x.Drop(ctx, 1, 99); !errors.Is(err, broken) {
		t.Fatalf("drop: %v", err)
	}
	count := func() (n int) {
		must(t, x.Range(ctx, inst, kvindex.KeyRange{}, func(_, _ []byte) (bool, error) { n++; return true, nil }))
		return n
	}
	if n := count(); n != 2001 {
		t.Fatalf("readers see %d rows", n)
	}
	closeIndex(t, x)
	x = open(t, dir)
	must(t, x.Apply(ctx, c))
	s, err := x.Stats(ctx, inst)
	must(t, err)
	if n := count(); n != 2001 || s.Rows != 2001 || s.NextSeq != 2001 {
		t.Fatalf("after reopening %d rows, %+v", n, s)
	}
}
