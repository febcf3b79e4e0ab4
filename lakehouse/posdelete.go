package lakehouse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

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

// deleteWriters is how many delete files are written at once: each waits for
// the disk, and one flush may touch many data files.
const deleteWriters = 8

// positionFiles keeps the deletes of each data file in a Parquet file of its own,
// as format version 2 has it.
type positionFiles struct{ lake *Lake }

func (p positionFiles) write(ctx context.Context, path tablePath, files []fileDeletes, wrote func(name string)) ([]*entry, error) {
	entries := make([]*entry, len(files))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(deleteWriters)
	for i, f := range files {
		group.Go(func() (err error) {
			entries[i], err = p.writeFile(gctx, path, f, wrote)
			return err
		})
	}
	return entries, group.Wait()
}

func (p positionFiles) writeFile(ctx context.Context, path tablePath, f fileDeletes, wrote func(name string)) (*entry, error) {
	name, target := path.deleteFile(f.data.ordinal, p.lake.newID()), f.data.file.FilePath()
	raw, err := encodePositions(target, f.rows)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if err := p.lake.opts.Objects.PutIfAbsent(ctx, name, raw); err != nil {
		return nil, fmt.Errorf("put %s: %w", name, storeError(err))
	}
	wrote(name)
	builder, err := f.describe(p.lake.uri(name), iceberg.ParquetFile, len(raw))
	if err != nil {
		return nil, err
	}
	long := schema.Type{Kind: schema.KindLong}
	n := int64(len(f.rows))
	// The whole path as both bounds pairs the file with its data file.
	builder.ValueCounts(map[int]int64{deletePathID: n, deletePosID: n}).
		NullValueCounts(map[int]int64{deletePathID: 0, deletePosID: 0}).
		LowerBoundValues(map[int][]byte{
			deletePathID: []byte(target), deletePosID: encodeBound(long, schema.Int(int64(f.rows[0])), false),
		}).
		UpperBoundValues(map[int][]byte{
			deletePathID: []byte(target), deletePosID: encodeBound(long, schema.Int(int64(f.rows[n-1])), true),
		})
	return f.entry(builder), nil
}

// encodePositions is the Parquet file of a data file's deletes.
func encodePositions(target string, rows []uint32) ([]byte, error) {
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
			return nil, err
		}
		if _, err := columns[1].WriteRowValues(positions); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func (p positionFiles) read(ctx context.Context, files []iceberg.DataFile) ([][]uint32, error) {
	all := make([][]uint32, len(files))
	for i, file := range files {
		var err error
		if all[i], err = p.readFile(ctx, file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (p positionFiles) readFile(ctx context.Context, file iceberg.DataFile) ([]uint32, error) {
	uri := file.FilePath()
	if file.FileSizeBytes() > maxDeleteFileBytes {
		return nil, fmt.Errorf("read %s: %d bytes of deletes: %w", uri, file.FileSizeBytes(), schema.ErrTooLarge)
	}
	raw, err := p.lake.readURI(ctx, uri)
	if err != nil {
		return nil, err
	}
	rows, err := parseDeletes(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", uri, schema.ErrCorrupt, err)
	}
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
