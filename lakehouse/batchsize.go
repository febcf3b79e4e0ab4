package lakehouse

import "github.com/apache/arrow-go/v18/arrow"

// batchSize says how many rows the next batch has. The first is small, so that it is
// there soon, and because nobody knows yet how large the rows are; then they grow until
// they take what they may.
type batchSize struct {
	rows      int64
	mostRows  int64
	mostBytes int64
}

// The first batch has firstBatchRows, and each at most batchGrowth times those of the
// one before.
const (
	firstBatchRows = 2048
	batchGrowth    = 4
)

func newBatchSize(o *ReadOptions) *batchSize {
	most := int64(o.BatchRows)
	return &batchSize{rows: min(firstBatchRows, most), mostRows: most, mostBytes: o.BatchBytes}
}

// took takes note of a batch.
func (s *batchSize) took(batch arrow.RecordBatch) {
	rows, bytes := max(1, batch.NumRows()), int64(1)
	for _, column := range batch.Columns() {
		bytes += int64(column.Data().SizeInBytes())
	}
	s.rows = max(1, min(s.mostRows, batchGrowth*s.rows, s.mostBytes*rows/bytes))
}
