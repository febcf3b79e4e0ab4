package lakehouse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// The fields of a position-delete file, by Iceberg's specification.
const (
	deletePathID = 2147483546
	deletePosID  = 2147483545
)

var deleteLayout = func() *parquet.Schema {
	fields := []schema.Field{
		{ID: deletePathID, Name: "file_path", Type: schema.Type{Kind: schema.KindString}, Required: true},
		{ID: deletePosID, Name: "pos", Type: schema.Type{Kind: schema.KindLong}, Required: true},
	}
	layout, err := parquetSchema(fields, func(f schema.Field) bool { return f.ID == deletePathID })
	if err != nil {
		panic(err)
	}
	return layout
}()

// maxDeleteFileBytes bounds a delete file that is read: 2^32 positions do not
// come near it compressed, and a foreign file must not fill the memory.
const maxDeleteFileBytes = 256 << 20

// writeDeletes makes the position-delete file of a data file; rows are
// ascending and distinct, and kept.
func (l *Lake) writeDeletes(ctx context.Context, path tablePath, data *entry, rows []uint32) (*entry, error) {
	name, target := path.deleteFile(data.ordinal, l.newID()), data.file.FilePath()
	var buf bytes.Buffer
	out := parquet.NewGenericWriter[any](&buf, deleteLayout, parquet.Compression(codec), parquet.DataPageVersion(1),
		parquet.CreatedBy("trine", "1", ""), parquet.ColumnIndexSizeLimit(func([]string) int { return len(target) }))
	columns := out.ColumnWriters()
	paths, positions := make([]parquet.Value, 0, shredRows), make([]parquet.Value, 0, shredRows)
	targetValue := parquet.ByteArrayValue([]byte(target)).Level(0, 0, 0)
	for batch := range slices.Chunk(rows, shredRows) {
		paths, positions = paths[:0], positions[:0]
		for _, row := range batch {
			paths = append(paths, targetValue)
			positions = append(positions, parquet.Int64Value(int64(row)).Level(0, 0, 1))
		}
		if _, err := columns[0].WriteRowValues(paths); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		if _, err := columns[1].WriteRowValues(positions); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if err := l.opts.Objects.PutIfAbsent(ctx, name, buf.Bytes()); err != nil {
		return nil, fmt.Errorf("put %s: %w", name, storeError(err))
	}
	builder, err := iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, iceberg.EntryContentPosDeletes,
		l.uri(name), iceberg.ParquetFile, nil, nil, nil, int64(len(rows)), int64(buf.Len()))
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", name, err)
	}
	long := schema.Type{Kind: schema.KindLong}
	n := int64(len(rows))
	// The whole path as both bounds pairs the file with its data file.
	file := builder.
		ValueCounts(map[int]int64{deletePathID: n, deletePosID: n}).
		NullValueCounts(map[int]int64{deletePathID: 0, deletePosID: 0}).
		LowerBoundValues(map[int][]byte{
			deletePathID: []byte(target), deletePosID: encodeBound(long, schema.Int(int64(rows[0])), false),
		}).
		UpperBoundValues(map[int][]byte{
			deletePathID: []byte(target), deletePosID: encodeBound(long, schema.Int(int64(rows[n-1])), true),
		}).
		ReferencedDataFile(target).Build()
	e := &entry{file: file, ordinal: data.ordinal}
	e.rows.Store(&rows)
	return e, nil
}

// deletedRows are the positions of a delete file, read at most once per
// version in memory.
func (l *Lake) deletedRows(ctx context.Context, e *entry) ([]uint32, error) {
	if e == nil {
		return nil, nil
	}
	if rows := e.rows.Load(); rows != nil {
		return *rows, nil
	}
	uri := e.file.FilePath()
	if e.file.FileSizeBytes() > maxDeleteFileBytes {
		return nil, fmt.Errorf("read %s: %d bytes of deletes: %w", uri, e.file.FileSizeBytes(), schema.ErrTooLarge)
	}
	raw, err := l.readURI(ctx, uri)
	if err != nil {
		return nil, err
	}
	rows, err := parseDeletes(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", uri, schema.ErrCorrupt, err)
	}
	if int64(len(rows)) != e.file.Count() {
		return nil, fmt.Errorf("read %s: %d positions, its manifest says %d: %w", uri, len(rows), e.file.Count(), schema.ErrCorrupt)
	}
	e.rows.Store(&rows)
	return rows, nil
}

func parseDeletes(raw []byte) (rows []uint32, err error) {
	defer damage(&err)
	file, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, err
	}
	column := -1
	for i, c := range file.Root().Columns() {
		if c.ID() == deletePosID && c.Leaf() {
			column = i
		}
	}
	if column < 0 {
		return nil, fmt.Errorf("no column of positions")
	}
	buf := make([]parquet.Value, 1024)
	for _, g := range file.RowGroups() {
		if rows, err = readPositions(g.ColumnChunks()[column], rows, buf); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func readPositions(chunk parquet.ColumnChunk, rows []uint32, buf []parquet.Value) ([]uint32, error) {
	pages := chunk.Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		values := page.Values()
		for err == nil {
			var n int
			n, err = values.ReadValues(buf)
			for _, v := range buf[:n] {
				pos := v.Int64()
				if pos < 0 || pos > math.MaxUint32 || len(rows) > 0 && pos <= int64(rows[len(rows)-1]) {
					parquet.Release(page)
					return nil, fmt.Errorf("position %d out of order", pos)
				}
				rows = append(rows, uint32(pos))
			}
		}
		parquet.Release(page)
		if err != io.EOF {
			return nil, err
		}
	}
}

// union merges ascending distinct rows with others in any order.
func union(old, more []uint32) []uint32 {
	all := make([]uint32, 0, len(old)+len(more))
	all = append(append(all, old...), more...)
	slices.Sort(all)
	return slices.Compact(all)
}
