package lakehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/schema"
)

// deleteWriters is how many delete files are written at once: each waits for
// the disk, and one flush may touch many data files.
const deleteWriters = 8

// writeDeletes makes, for each data file that loses rows, a delete file with
// all its deletes, or lets the file go when nothing is left of it.
func (t *commitTask) writeDeletes(ctx context.Context, deletes map[uint32][]uint32) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(deleteWriters)
	for _, ordinal := range slices.Sorted(maps.Keys(deletes)) {
		if len(deletes[ordinal]) == 0 {
			continue
		}
		var file *tableFile
		if t.base != nil {
			file = t.base.file(ordinal)
		}
		if file == nil {
			_ = group.Wait()
			return fmt.Errorf("delete rows of data file %d: the table has no such file: %w", ordinal, schema.ErrInvalid)
		}
		group.Go(func() error { return t.deleteRows(gctx, file, deletes[ordinal]) })
	}
	return group.Wait()
}

// deleteRows is writeDeletes for one data file.
func (t *commitTask) deleteRows(ctx context.Context, file *tableFile, rows []uint32) error {
	ordinal := file.data.ordinal
	old, err := t.lake.deletedRows(ctx, file.deletes)
	if err != nil {
		return err
	}
	all := union(old, rows)
	if last := int64(all[len(all)-1]); last >= file.rows() {
		return fmt.Errorf("delete row %d of data file %d, which has %d rows: %w", last, ordinal, file.rows(), schema.ErrInvalid)
	}
	var e *entry
	if n := int64(len(all)); n > int64(len(old)) && n < file.rows() {
		if e, err = t.lake.writeDeletes(ctx, t.path, file.data, all); err != nil {
			return err
		}
		if name, err := t.lake.name(e.file.FilePath()); err == nil {
			t.wrote(name)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deletesN += int64(len(all) - len(old))
	if e != nil {
		t.deletes[ordinal] = e
	}
	if int64(len(all)) == file.rows() {
		t.gone[ordinal] = true
	}
	return nil
}
