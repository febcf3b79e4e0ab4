package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/trinedb/trine/schema"
)

// fileReader reads one data file as batches of the reader's schema.
type fileReader struct {
	lake   *Lake
	file   *tableFile
	opts   *ReadOptions
	fields []schema.Field
	target *arrow.Schema
	hidden []uint32 // rows to leave out, ascending, distinct
	places bool     // fn wants the rows' places
	size   *batchSize

	parquet   *file.Reader
	pageIndex *metadata.PageIndexReader
	columns   []int // of the file, by field: place among its top-level fields, or -1
	rows      []uint32
}

func (r *fileReader) run(ctx context.Context, fn decoded) (err error) {
	object, section, err := r.lake.openURI(ctx, r.file.data.file.FilePath())
	if err != nil {
		return err
	}
	defer object.Close()
	defer damage(&err)
	props := parquet.NewReaderProperties(r.opts.Allocator)
	props.BufferedStreamEnabled, props.BufferSize = true, r.lake.opts.ReadBytes
	if r.parquet, err = file.NewParquetReader(section, file.WithReadProps(props)); err != nil {
		return fmt.Errorf("%w: %w", schema.ErrCorrupt, err)
	}
	defer r.parquet.Close()
	if n := r.parquet.NumRows(); n != r.file.rows() {
		return fmt.Errorf("%d rows, its manifest says %d: %w", n, r.file.rows(), schema.ErrCorrupt)
	}
	r.pageIndex = r.parquet.GetPageIndexReader()
	leaves := r.match()
	start := int64(0)
	for g := 0; g < r.parquet.NumRowGroups(); {
		// A run is row groups in a row that may hold matches: their batches
		// map to places in the file by counting.
		var run rowRun
		runStart := start
		for ; g < r.parquet.NumRowGroups() && r.wanted(g, start); g++ {
			n := r.parquet.MetaData().RowGroup(g).NumRows()
			if err := r.addGroup(&run, g, start-runStart); err != nil {
				return readError(ctx, err)
			}
			start += n
		}
		if len(run.groups) > 0 {
			if err := r.readRun(ctx, &run, leaves, runStart, fn); err != nil {
				return err
			}
			continue
		}
		start += r.parquet.MetaData().RowGroup(g).NumRows()
		g++
	}
	return nil
}

// rowRun is row groups in a row, and which of their rows are read.
type rowRun struct {
	groups []int
	rows   int64     // of the groups
	spans  []rowSpan // ascending, counted from the first group's beginning
}

// addGroup adds a row group whose rows begin with the run's row at.
func (r *fileReader) addGroup(run *rowRun, g int, at int64) error {
	spans, err := r.spans(g)
	if err != nil {
		return err
	}
	run.groups = append(run.groups, g)
	run.rows = at + r.parquet.MetaData().RowGroup(g).NumRows()
	for _, s := range spans {
		s.from, s.to = s.from+at, s.to+at
		if last := len(run.spans) - 1; last >= 0 && s.from-run.spans[last].to < minRowGap {
			run.spans[last].to = s.to
		} else {
			run.spans = append(run.spans, s)
		}
	}
	return nil
}

// wanted reports whether a row group may hold rows to read.
func (r *fileReader) wanted(g int, start int64) bool {
	n := r.parquet.MetaData().RowGroup(g).NumRows()
	if n == 0 || int64(len(r.hiddenIn(start, n))) == n {
		return false
	}
	if r.opts.Where == nil {
		return true
	}
	nans := r.file.data.file.NaNValueCounts()
	return r.opts.Where.MayMatch(newGroupBounds(r.opts.Schema, r.parquet.MetaData(), g, nans))
}

// match finds the fields among the file's columns, by id, and returns the
// leaves to read.
func (r *fileReader) match() (leaves []int) {
	s := r.parquet.MetaData().Schema
	byID := map[int]int{}
	for i := range s.Root().NumFields() {
		byID[int(s.Root().Field(i).FieldID())] = i
	}
	r.columns = make([]int, len(r.fields))
	wanted := map[int]bool{}
	for i, f := range r.fields {
		at, ok := byID[f.ID]
		if !ok {
			r.columns[i] = -1
			continue
		}
		r.columns[i] = at
		wanted[at] = true
	}
	for leaf := range s.NumColumns() {
		if wanted[s.Root().FieldIndexByField(s.ColumnRoot(leaf))] {
			leaves = append(leaves, leaf)
		}
	}
	return leaves
}

func (r *fileReader) readRun(ctx context.Context, run *rowRun, leaves []int, start int64, fn decoded) error {
	if len(leaves) == 0 {
		for _, s := range run.spans {
			if err := r.countSpan(ctx, s, start, fn); err != nil {
				return err
			}
		}
		return nil
	}
	columns, err := r.openColumns(ctx, run, leaves)
	if err != nil {
		return readError(ctx, err)
	}
	defer columns.release()
	at := int64(0)
	for _, s := range run.spans {
		if s.from != at {
			if err := columns.seek(s.from); err != nil {
				return readError(ctx, err)
			}
		}
		at = s.to
		if err := r.readSpan(ctx, columns, s, start, fn); err != nil {
			return err
		}
	}
	return nil
}

// readSpan reads rows of a run that begins with the file's row start.
func (r *fileReader) readSpan(ctx context.Context, columns *columnReaders, s rowSpan, start int64, fn decoded) error {
	p := newProjection(r.opts.Allocator, columns.place, r.target)
	for at := s.from; at < s.to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(s.to-at, r.size.rows)
		in, err := columns.next(int(n))
		if err != nil {
			return readError(ctx, err)
		}
		out, err := p.project(in, int(n))
		releaseAll(in)
		if err != nil {
			return err
		}
		r.size.took(out)
		if err := r.emit(ctx, out, start+at, fn); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// countSpan serves a projection of which the file has no column: its rows are
// known from the footer.
func (r *fileReader) countSpan(ctx context.Context, s rowSpan, start int64, fn decoded) error {
	for at := s.from; at < s.to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(s.to-at, int64(r.opts.BatchRows))
		columns := make([]arrow.Array, len(r.fields))
		for i := range columns {
			columns[i] = array.MakeArrayOfNull(r.opts.Allocator, r.target.Field(i).Type, int(n))
		}
		batch := array.NewRecordBatch(r.target, columns, n)
		for _, c := range columns {
			c.Release()
		}
		if err := r.emit(ctx, batch, start+at, fn); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// emit hands a batch of file rows from start on to fn, without the hidden
// ones, and releases it.
func (r *fileReader) emit(ctx context.Context, batch arrow.RecordBatch, start int64, fn decoded) error {
	defer func() { batch.Release() }()
	n := batch.NumRows()
	hidden := r.hiddenIn(start, n)
	if int64(len(hidden)) == n {
		return nil
	}
	r.rows = r.rows[:0]
	if len(hidden) == 0 && !r.places {
		return fn(r.file, nil, batch)
	}
	keep := make([]bool, n)
	for i := range keep {
		if row := start + int64(i); len(hidden) > 0 && int64(hidden[0]) == row {
			hidden = hidden[1:]
		} else {
			keep[i] = true
			r.rows = append(r.rows, uint32(row))
		}
	}
	if int64(len(r.rows)) < n {
		kept, err := r.filter(ctx, batch, keep, start)
		if err != nil {
			return err
		}
		batch.Release()
		batch = kept
	}
	return fn(r.file, r.rows, batch)
}

// filter is the batch with only the rows to keep, which are r.rows.
func (r *fileReader) filter(ctx context.Context, batch arrow.RecordBatch, keep []bool, start int64) (arrow.RecordBatch, error) {
	if batch.NumCols() == 0 {
		return array.NewRecordBatch(batch.Schema(), nil, int64(len(r.rows))), nil
	}
	if first, last := int64(r.rows[0])-start, int64(r.rows[len(r.rows)-1])-start; last-first+1 == int64(len(r.rows)) {
		return batch.NewSlice(first, last+1), nil
	}
	mask := array.NewBooleanBuilder(memory.DefaultAllocator)
	defer mask.Release()
	mask.AppendValues(keep, nil)
	filter := mask.NewBooleanArray()
	defer filter.Release()
	out, err := compute.FilterRecordBatch(compute.WithAllocator(ctx, r.opts.Allocator), batch, filter, compute.DefaultFilterOptions())
	if err != nil {
		return nil, fmt.Errorf("leave out deleted rows: %w", err)
	}
	return out, nil
}

// hiddenIn are the hidden rows among n from start on.
func (r *fileReader) hiddenIn(start, n int64) []uint32 {
	lo, _ := slices.BinarySearchFunc(r.hidden, start, compareRow)
	hi, _ := slices.BinarySearchFunc(r.hidden, start+n, compareRow)
	return r.hidden[lo:hi]
}

func compareRow(row uint32, at int64) int { return int(min(1, max(-1, int64(row)-at))) }

// readError tells an error of reading apart from one of giving up.
func readError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, schema.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", schema.ErrCorrupt, err)
}
