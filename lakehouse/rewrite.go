package lakehouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trinedb/trine/schema"
)

// Rewrite is the live rows that some data files of a snapshot held, in new data
// files that no version of the table names yet. Replace makes the exchange;
// without it, Discard removes the new files.
type Rewrite struct {
	lake    *Lake
	path    tablePath
	base    *Snapshot
	sources []*rowSource // what is left of them: file and moved
	first   uint32       // ordinal of the first new file
	next    uint32       // after the last one
	files   []*entry
	counts  []Written
	began   time.Time
	objects []string
}

// RewriteOptions say how files are rewritten.
type RewriteOptions struct {
	Collection *schema.Collection // found after the snapshot, so that its schema is not older
	Files      []uint32           // what PlanRewrite chose
	// Pace, when set, is called now and then; it may wait to leave the processor to
	// others, and its error ends the rewrite.
	Pace func(ctx context.Context) error
}

// Rewrite writes the live rows of some files of s to new ones, merged by key, or
// by seq where there is none. It takes no lock, and others may commit meanwhile:
// Replace brings in what they deleted.
func (l *Lake) Rewrite(ctx context.Context, s *Snapshot, opts RewriteOptions) (*Rewrite, error) {
	r := &Rewrite{
		lake: l, path: s.table, base: s, began: l.opts.Now(),
		first: s.progress.nextRewrite, next: s.progress.nextRewrite,
	}
	if err := r.write(ctx, opts); err != nil {
		r.Discard(ctx)
		return nil, fmt.Errorf("rewrite %d data files of %s: %w", len(opts.Files), opts.Collection, err)
	}
	return r, nil
}

func (r *Rewrite) write(ctx context.Context, opts RewriteOptions) error {
	if err := r.base.readableBy(opts.Collection.Schema); err != nil {
		return err
	}
	defer func() {
		for _, src := range r.sources {
			src.close()
		}
	}()
	for _, ordinal := range opts.Files {
		f := r.base.file(ordinal)
		if f == nil {
			return fmt.Errorf("data file %d: the table has no such file: %w", ordinal, schema.ErrInvalid)
		}
		src, err := r.base.openSource(ctx, f, opts.Collection.Schema)
		if err != nil {
			return err
		}
		r.sources = append(r.sources, src)
	}
	w, err := newDataWriter(r.lake, r.path, opts.Collection.Schema, r.next, r.base.FormatVersion() >= vectorsVersion)
	if err != nil {
		return err
	}
	defer w.abort()
	w.wrote = func(name string) { r.objects = append(r.objects, name) }
	if err := r.merge(ctx, w, opts.Pace); err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	r.files, r.counts, r.next = w.files, w.counts, w.next
	return nil
}

// merge writes the rows and notes where each went.
func (r *Rewrite) merge(ctx context.Context, w *dataWriter, pace func(context.Context) error) error {
	m, err := newMerger(r.sources)
	if err != nil {
		return err
	}
	for at := uint32(0); ; at++ {
		src := m.first()
		if src == nil {
			return nil
		}
		if at == gone {
			return fmt.Errorf("more than %d rows: %w", at, schema.ErrTooLarge)
		}
		if at%sourceRows == 0 && pace != nil {
			if err := pace(ctx); err != nil {
				return err
			}
		}
		row, place := src.row()
		if err := w.writeKeyed(ctx, row, src.key); err != nil {
			return err
		}
		src.moved[place] = at
		if err := m.pop(); err != nil {
			return err
		}
	}
}

// readableBy refuses a schema that is older than the table's: rows that are
// rewritten by it would lose the fields that it does not know.
func (s *Snapshot) readableBy(sch *schema.Schema) error {
	for _, f := range s.meta.CurrentSchema().Fields() {
		if f.ID > sch.LastFieldID && f.ID != schema.SeqColumnID && f.ID != schema.TimeColumnID {
			return fmt.Errorf("field %s of the table is newer than schema %d: %w", f.Name, sch.ID, schema.ErrConflict)
		}
	}
	return nil
}

// Files says how many rows went to which new file.
func (r *Rewrite) Files() []Written { return r.counts }

// Bytes is the size of the new files.
func (r *Rewrite) Bytes() (n int64) {
	for _, e := range r.files {
		n += e.file.FileSizeBytes()
	}
	return n
}

// Moved tells where the row of an old file went. ok is false for one that is not
// in a file that was rewritten, or was deleted before.
func (r *Rewrite) Moved(file, row uint32) (newFile, newRow uint32, ok bool) {
	i, found := slices.BinarySearchFunc(r.sources, file, func(s *rowSource, f uint32) int {
		return int(int64(s.file.data.ordinal) - int64(f))
	})
	if !found || int64(row) >= int64(len(r.sources[i].moved)) {
		return 0, 0, false
	}
	at := r.sources[i].moved[row]
	if at == gone {
		return 0, 0, false
	}
	for _, w := range r.counts {
		if int64(at) < int64(w.Rows) {
			return w.File, at, true
		}
		at -= uint32(w.Rows)
	}
	return 0, 0, false
}

// Discard removes the new files of a rewrite that was not made current.
func (r *Rewrite) Discard(ctx context.Context) {
	t := &commitTask{lake: r.lake, objects: r.objects}
	t.cleanUp(ctx)
}
