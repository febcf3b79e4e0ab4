package lakehouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// deleteFormat is a way of keeping which rows of data files are deleted. A table's
// format version says which one is written; which one is read, the file itself, so
// that a table that was converted has both.
type deleteFormat interface {
	// write makes the deletes of some data files durable, and describes them in the
	// order given. wrote is told of each object, also by a call that fails, and is
	// called concurrently.
	write(ctx context.Context, path tablePath, files []fileDeletes, wrote func(name string)) ([]*entry, error)
	// read gives the rows that each of some delete files holds for its data file,
	// ascending and distinct; an object that several share is opened once. What is
	// damaged is schema.ErrCorrupt, and the error names the object.
	read(ctx context.Context, files []iceberg.DataFile) ([][]uint32, error)
}

// fileDeletes are all deleted rows of a data file, ascending and distinct, of
// which there is at least one.
type fileDeletes struct {
	data *entry
	rows []uint32
}

// deletesIn is how the deletes of a table of that format version are written.
func (l *Lake) deletesIn(formatVersion int) deleteFormat {
	if formatVersion >= vectorsVersion {
		return deletionVectors{l}
	}
	return positionFiles{l}
}

// deletesOf is how a delete file is read.
func (l *Lake) deletesOf(file iceberg.DataFile) deleteFormat {
	if file.FileFormat() == iceberg.PuffinFile {
		return deletionVectors{l}
	}
	return positionFiles{l}
}

// describe begins the description of a file that holds the deletes, which is of the
// data file's partition.
func (f fileDeletes) describe(uri string, format iceberg.FileFormat, size int) (*iceberg.DataFileBuilder, error) {
	b, err := iceberg.NewDataFileBuilder(f.data.spec.iceberg, iceberg.EntryContentPosDeletes, uri, format,
		f.data.spec.values(f.data.part), nil, nil, int64(len(f.rows)), int64(size))
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", uri, err)
	}
	return b.ReferencedDataFile(f.data.file.FilePath()), nil
}

// entry is that of the deletes as described; their rows are kept.
func (f fileDeletes) entry(b *iceberg.DataFileBuilder) *entry {
	e := &entry{file: b.Build(), spec: f.data.spec, part: f.data.part, ordinal: f.data.ordinal}
	e.rows.Store(&f.rows)
	return e
}

// bytes are what the entry's file takes, or of one that deletes share, their part.
func (e *entry) bytes() int64 {
	if e.file.FileFormat() == iceberg.PuffinFile {
		if n := e.file.ContentSizeInBytes(); n != nil {
			return *n
		}
	}
	return e.file.FileSizeBytes()
}

// checkDeletes compares the file's deletes with the file: more of them than rows
// would be read into memory for nothing.
func (f *tableFile) checkDeletes() error {
	target := f.deletes.file.ReferencedDataFile()
	if target != nil && *target != f.data.file.FilePath() {
		return fmt.Errorf("deletes of data file %d are in %s for %s, but it is %s: %w",
			f.data.ordinal, f.deletes.file.FilePath(), *target, f.data.file.FilePath(), schema.ErrCorrupt)
	}
	if f.deleted() > f.rows() {
		return fmt.Errorf("%d rows of data file %d are deleted in %s, but it has %d: %w",
			f.deleted(), f.data.ordinal, f.deletes.file.FilePath(), f.rows(), schema.ErrCorrupt)
	}
	return nil
}

// deletedRows are the rows that a delete file holds, read at most once per version
// in memory; none without one.
func (l *Lake) deletedRows(ctx context.Context, e *entry) ([]uint32, error) {
	if e == nil {
		return nil, nil
	}
	if rows := e.rows.Load(); rows != nil {
		return *rows, nil
	}
	if err := l.readDeletes(ctx, []*entry{e}); err != nil {
		return nil, err
	}
	return *e.rows.Load(), nil
}

// readDeletes reads the rows of delete files that are of one format.
func (l *Lake) readDeletes(ctx context.Context, entries []*entry) error {
	if len(entries) == 0 {
		return nil
	}
	files := make([]iceberg.DataFile, len(entries))
	for i, e := range entries {
		files[i] = e.file
	}
	all, err := l.deletesOf(files[0]).read(ctx, files)
	if err != nil {
		return err
	}
	for i, e := range entries {
		rows := all[i]
		if int64(len(rows)) != e.file.Count() {
			return fmt.Errorf("read %s: %d positions, its manifest says %d: %w", e.file.FilePath(), len(rows), e.file.Count(), schema.ErrCorrupt)
		}
		e.rows.Store(&rows)
	}
	return nil
}

// union merges ascending distinct rows with others in any order.
func union(old, more []uint32) []uint32 {
	all := make([]uint32, 0, len(old)+len(more))
	all = append(append(all, old...), more...)
	slices.Sort(all)
	return slices.Compact(all)
}
