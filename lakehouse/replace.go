package lakehouse

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Replacement exchanges rewritten data files for the new ones.
type Replacement struct {
	Collection *schema.Collection
	Base       *Snapshot // the version that this one follows, the newest
	Rewrite    *Rewrite
	// BeforePublish is as Commit's.
	BeforePublish func()
}

// Replace makes a version of the table in which the rows of a Rewrite lie in its
// new files. Base may be newer than what was rewritten: rows that were deleted in
// between are deleted in the new files by the same version. Both have the same
// data sequence number, at which a position delete still applies. The table's
// rows, NextSeq and Position stay what they are.
//
// Errors are as Commit's; ErrConflict also means that another rewrite of the table
// came between. Unless the outcome is unknown, the new files of a failed Replace
// are gone, and with the Rewrite nothing more can be done.
func (l *Lake) Replace(ctx context.Context, r Replacement) (*Snapshot, error) {
	next, err := l.replace(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("replace %d data files of %s: %w", len(r.Rewrite.sources), r.Collection, err)
	}
	return next, nil
}

func (l *Lake) replace(ctx context.Context, r Replacement) (*Snapshot, error) {
	t := l.newTask(r.Collection, r.Base)
	t.rewrites, t.began, t.objects = true, r.Rewrite.began, r.Rewrite.objects
	defer func() { t.cleanUp(ctx) }()
	if err := t.checkBase(); err != nil {
		return nil, err
	}
	t.progress = r.Base.progress
	if t.path != r.Rewrite.path || t.progress.nextRewrite != r.Rewrite.first {
		return nil, fmt.Errorf("another rewrite came between: %w", schema.ErrConflict)
	}
	if was := r.Rewrite.base.FormatVersion(); was != r.Base.FormatVersion() {
		// The rows would lose the ids that the conversion gave them.
		return nil, fmt.Errorf("the table was converted from format version %d to %d meanwhile: %w", was, r.Base.FormatVersion(), schema.ErrConflict)
	}
	t.progress.nextRewrite = r.Rewrite.next
	if err := t.checkFree(ctx); err != nil {
		return nil, err
	}
	if err := t.exchange(ctx, r.Rewrite); err != nil {
		return nil, err
	}
	return t.finishVersion(ctx, r.BeforePublish)
}

// exchange lets the old files go and brings the new ones, with the deletes that
// the base has and the rewrite did not see.
func (t *commitTask) exchange(ctx context.Context, r *Rewrite) error {
	raced := map[uint32][]uint32{}
	for _, src := range r.sources {
		missed, err := t.missed(ctx, r, src)
		if err != nil {
			return err
		}
		for _, row := range missed {
			if file, at, ok := r.Moved(src.file.data.ordinal, row); ok {
				raced[file] = append(raced[file], at)
			}
		}
		if t.base.file(src.file.data.ordinal) != nil {
			t.gone[src.file.data.ordinal] = true
		}
	}
	for _, e := range r.files {
		if rows := raced[e.ordinal]; len(rows) > 0 {
			if err := t.deleteRows(ctx, &tableFile{data: e}, rows); err != nil {
				return err
			}
		}
		if t.gone[e.ordinal] {
			continue // no row of it is left: it never enters the table
		}
		t.added = append(t.added, e)
	}
	return t.writeDeletes(ctx)
}

// missed are the rows of a rewritten file that the base no longer has: all of
// them when the file itself is gone.
func (t *commitTask) missed(ctx context.Context, r *Rewrite, src *rowSource) ([]uint32, error) {
	now := t.base.file(src.file.data.ordinal)
	if now == nil {
		all := make([]uint32, 0, len(src.moved))
		for row := range src.moved {
			all = append(all, uint32(row))
		}
		return all, nil
	}
	if now.deletes == src.file.deletes {
		return nil, nil
	}
	return t.lake.deletedRows(ctx, now.deletes)
}
