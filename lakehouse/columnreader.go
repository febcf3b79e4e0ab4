package lakehouse

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/trinedb/trine/schema"
)

// columnReader reads one top-level column of some row groups, whose rows it counts
// from 0.
type columnReader interface {
	// next reads up to n rows, fewer at the end. The caller releases them.
	next(n int) (arrow.ArrayData, error)
	// seek makes row the one that next begins with.
	seek(row int64) error
	release()
}

// newColumnReader reads a column by its place among the file's top-level fields.
func newColumnReader(ctx context.Context, f *pqarrow.FileReader, column int, leaves map[int]bool, groups []int, mem memory.Allocator) (columnReader, error) {
	field := &f.Manifest.Fields[column]
	if isText(f.ParquetReader(), field) {
		return newTextReader(f.ParquetReader(), field, groups, mem), nil
	}
	r, err := f.GetFieldReader(ctx, column, leaves, groups)
	if err != nil {
		return nil, err
	}
	return &anyReader{r, mem}, nil
}

// isText reports whether a column is one of texts or bytes that stand for themselves.
func isText(f *file.Reader, field *pqarrow.SchemaField) bool {
	if !field.IsLeaf() {
		return false
	}
	leaf := f.MetaData().Schema.Column(field.ColIndex)
	if leaf.PhysicalType() != parquet.Types.ByteArray || leaf.MaxRepetitionLevel() > 0 || leaf.MaxDefinitionLevel() > 1 {
		return false
	}
	t := field.Field.Type.ID()
	return t == arrow.STRING || t == arrow.BINARY
}

// anyReader is pqarrow's reader of columns, for all types.
type anyReader struct {
	*pqarrow.ColumnReader
	mem memory.Allocator
}

func (r *anyReader) next(n int) (arrow.ArrayData, error) {
	chunked, err := r.NextBatch(int64(n))
	if err != nil {
		return nil, err
	}
	defer chunked.Release()
	chunks := chunked.Chunks()
	switch len(chunks) {
	case 0:
		return nil, fmt.Errorf("column %s ends early: %w", r.Field().Name, schema.ErrCorrupt)
	case 1:
		chunks[0].Data().Retain()
		return chunks[0].Data(), nil
	}
	whole, err := array.Concatenate(chunks, r.mem)
	if err != nil {
		return nil, err
	}
	defer whole.Release()
	whole.Data().Retain()
	return whole.Data(), nil
}

func (r *anyReader) seek(row int64) error { return r.SeekToRow(row) }

func (r *anyReader) release() { r.Release() }
