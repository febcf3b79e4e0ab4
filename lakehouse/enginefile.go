package lakehouse

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// engineFile is a data file that an engine wrote, as it was found to be.
type engineFile struct {
	name    string
	told    iceberg.DataFile // by the engine
	columns map[int]bool     // field ids of its top-level columns
	unsure  []int            // required fields whose columns may hold nulls as far as the footer tells
	survey  survey
}

// examine opens a data file that an engine names and refuses one that the table
// could not be read with, or that is not what its entry says.
func (t *commitTask) examine(ctx context.Context, told iceberg.DataFile, name string) (_ *engineFile, err error) {
	if err := t.checkEntry(told); err != nil {
		return nil, fmt.Errorf("data file %s: %w", told.FilePath(), err)
	}
	object, err := t.openEngine(ctx, name, told.FilePath())
	if err != nil {
		return nil, err
	}
	defer object.Close()
	if object.Size() != told.FileSizeBytes() {
		return nil, fmt.Errorf("data file %s has %d bytes, its entry says %d: %w", told.FilePath(), object.Size(), told.FileSizeBytes(), schema.ErrInvalid)
	}
	f := &engineFile{name: name, told: told, columns: map[int]bool{}}
	section := seeker{io.NewSectionReader(object, 0, object.Size())}
	if err := t.examineParquet(section, f); err != nil {
		return nil, fmt.Errorf("data file %s: %w", told.FilePath(), err)
	}
	return f, nil
}

// checkEntry refuses what the table never has.
func (t *commitTask) checkEntry(told iceberg.DataFile) error {
	switch {
	case !strings.EqualFold(string(told.FileFormat()), string(iceberg.ParquetFile)): // engines differ in case
		return refused("it is %s, and data files are Parquet (property write.format.default)", told.FileFormat())
	case len(told.KeyMetadata()) > 0:
		return refused("it is encrypted")
	case told.Count() <= 0 || told.Count() > math.MaxUint32:
		return fmt.Errorf("it has %d records, want 1 to %d: %w", told.Count(), uint32(math.MaxUint32), schema.ErrInvalid)
	}
	return nil
}

// examineParquet reads the footer: whether all fields are there and can be read as
// the collection's.
func (t *commitTask) examineParquet(section seeker, f *engineFile) (err error) {
	defer func() {
		if p := recover(); p != nil { // the decoder's way with some damaged bytes
			err = fmt.Errorf("%w: decoder: %v", schema.ErrInvalid, p)
		}
	}()
	reader, err := file.NewParquetReader(section, file.WithReadProps(parquet.NewReaderProperties(nil)))
	if err != nil {
		return fmt.Errorf("%w: %w", schema.ErrInvalid, err)
	}
	defer reader.Close()
	if n := reader.NumRows(); n != f.told.Count() {
		return fmt.Errorf("%d rows, its entry says %d: %w", n, f.told.Count(), schema.ErrInvalid)
	}
	root := reader.MetaData().Schema.Root()
	for i := range root.NumFields() {
		f.columns[int(root.Field(i).FieldID())] = true
	}
	stored, err := pqarrow.FromParquet(reader.MetaData().Schema, nil, reader.MetaData().KeyValueMetadata())
	if err != nil {
		return fmt.Errorf("%w: %w", schema.ErrInvalid, err)
	}
	return t.checkColumns(stored, f)
}

// checkColumns does to no rows what is done to those of a file when it is read.
func (t *commitTask) checkColumns(stored *arrow.Schema, file *engineFile) error {
	byID := map[int]arrow.Field{}
	for _, f := range stored.Fields() {
		byID[fieldID(f)] = f
	}
	s := t.collection.Schema
	for i, f := range s.Fields {
		column, ok := byID[f.ID]
		switch {
		case !ok && f.Required:
			return fmt.Errorf("no column has field id %d, which is required field %s: %w", f.ID, f.Name, schema.ErrInvalid)
		case !ok:
			continue
		case f.Required && column.Nullable: // as DuckDB writes all of them
			file.unsure = append(file.unsure, i)
			column.Nullable = false
		}
		if err := neverNull(f, column); err != nil {
			return err
		}
	}
	opts := &ReadOptions{Schema: s, System: true}
	if err := opts.validate(); err != nil {
		return err
	}
	places := map[int]int{}
	empty := make([]arrow.ArrayData, stored.NumFields())
	for i, f := range stored.Fields() {
		places[fieldID(f)] = i
		none := array.MakeArrayOfNull(opts.Allocator, f.Type, 0)
		none.Data().Retain()
		empty[i] = none.Data()
		none.Release()
	}
	defer releaseAll(empty)
	fields := opts.fields()
	from := make([]int, len(fields))
	for i, f := range fields {
		at, ok := places[f.ID]
		if !ok {
			at = -1
		}
		from[i] = at
	}
	out, err := newProjection(opts.Allocator, from, s.Arrow(nil, true)).project(empty, 0)
	if err != nil {
		return fmt.Errorf("%w: %v", schema.ErrInvalid, err)
	}
	out.Release()
	return nil
}

// neverNull refuses a column that may hold nulls where the field does not.
func neverNull(f schema.Field, column arrow.Field) error {
	if f.Required && column.Nullable {
		return fmt.Errorf("column %s may hold nulls, and field %s is required: %w", column.Name, f.Name, schema.ErrInvalid)
	}
	inner, ok := column.Type.(*arrow.StructType)
	if f.Type.Kind != schema.KindStruct || !ok {
		return nil
	}
	byID := map[int]arrow.Field{}
	for _, c := range inner.Fields() {
		byID[fieldID(c)] = c
	}
	for _, child := range f.Type.Fields {
		c, ok := byID[child.ID]
		if !ok && child.Required {
			return fmt.Errorf("no column has field id %d, which is required field %s of %s: %w", child.ID, child.Name, f.Name, schema.ErrInvalid)
		}
		if ok {
			if err := neverNull(child, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry is the file as the table's manifests will have it. What the engine says of
// its own columns' values is taken as it is, as it is for other engines too; what
// Trine's reading rests on is not.
func (t *commitTask) entry(f *engineFile, ordinal uint32) (*entry, error) {
	spec, part, err := t.partitionOf(f.told)
	if err != nil {
		return nil, err
	}
	builder, err := iceberg.NewDataFileBuilder(spec.iceberg, iceberg.EntryContentData,
		t.lake.uri(f.name), iceberg.ParquetFile, spec.values(part), nil, nil, f.told.Count(), f.told.FileSizeBytes())
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", f.name, err)
	}
	values, nulls := cloned(f.told.ValueCounts()), cloned(f.told.NullValueCounts())
	lower, upper := cloned(f.told.LowerBoundValues()), cloned(f.told.UpperBoundValues())
	for id := range f.columns {
		if _, ok := values[id]; !ok {
			values[id] = f.told.Count() // a column without a count would be taken for one that the file lacks
		}
	}
	f.survey.describe(values, nulls, lower, upper)
	sorted := 0 // rows in the order of the key or not, nobody has looked
	file := builder.ColumnSizes(withOrdinal(f.told.ColumnSizes(), ordinal)).ValueCounts(values).NullValueCounts(nulls).
		NaNValueCounts(f.told.NaNValueCounts()).LowerBoundValues(lower).UpperBoundValues(upper).
		SplitOffsets(f.told.SplitOffsets()).SortOrderID(sorted).Build()
	return &entry{file: file, spec: spec, part: part, ordinal: ordinal, firstSeq: firstSeq(file)}, nil
}

func cloned[V any](m map[int]V) map[int]V {
	if m == nil {
		return map[int]V{}
	}
	return maps.Clone(m)
}
