package lakehouse

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// MaxBatchRows is the most rows of a batch that Read yields.
const MaxBatchRows = 65536

// DefaultBatchBytes is about how much a batch takes at most: files of large rows are
// read in batches of fewer.
const DefaultBatchBytes = 16 << 20

// ReadOptions say what of a snapshot is read, and as what.
type ReadOptions struct {
	Schema     *schema.Schema      // the reader's schema: columns are found by field id
	Columns    []int               // indexes into Schema.Fields, in the order wanted; nil means all
	System     bool                // also _seq and _time, last
	Where      *query.Predicate    // parsed with Schema; skips files and row groups that cannot match; rows are not tested
	Hide       map[uint32][]uint32 // data file → rows to leave out beside the deleted ones, ascending
	BatchRows  int                 // most rows of a batch; default and bound MaxBatchRows
	BatchBytes int64               // about the most bytes of a batch; default DefaultBatchBytes
	Allocator  memory.Allocator    // of the batches; default memory.DefaultAllocator
	From       *uint32             // data file to begin with, in the order of reading; nil: the first

	lineage bool // also lineageFields, after all others: null where they are to be inherited
}

func (o *ReadOptions) validate() error {
	if o.Schema == nil {
		return fmt.Errorf("read snapshot: no schema: %w", schema.ErrInvalid)
	}
	for _, c := range o.Columns {
		if c < 0 || c >= len(o.Schema.Fields) {
			return fmt.Errorf("read snapshot: column %d of %d: %w", c, len(o.Schema.Fields), schema.ErrInvalid)
		}
	}
	if o.BatchRows <= 0 || o.BatchRows > MaxBatchRows {
		o.BatchRows = MaxBatchRows
	}
	o.BatchBytes = orDefault(o.BatchBytes, DefaultBatchBytes)
	if o.Allocator == nil {
		o.Allocator = memory.DefaultAllocator
	}
	return nil
}

// fields are the columns read, in the order of the batches.
func (o *ReadOptions) fields() []schema.Field {
	fields := o.Schema.Fields
	if o.Columns != nil {
		fields = make([]schema.Field, len(o.Columns))
		for i, c := range o.Columns {
			fields[i] = o.Schema.Fields[c]
		}
	}
	if o.System {
		fields = append(slices.Clone(fields), systemFields...)
	}
	if o.lineage {
		fields = append(slices.Clone(fields), lineageFields...)
	}
	return fields
}

// target is the schema of the batches.
func (o *ReadOptions) target() *arrow.Schema {
	target := o.Schema.Arrow(o.Columns, o.System)
	if !o.lineage {
		return target
	}
	fields := slices.Clone(target.Fields())
	for _, f := range lineageFields {
		fields = append(fields, arrow.Field{Name: f.Name, Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	}
	meta := target.Metadata()
	return arrow.NewSchema(fields, &meta)
}

// Read yields the rows as record batches of the schema that
// Schema.Arrow(Columns, System) gives: file by file by their lowest seq, rows in
// the order written. A batch is released after the loop's body ran; Retain it
// to keep it. The first error ends the loop. While the body runs, the next
// batch is decoded, so at most two are in memory.
func (s *Snapshot) Read(ctx context.Context, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for b, err := range s.ReadFiles(ctx, opts) {
			if !yield(b.Batch, err) {
				return
			}
		}
	}
}

// FileBatch is a batch of rows of one data file.
type FileBatch struct {
	File  uint32
	Batch arrow.RecordBatch
}

// ReadFiles is Read, and tells of which data file each batch is. A snapshot is
// read in the same order by every build: tokens of scans rely on it.
func (s *Snapshot) ReadFiles(ctx context.Context, opts ReadOptions) iter.Seq2[FileBatch, error] {
	return func(yield func(FileBatch, error) bool) {
		if err := opts.validate(); err != nil {
			yield(FileBatch{}, err)
			return
		}
		files, err := s.filesFrom(opts.From)
		if err != nil {
			yield(FileBatch{}, err)
			return
		}
		ahead(ctx, func(ctx context.Context, emit func(FileBatch) error) error {
			return s.lake.decode(ctx, files, &opts, false, func(f *tableFile, _ []uint32, batch arrow.RecordBatch) error {
				return emit(FileBatch{f.data.ordinal, batch})
			})
		}, yield)
	}
}

// filesFrom are the data files in the order of reading, from one on.
func (s *Snapshot) filesFrom(first *uint32) ([]*tableFile, error) {
	files := s.inOrder()
	if first == nil {
		return files, nil
	}
	at := slices.IndexFunc(files, func(f *tableFile) bool { return f.data.ordinal == *first })
	if at < 0 {
		return nil, fmt.Errorf("data file %d is not of snapshot %d: %w", *first, s.id, schema.ErrNotFound)
	}
	return files[at:], nil
}

// ahead runs produce beside the loop that yield stands for, one batch ahead of
// it, and has joined it when it returns. A batch that was emitted is released
// here.
func ahead(ctx context.Context, produce func(context.Context, func(FileBatch) error) error, yield func(FileBatch, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan FileBatch) // unbuffered: the producer holds the one that is ahead
	var failed error
	go func() {
		defer close(batches)
		failed = produce(ctx, func(b FileBatch) error {
			b.Batch.Retain()
			select {
			case batches <- b:
				return nil
			case <-ctx.Done():
				b.Batch.Release()
				return ctx.Err()
			}
		})
	}()
	stopped := false
	defer func() {
		cancel()
		for b := range batches {
			b.Batch.Release()
		}
	}()
	for b := range batches {
		stopped = !yield(b, nil)
		b.Batch.Release()
		if stopped {
			return
		}
	}
	if failed != nil {
		yield(FileBatch{}, failed)
	}
}

// decoded takes a batch of live rows of a data file, which is its own until it
// returns. rows are their places in the file, ascending, if they were asked for.
type decoded func(f *tableFile, rows []uint32, batch arrow.RecordBatch) error

// decode calls fn with each batch of live rows of some data files.
func (l *Lake) decode(ctx context.Context, files []*tableFile, opts *ReadOptions, places bool, fn decoded) error {
	target, fields, size := opts.target(), opts.fields(), newBatchSize(opts)
	wanted := func(f *tableFile) bool { return f.rows() > 0 && mayMatchFile(opts, f) }
	for i, f := range files {
		if !wanted(f) {
			continue
		}
		if err := l.readDeletes(ctx, vectorsAhead(files[i:], wanted)); err != nil {
			return err
		}
		deleted, err := l.deletedRows(ctx, f.deletes)
		if err != nil {
			return err
		}
		hidden := deleted
		if extra := opts.Hide[f.data.ordinal]; len(extra) > 0 {
			hidden = union(deleted, extra)
		}
		if int64(len(hidden)) >= f.rows() {
			continue
		}
		r := &fileReader{lake: l, file: f, opts: opts, fields: fields, target: target, hidden: hidden, places: places, size: size}
		if err := r.run(ctx, fn); err != nil {
			return fmt.Errorf("read %s: %w", f.data.file.FilePath(), err)
		}
	}
	return nil
}

// ReadKeys tells the key of each row of a data file that is not deleted, in
// the order of rows: what is needed to rebuild the places of keys. The key and
// its values are valid until fn returns.
func (s *Snapshot) ReadKeys(ctx context.Context, sch *schema.Schema, file uint32, fn func(row uint32, key []schema.Value) error) error {
	f := s.file(file)
	if f == nil {
		return fmt.Errorf("data file %d: %w", file, schema.ErrNotFound)
	}
	if !sch.Keyed() {
		return fmt.Errorf("data file %d: rows have no key: %w", file, schema.ErrInvalid)
	}
	opts := &ReadOptions{Schema: sch, Columns: sch.Key}
	if err := opts.validate(); err != nil {
		return err
	}
	key := make([]schema.Value, len(sch.Key))
	return s.lake.decode(ctx, []*tableFile{f}, opts, true, func(_ *tableFile, rows []uint32, batch arrow.RecordBatch) error {
		read := make([]func(int) schema.Value, len(key))
		for i, c := range sch.Key {
			var err error
			if read[i], err = valueReader(sch.Fields[c].Type, batch.Column(i)); err != nil {
				return err
			}
		}
		for i, row := range rows {
			for k := range key {
				key[k] = read[k](i)
			}
			if err := fn(row, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// valueReader reads a key column. Keys are never null.
func valueReader(t schema.Type, a arrow.Array) (func(int) schema.Value, error) {
	switch a := a.(type) {
	case *array.Boolean:
		return func(i int) schema.Value { return schema.Bool(a.Value(i)) }, nil
	case *array.Int32:
		return func(i int) schema.Value { return schema.Int(int64(a.Value(i))) }, nil
	case *array.Int64:
		return func(i int) schema.Value { return schema.Int(a.Value(i)) }, nil
	case *array.Date32:
		return func(i int) schema.Value { return schema.Int(int64(a.Value(i))) }, nil
	case *array.Time64:
		return func(i int) schema.Value { return schema.Int(int64(a.Value(i))) }, nil
	case *array.Timestamp:
		return func(i int) schema.Value { return schema.Int(int64(a.Value(i))) }, nil
	case *array.Decimal128:
		return func(i int) schema.Value {
			v := a.Value(i)
			return decimalValue(v.HighBits(), v.LowBits())
		}, nil
	case interface{ Value(int) []byte }: // binary, fixed, uuid
		return func(i int) schema.Value { return schema.Bytes(a.Value(i)) }, nil
	case *array.String:
		return func(i int) schema.Value { return schema.String(a.Value(i)) }, nil
	}
	return nil, fmt.Errorf("key of type %s as %s: %w", t, a.DataType(), schema.ErrCorrupt)
}

// inOrder are the data files as they are read.
func (s *Snapshot) inOrder() []*tableFile {
	files := make([]*tableFile, len(s.files))
	for i := range s.files {
		files[i] = &s.files[i]
		if s.order != nil {
			files[i] = &s.files[s.order[i]]
		}
	}
	return files
}

// readOrder is by lowest seq, so that the rows of an append-only table come in
// seq order. Files that compaction wrote have the higher ordinals and the lower
// seqs; without them the ordinals are in order.
func readOrder(files []tableFile) []int {
	if len(files) == 0 || files[len(files)-1].data.ordinal < rewriteOrdinals {
		return nil
	}
	order := make([]int, len(files))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(files[a].data.firstSeq, files[b].data.firstSeq) })
	return order
}
