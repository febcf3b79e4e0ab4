package bench

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// bareScan reads columns of the table's files with pqarrow and counts the rows,
// or with filter those of the wanted bucket. Without leaves it reads that
// column alone.
func (b *scanBench) bareScan(ctx context.Context, leaves []int, filter bool) (rows int64, err error) {
	if leaves == nil {
		leaves = []int{bucketColumn}
	}
	for _, name := range b.files {
		n, err := bareScanFile(ctx, name, leaves, filter)
		if err != nil {
			return rows, fmt.Errorf("read %s: %w", name, err)
		}
		rows += n
	}
	return rows, nil
}

func bareScanFile(ctx context.Context, name string, leaves []int, filter bool) (rows int64, err error) {
	pf, err := file.OpenParquetFile(name, false)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pf.Close()) }()
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: fillBatch, Parallel: true}, memory.DefaultAllocator)
	if err != nil {
		return 0, err
	}
	batches, err := fr.GetRecordReader(ctx, leaves, nil)
	if err != nil {
		return 0, err
	}
	defer batches.Release()
	for batches.Next() {
		batch := batches.RecordBatch()
		if !filter {
			rows += batch.NumRows()
			continue
		}
		n, err := countWanted(batch)
		if err != nil {
			return rows, err
		}
		rows += n
	}
	if err := batches.Err(); err != nil && !errors.Is(err, io.EOF) {
		return rows, err
	}
	return rows, nil
}

// countWanted counts the rows of the wanted bucket; the column is the batch's
// last.
func countWanted(batch arrow.RecordBatch) (n int64, err error) {
	column, ok := batch.Column(int(batch.NumCols()) - 1).(*array.Int32)
	if !ok {
		return 0, fmt.Errorf("column %d is %s", batch.NumCols()-1, batch.Column(int(batch.NumCols())-1).DataType())
	}
	for i, v := range column.Int32Values() {
		if v == wantedBucket && column.IsValid(i) {
			n++
		}
	}
	return n, nil
}
