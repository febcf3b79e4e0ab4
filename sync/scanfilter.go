package sync

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// filter keeps the rows of a lake batch that the predicate takes and whose seq is
// below to, and projects them. Without an end, rows that have no seq are kept too:
// an engine appended them.
func (p *scanPlan) filter(ctx context.Context, batch arrow.RecordBatch, to schema.Seq) (arrow.RecordBatch, error) {
	if p.where == nil && to == seqEnd {
		return p.project(batch), nil
	}
	keep := make([]bool, batch.NumRows())
	for i := range keep {
		keep[i] = true
	}
	if p.where != nil {
		p.where.Filter(batch, keep)
	}
	if to != seqEnd {
		seqs := batch.Column(batch.Schema().FieldIndices(schema.SeqColumn)[0]).(*array.Int64)
		for i := range keep {
			keep[i] = keep[i] && seqs.IsValid(i) && schema.Seq(seqs.Value(i)) < to
		}
	}
	return selectRows(ctx, p.project(batch), keep)
}

// project picks the columns that go out.
func (p *scanPlan) project(batch arrow.RecordBatch) arrow.RecordBatch {
	columns := make([]arrow.Array, len(p.pick))
	for i, at := range p.pick {
		columns[i] = batch.Column(at)
	}
	return array.NewRecordBatch(p.out, columns, batch.NumRows())
}

// selectRows keeps the rows that keep marks; all or none cost nothing.
func selectRows(ctx context.Context, batch arrow.RecordBatch, keep []bool) (arrow.RecordBatch, error) {
	kept := 0
	for _, k := range keep {
		if k {
			kept++
		}
	}
	if kept == len(keep) {
		return batch, nil
	}
	if kept == 0 {
		return batch.NewSlice(0, 0), nil
	}
	b := array.NewBooleanBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(keep, nil)
	mask := b.NewBooleanArray()
	defer mask.Release()
	out, err := compute.FilterRecordBatch(ctx, batch, mask, compute.DefaultFilterOptions())
	if err != nil {
		return nil, fmt.Errorf("filter batch: %w", err)
	}
	return out, nil
}
