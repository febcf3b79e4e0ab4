package lakehouse

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/trinedb/trine/schema"
)

// deleteReaders is how many delete files are read at once: a commit whose base was
// read back from the store needs those of all data files that it touches.
const deleteReaders = 8

// deleteAll notes and writes the deletes of a commit.
func (t *commitTask) deleteAll(ctx context.Context, deletes map[uint32][]uint32) error {
	objects := map[string][]*tableFile{} // by where their deletes are so far
	for _, ordinal := range slices.Sorted(maps.Keys(deletes)) {
		if len(deletes[ordinal]) == 0 {
			continue
		}
		var file *tableFile
		if t.base != nil {
			file = t.base.file(ordinal)
		}
		if file == nil {
			return fmt.Errorf("delete rows of data file %d: the table has no such file: %w", ordinal, schema.ErrInvalid)
		}
		uri := ""
		if file.deletes != nil {
			uri = file.deletes.file.FilePath()
		}
		objects[uri] = append(objects[uri], file)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(deleteReaders)
	for _, files := range objects {
		group.Go(func() error { return t.deleteIn(gctx, files, deletes) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return t.writeDeletes(ctx)
}

// deleteIn notes the deletes of data files whose deletes so far are in one object.
func (t *commitTask) deleteIn(ctx context.Context, files []*tableFile, deletes map[uint32][]uint32) error {
	for i, file := range files {
		if err := t.lake.readDeletes(ctx, vectorsAhead(files[i:], func(*tableFile) bool { return true })); err != nil {
			return err
		}
		if err := t.deleteRows(ctx, file, deletes[file.data.ordinal]); err != nil {
			return err
		}
	}
	return nil
}

// deleteRows notes that rows of a data file are gone, beside those that were
// before. The file itself goes when nothing is left of it.
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
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deletesN += int64(len(all) - len(old))
	switch {
	case int64(len(all)) == file.rows():
		t.gone[ordinal] = true
	case len(all) > len(old):
		t.worn = append(t.worn, fileDeletes{file.data, all})
	}
	return nil
}

// writeDeletes writes what deleteRows noted: of each data file all its deletes,
// which supersede the ones that the base has.
func (t *commitTask) writeDeletes(ctx context.Context) error {
	if len(t.worn) == 0 {
		return nil
	}
	slices.SortFunc(t.worn, func(a, b fileDeletes) int { return cmp.Compare(a.data.ordinal, b.data.ordinal) })
	entries, err := t.lake.deletesIn(t.format()).write(ctx, t.path, t.worn, t.wrote)
	if err != nil {
		return err
	}
	for _, e := range entries {
		t.deletes[e.ordinal] = e
	}
	return nil
}
