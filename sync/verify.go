package sync

import (
	"context"
	"errors"
	"fmt"

	"github.com/zeebo/xxh3"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// Report is what a comparison of one collection's three stores found.
type Report struct {
	Collection  *schema.Collection
	Changes     schema.Seq // changes that the log keeps
	Rows        int64      // rows that these leave
	LakeRows    int64      // rows of the table's snapshot
	LakeSeq     schema.Seq // the seq that the snapshot was compared at; 0: there is no table
	Differences []Difference
	More        int // differences beyond those told
}

// Difference is one place where a store is not what the log says.
type Difference struct {
	Store string // "index", "lake", or "log" whose changes do not fit each other
	Row   string // the key, or the seq
	Want  string // what the log says
	Got   string
}

// maxDifferences is how many differences of one collection are told.
const maxDifferences = 20

// OK reports whether the stores agree.
func (r *Report) OK() bool { return len(r.Differences) == 0 }

func (r *Report) differ(store, row, want, got string) {
	if len(r.Differences) == maxDifferences {
		r.More++
		return
	}
	r.Differences = append(r.Differences, Difference{Store: store, Row: row, Want: want, Got: got})
}

// Verify folds the log of a collection and compares the lake with it at the
// lake's seq and the index at the newest, row by row. It may run while writes
// go on: a row that differs but was changed meanwhile must then be one of its
// versions since. It holds some 64 bytes a key, or 8 a change if append-only.
func (e *Engine) Verify(ctx context.Context, c *schema.Collection) (*Report, error) {
	v, err := e.verifyOnce(ctx, c)
	for try := 1; errors.Is(err, schema.ErrTrimmed) && try < verifyTries; try++ {
		v, err = e.verifyOnce(ctx, c) // it was trimmed meanwhile
	}
	if err == nil && !v.report.OK() {
		// The stores of a collection that was dropped meanwhile go one by one.
		_, err = e.catalog.ByInstance(ctx, c.Instance)
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", c, err)
	}
	return v.report, nil
}

// verifyTries bounds how often a comparison begins anew because the log was
// trimmed under it.
const verifyTries = 4

func (e *Engine) verifyOnce(ctx context.Context, c *schema.Collection) (*verifier, error) {
	v := &verifier{engine: e, c: c, report: &Report{Collection: c}, rows: newRowReader(e.catalog, c.Schema), unpin: func() {}}
	defer func() { v.unpin() }()
	if c.Schema.Keyed() {
		return v, v.keyed(ctx)
	}
	return v, v.appendOnly(ctx)
}

type verifier struct {
	engine *Engine
	c      *schema.Collection
	report *Report
	rows   *rowReader
	first  schema.Seq // of the log
	lone   bool       // rows below first are in the index alone
	buf    []byte
	unpin  func() // of the snapshot
}

// sum is a hash of a row's values in the collection's schema, the same
// whichever store they come from.
func (v *verifier) sum(values []schema.Value) uint64 {
	v.buf = v.c.Schema.AppendRow(v.buf[:0], values)
	return xxh3.Hash(v.buf)
}

func (v *verifier) sumRow(ctx context.Context, row []byte) (uint64, error) {
	values, err := v.rows.decode(ctx, row)
	if err != nil {
		return 0, err
	}
	return v.sum(values), nil
}

// snapshot is the table's newest snapshot, or nil.
func (v *verifier) snapshot(ctx context.Context) (*lakehouse.Snapshot, error) {
	if v.c.Options.Lake == schema.LakeOff {
		return nil, nil
	}
	snap, err := v.engine.currentSnapshot(ctx, v.c)
	if snap != nil {
		v.unpin = snap.Pin()
	}
	return snap, err
}

// lakeRows calls fn for each row of a snapshot.
func (v *verifier) lakeRows(ctx context.Context, snap *lakehouse.Snapshot, fn func(values []schema.Value, seq schema.Seq) error) error {
	reader, err := newLakeRows(v.c.Schema)
	if err != nil {
		return err
	}
	for batch, err := range snap.Read(ctx, lakehouse.ReadOptions{Schema: v.c.Schema, System: true, BatchRows: scanBatchRows}) {
		if err != nil {
			return err
		}
		if err := reader.each(batch, fn); err != nil {
			return err
		}
	}
	return nil
}

// appendOnly compares by seq what the log keeps.
func (v *verifier) appendOnly(ctx context.Context) error {
	first, err := v.engine.firstSeq(ctx, v.c.Instance)
	if err != nil {
		return err
	}
	snap, err := v.snapshot(ctx)
	if err != nil {
		return err
	}
	next, err := v.engine.log.NextSeq(ctx, v.c.Instance)
	if err != nil {
		return err
	}
	sums := keptSums{first: first, sums: make([]uint64, 0, next-first)}
	end, err := v.engine.someChanges(ctx, v.c.Instance, first, next, func(ch schema.Change) (bool, error) {
		sum, err := v.sumRow(ctx, ch.Row)
		sums.sums = append(sums.sums, sum)
		return true, err
	})
	if err != nil {
		return err
	}
	v.report.Changes, v.report.Rows = end-first, int64(end)
	if end != next {
		v.report.differ("index", fmt.Sprintf("seq %d", end), fmt.Sprintf("changes below %d", next), "no pointer to the log")
	}
	if snap != nil {
		if err := v.appendOnlyLake(ctx, snap, sums); err != nil {
			return err
		}
	}
	return v.counts(ctx, next, int64(next))
}

// keptSums are the hashes of the rows from the first seq that the log keeps.
type keptSums struct {
	first schema.Seq
	sums  []uint64
}

// appendOnlyLake compares the table's rows. Of those below what the log keeps, which
// nothing else holds, it knows only that none is there twice, and of those that SQL
// engines appended nothing.
func (v *verifier) appendOnlyLake(ctx context.Context, snap *lakehouse.Snapshot, kept keptSums) error {
	v.report.LakeSeq = snap.NextSeq()
	seen := make([]bool, min(int(snap.NextSeq()), int(kept.first)+len(kept.sums)))
	err := v.lakeRows(ctx, snap, func(values []schema.Value, seq schema.Seq) error {
		if seq == noSeq {
			return nil // the log knows nothing of it
		}
		v.report.LakeRows++
		row := fmt.Sprintf("seq %d", seq)
		switch {
		case int(seq) >= len(seen):
			v.report.differ("lake", row, "absent", "a row")
			return nil
		case seen[seq]:
			v.report.differ("lake", row, "one row", "the row twice")
		case seq < kept.first:
		case v.sum(values) != kept.sums[seq-kept.first]:
			v.report.differ("lake", row, fmt.Sprintf("row %016x", kept.sums[seq-kept.first]), fmt.Sprintf("row %016x", v.sum(values)))
		}
		seen[seq] = true
		return nil
	})
	if err != nil {
		return err
	}
	for seq := kept.first; int(seq) < len(seen); seq++ {
		if !seen[seq] {
			v.report.differ("lake", fmt.Sprintf("seq %d", seq), "a row", "absent")
		}
	}
	return nil
}

// counts compares the index's counters, if no change came between.
func (v *verifier) counts(ctx context.Context, next schema.Seq, rows int64) error {
	if err := v.engine.waitApplied(ctx, v.engine.log.Durable()); err != nil {
		return err
	}
	stats, err := v.engine.index.Stats(ctx, v.c.Instance)
	if err != nil || stats.NextSeq != next {
		if err == nil && stats.NextSeq < next {
			v.report.differ("index", "next seq", fmt.Sprint(next), fmt.Sprint(stats.NextSeq))
		}
		return err
	}
	if stats.Rows != rows {
		v.report.differ("index", "row count", fmt.Sprint(rows), fmt.Sprint(stats.Rows))
	}
	return nil
}

// place says where a row lies.
func place(loc kvindex.Location) string { return fmt.Sprintf("file %d row %d", loc.File, loc.Row) }
