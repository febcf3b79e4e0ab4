package lakehouse

import (
	"bytes"
	"context"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Parquet settings. A dictionary that outgrows its bound gives way to plain
// values for the rest of the row group.
const (
	dictionaryBytes = 512 << 10
	pageBytes       = 128 << 10 // a scan holds one of each column, and leaves out those that cannot match
)

var codec = &zstd.Codec{Level: zstd.SpeedFastest}

// useDictionary says which columns start out with a dictionary. Those that are
// known to hold mostly distinct values do not pay for trying.
func useDictionary(s *schema.Schema) func(schema.Field) bool {
	return func(f schema.Field) bool {
		switch f.Type.Kind {
		case schema.KindBoolean, schema.KindFloat, schema.KindDouble, schema.KindUUID,
			schema.KindFixed, schema.KindBinary, schema.KindJSON:
			return false
		case schema.KindDecimal:
			return f.Type.Precision <= maxInt64Precision
		}
		if f.ID == schema.SeqColumnID || f.ID == lineageFields[0].ID {
			return false
		}
		return len(s.Key) != 1 || s.Fields[s.Key[0]].ID != f.ID
	}
}

// dataWriter writes the rows of one commit to data files.
type dataWriter struct {
	lake    *Lake
	layout  *rowLayout
	part    tuple // of the open file and the next ones
	table   tablePath
	schema  *schema.Schema
	fields  []schema.Field
	columns *parquet.Schema
	next    uint32 // ordinal of the next file
	file    *openFile
	files   []*entry
	counts  []Written
	wrote   func(name string) // told of each file when it is durable
}

// openFile is the data file being written.
type openFile struct {
	ordinal uint32
	name    string
	object  blob.Writer
	shred   *shredder
	encoder *columnEncoder
	rows    int64
	sorted  bool
	lastKey []byte
}

// newDataWriter writes files from the ordinal next on. With lineage their rows are
// not new, and bear theirs.
func newDataWriter(l *Lake, table tablePath, rows *rowLayout, next uint32, lineage bool) (*dataWriter, error) {
	s := rows.schema
	fields := tableFields(s)
	if lineage {
		fields = append(fields, lineageFields...)
	}
	layout, err := parquetSchema(fields, useDictionary(s))
	if err != nil {
		return nil, err
	}
	return &dataWriter{lake: l, layout: rows, table: table, schema: s, fields: fields, columns: layout, next: next}, nil
}

// begin ends the open file, if there is one: what follows is of a partition.
func (w *dataWriter) begin(part tuple) error {
	err := w.close()
	w.part = part
	return err
}

// writeKeyed adds a row, to a new file if the last one is full. The key is the row's
// place in the layout's order.
func (w *dataWriter) writeKeyed(ctx context.Context, row Row, key []byte) error {
	if w.file == nil {
		if err := w.open(ctx); err != nil {
			return err
		}
	}
	f := w.file
	full, err := f.shred.add(&row)
	if err != nil {
		return err
	}
	f.rows++
	if f.sorted {
		f.sorted = bytes.Compare(f.lastKey, key) <= 0
		f.lastKey = append(f.lastKey[:0], key...)
	}
	if !full {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	size, err := f.encoder.write(f.shred)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.name, storeError(err))
	}
	if size < w.lake.opts.TargetFileBytes {
		return nil
	}
	return w.close()
}

func (w *dataWriter) open(ctx context.Context) error {
	ordinal := w.next
	name := w.table.dataFile(ordinal, w.lake.newID())
	object, err := w.lake.opts.Objects.Create(ctx, name)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, storeError(err))
	}
	w.next++
	options := []parquet.WriterOption{
		w.columns,
		parquet.Compression(codec),
		parquet.DataPageVersion(1),
		parquet.PageBufferSize(pageBytes),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		parquet.DataPageStatistics(false), // the column and page indexes have them
		parquet.CreatedBy("trine", "1", ""),
	}
	shred := newShredder(w.fields, len(w.schema.Fields))
	for i, path := range w.columns.Columns() {
		if shred.columns[i].wide {
			options = append(options, parquet.SkipPageBounds(path...))
		}
	}
	w.file = &openFile{
		ordinal: ordinal, name: name, object: object, shred: shred, sorted: w.layout.order.id != 0,
		encoder: newColumnEncoder(parquet.NewGenericWriter[any](object, options...), w.lake.opts.RowGroupBytes, w.lake.opts.RowGroupRows),
	}
	return nil
}

// close finishes the open file, if there is one, and makes it durable.
func (w *dataWriter) close() error {
	f := w.file
	if f == nil {
		return nil
	}
	view, err := f.encoder.close(f.shred.batch)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.name, storeError(err))
	}
	meta := view.Metadata()
	if err := f.object.Commit(); err != nil {
		return fmt.Errorf("commit %s: %w", f.name, storeError(err))
	}
	w.file = nil
	w.wrote(f.name)
	m := collectMetrics(meta, f.shred.columns)
	spec := w.layout.spec
	builder, err := iceberg.NewDataFileBuilder(spec.iceberg, iceberg.EntryContentData,
		w.lake.uri(f.name), iceberg.ParquetFile, spec.values(w.part), nil, nil, f.rows, view.Size())
	if err != nil {
		return fmt.Errorf("describe %s: %w", f.name, err)
	}
	offsets := make([]int64, len(meta.RowGroups))
	for i := range meta.RowGroups {
		offsets[i] = meta.RowGroups[i].FileOffset
	}
	sortOrder := 0
	if f.sorted {
		sortOrder = w.layout.order.id
	}
	file := builder.ColumnSizes(m.sizes).ValueCounts(m.values).NullValueCounts(m.nulls).NaNValueCounts(m.nans).
		LowerBoundValues(m.lower).UpperBoundValues(m.upper).SplitOffsets(offsets).SortOrderID(sortOrder).Build()
	w.files = append(w.files, &entry{file: file, spec: spec, part: w.part, ordinal: f.ordinal, firstSeq: firstSeq(file)})
	w.counts = append(w.counts, Written{File: f.ordinal, Rows: int(f.rows)})
	return nil
}

// abort gives up the open file after an error.
func (w *dataWriter) abort() {
	if w.file != nil {
		w.file.encoder.stop()
		_ = w.file.object.Abort()
		w.file = nil
	}
}
