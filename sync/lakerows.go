package sync

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/trinedb/trine/schema"
)

// noSeq stands for the seq of a row that has none: an SQL engine appended it.
const noSeq = schema.Seq(math.MaxUint64)

// lakeRows reads the rows of batches that a snapshot yields with the system
// columns last.
type lakeRows struct {
	fields int
	rows   *schema.ArrowRows
}

func newLakeRows(s *schema.Schema) (*lakeRows, error) {
	rows, err := schema.NewArrowRows(s, s.Arrow(nil, false))
	if err != nil {
		return nil, fmt.Errorf("read rows of the lake: %w", err)
	}
	return &lakeRows{fields: len(s.Fields), rows: rows}, nil
}

func (l *lakeRows) each(batch arrow.RecordBatch, fn func(values []schema.Value, seq schema.Seq) error) error {
	seqs, ok := batch.Column(l.fields).(*array.Int64)
	if !ok {
		return fmt.Errorf("column %s is a %s: %w", schema.SeqColumn, batch.Column(l.fields).DataType(), schema.ErrCorrupt)
	}
	user := array.NewRecordBatch(arrow.NewSchema(batch.Schema().Fields()[:l.fields], nil), batch.Columns()[:l.fields], batch.NumRows())
	defer user.Release()
	return l.rows.Rows(user, func(i int, values []schema.Value) error {
		if seqs.IsNull(i) {
			return fn(values, noSeq)
		}
		return fn(values, schema.Seq(seqs.Value(i)))
	})
}
