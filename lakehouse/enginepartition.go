package lakehouse

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// partitionOf is the spec and the partition that an engine says a data file is of.
func (t *commitTask) partitionOf(told iceberg.DataFile) (*partitionSpec, tuple, error) {
	specs, err := specsOf(t.base.meta)
	if err != nil {
		return nil, nil, err
	}
	spec := specs[int(told.SpecID())]
	if spec == nil {
		return nil, nil, fmt.Errorf("data file %s is of partition spec %d, which the table lacks: %w", told.FilePath(), told.SpecID(), schema.ErrInvalid)
	}
	part, err := spec.tupleOf(told)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", schema.ErrInvalid, err)
	}
	return spec, part, nil
}

// checkPartition reads the rows of an engine's data file: each must be of the
// partition that the entry says, or a predicate would pass it over.
func (t *commitTask) checkPartition(ctx context.Context, e *entry) error {
	if len(e.spec.fields) == 0 {
		return nil
	}
	rows, err := layout{spec: e.spec, order: &rowOrder{}}.of(t.collection.Schema)
	if err != nil {
		return err
	}
	opts := &ReadOptions{Schema: t.collection.Schema, Columns: []int{}, System: true}
	for _, f := range rows.parts {
		if f.column >= 0 {
			opts.Columns = append(opts.Columns, f.column)
		}
	}
	if err := opts.validate(); err != nil {
		return err
	}
	return t.lake.decode(ctx, []*tableFile{{data: e}}, opts, false, func(_ *tableFile, _ []uint32, batch arrow.RecordBatch) error {
		next, system := 0, len(opts.Columns)
		for i, f := range rows.parts {
			at := system - 1 - f.column // of _seq and _time
			if f.column >= 0 {
				at, next = next, next+1
			}
			if err := e.checkValues(i, f.typ, batch.Column(at)); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkValues compares a column with the i-th partition value.
func (e *entry) checkValues(i int, t schema.Type, column arrow.Array) error {
	read, err := valueReader(t, column)
	if err != nil {
		return err
	}
	x, result := e.spec.fields[i].Transform, e.spec.types[i]
	for row := range column.Len() {
		v := schema.Null
		if column.IsValid(row) {
			v = read(row)
		}
		if !schema.Equal(result, TransformValue(x, t, v), e.part[i]) {
			return fmt.Errorf("data file %s has rows that are not of the partition that its entry says, by %s: %w",
				e.file.FilePath(), e.spec.iceberg.Field(i).Name, schema.ErrInvalid)
		}
	}
	return nil
}
