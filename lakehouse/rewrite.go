package lakehouse

import (
	"cmp"
	"context"
	"errors"
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
	rows    uint32 // written so far
	read    int    // rows that were read
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
	sch := opts.Collection.Schema
	if err := r.base.readableBy(sch); err != nil {
		return err
	}
	want, err := r.base.layout(sch)
	if err != nil {
		return err
	}
	layout, err := want.of(sch)
	if err != nil {
		return err
	}
	merges, others, err := r.grouped(opts.Files, want)
	if err != nil {
		return err
	}
	w, err := newDataWriter(r.lake, r.path, layout, r.next, r.base.FormatVersion() >= vectorsVersion)
	if err != nil {
		return err
	}
	defer w.abort()
	w.wrote = func(name string) { r.objects = append(r.objects, name) }
	for _, files := range merges {
		if err := r.merge(ctx, w, files, opts.Pace); err != nil {
			return err
		}
	}
	if err := r.arrange(ctx, w, others, opts.Pace); err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	slices.SortFunc(r.sources, func(a, b *rowSource) int { return cmp.Compare(a.file.data.ordinal, b.file.data.ordinal) })
	r.files, r.counts, r.next = w.files, w.counts, w.next
	return nil
}

// grouped puts the files together that are merged with each other: those of one
// partition that are laid out as is wanted. The rows of others are sorted anew.
func (r *Rewrite) grouped(ordinals []uint32, want layout) (merges [][]*tableFile, others []*tableFile, err error) {
	var laidOut []*tableFile
	for _, ordinal := range ordinals {
		f := r.base.file(ordinal)
		if f == nil {
			return nil, nil, fmt.Errorf("data file %d: the table has no such file: %w", ordinal, schema.ErrInvalid)
		}
		if !want.has(f.data) {
			others = append(others, f)
			continue
		}
		laidOut = append(laidOut, f)
	}
	return byPartition(laidOut), others, nil
}

// merge writes the rows of files of one partition in their order, and notes where
// each went.
func (r *Rewrite) merge(ctx context.Context, w *dataWriter, files []*tableFile, pace func(context.Context) error) error {
	var sources []*rowSource
	defer func() {
		for _, src := range sources {
			src.close()
		}
	}()
	for _, f := range files {
		src, err := r.base.openSource(ctx, f, w.layout)
		if err != nil {
			return err
		}
		sources, r.sources = append(sources, src), append(r.sources, src)
	}
	if err := w.begin(files[0].data.part); err != nil {
		return err
	}
	m, err := newMerger(sources)
	if err != nil {
		return err
	}
	for src := m.first(); src != nil; src = m.first() {
		if err := r.paced(ctx, pace); err != nil {
			return err
		}
		row, place := src.row()
		if err := w.writeKeyed(ctx, row, src.key); err != nil {
			return err
		}
		if err := r.place(src, place); err != nil {
			return err
		}
		if err := m.pop(); err != nil {
			return err
		}
	}
	return nil
}

// arrange writes the rows of files of any layout, sorted as far as memory allows.
func (r *Rewrite) arrange(ctx context.Context, w *dataWriter, files []*tableFile, pace func(context.Context) error) error {
	if len(files) == 0 {
		return nil
	}
	if err := w.close(); err != nil {
		return err
	}
	var failed error
	a := newArranger(w, func(tag uint64) {
		failed = errors.Join(failed, r.place(r.sources[tag>>32], uint32(tag)))
	})
	for _, f := range files {
		if err := r.drain(ctx, a, f, pace); err != nil {
			return err
		}
	}
	return errors.Join(a.flush(ctx), failed)
}

// drain gives all rows of a file to be sorted.
func (r *Rewrite) drain(ctx context.Context, a *arranger, f *tableFile, pace func(context.Context) error) error {
	src, err := r.base.openSource(ctx, f, a.layout)
	if err != nil {
		return err
	}
	defer src.close()
	tag := uint64(len(r.sources)) << 32
	r.sources = append(r.sources, src)
	src.at = -1
	for {
		ok, err := src.advance()
		if err != nil || !ok {
			return err
		}
		if err := r.paced(ctx, pace); err != nil {
			return err
		}
		row, place := src.row()
		if err := a.add(ctx, row, tag|uint64(place)); err != nil {
			return err
		}
	}
}

// paced lets others have the processor, now and then.
func (r *Rewrite) paced(ctx context.Context, pace func(context.Context) error) error {
	if r.read++; pace == nil || r.read%sourceRows != 1 {
		return nil
	}
	return pace(ctx)
}

// place notes that a row is the next one written.
func (r *Rewrite) place(src *rowSource, row uint32) error {
	if r.rows == gone {
		return fmt.Errorf("more than %d rows: %w", r.rows, schema.ErrTooLarge)
	}
	src.moved[row] = r.rows
	r.rows++
	return nil
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
