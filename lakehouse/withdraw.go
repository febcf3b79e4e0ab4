package lakehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// A table is withdrawn by a version that says so, its last: the table's one committer
// makes it as any other, so that nobody's commit is lost by it. From there on the
// collection has no table, and the next commit without a base begins a new one, by
// the next number. Once no engine can be reading any more, the floor says that all
// versions up to that one are gone, and then they and their files are removed. The
// floor stays, so that a committer that slept on an old version finds it; where no
// other process commits to the store, it goes as well.

// propWithdrawn is of the table: the version withdraws it.
const propWithdrawn = "trine.withdrawn"

// withdraws reports whether a version withdraws its table.
func withdraws(meta table.Metadata) bool { return meta.Properties()[propWithdrawn] != "" }

// Unique tells what the version has that could not be made again from the rows of
// its collection, "" if there is nothing: then it may be withdrawn.
func (s *Snapshot) Unique() string {
	if tags := tagsOf(s.meta); len(tags) > 0 {
		return fmt.Sprintf("%d tags", len(tags))
	}
	if s.FormatVersion() >= vectorsVersion {
		return "row ids"
	}
	ours := (&commitTask{lake: s.lake, collection: &schema.Collection{}}).properties()
	for name := range s.meta.Properties() {
		if _, ok := ours[name]; !ok && name != propCommitted {
			return fmt.Sprintf("property %q", name)
		}
	}
	for i := range s.files {
		if s.files[i].unnumbered() {
			return "rows that an engine appended"
		}
	}
	return ""
}

// Withdraw makes the version that withdraws a collection's table, following base. The
// caller has made sure that all of its rows can be had elsewhere, and Unique is "".
// Errors are as Commit's. The files stay until RemoveWithdrawn.
func (l *Lake) Withdraw(ctx context.Context, c *schema.Collection, base *Snapshot, beforePublish func()) error {
	t := l.newTask(c, base)
	t.rewrites = true
	_, err := t.follow(ctx, edit{set: iceberg.Properties{propWithdrawn: "true"}}, beforePublish)
	if err != nil {
		return fmt.Errorf("withdraw the table of %s: %w", c, err)
	}
	return nil
}

// withdrawn is what is kept in memory of a table that a floor says is withdrawn.
func (l *Lake) withdrawn(path tablePath, version int) *Snapshot {
	const weight = 256
	return &Snapshot{lake: l, table: path, version: version, gone: true, weight: weight}
}

// RemoveWithdrawn removes what a withdrawn table has left, as Clean does of old
// versions: once whoever loaded it may have been reading for Options.FileGrace, and
// nobody in this process reads it. Cleaned.Next is when that will be; zero: nothing
// is left, or there is a table again, whose Clean does the rest. It needs no lock: a
// table that is made meanwhile has other files.
func (l *Lake) RemoveWithdrawn(ctx context.Context, c *schema.Collection, pace func(ctx context.Context, requests int) error) (Cleaned, error) {
	k := l.newCleaner(c, pace)
	if err := k.removeWithdrawn(ctx, c); err != nil {
		return k.done, fmt.Errorf("remove the withdrawn table of %s: %w", c, err)
	}
	return k.done, nil
}

func (k *cleaner) removeWithdrawn(ctx context.Context, c *schema.Collection) (err error) {
	last, err := k.lake.last(ctx, c)
	if errors.Is(err, schema.ErrNotFound) || err == nil && !last.gone {
		return nil
	}
	if err != nil {
		return err
	}
	if k.floor, err = k.lake.readFloor(ctx, k.path); err != nil {
		return err
	}
	removed := map[string]bool{}
	if !k.floor.withdrawn {
		if wait, err := k.inUse(ctx, last); wait || err != nil {
			return err
		}
		for _, h := range k.floor.held { // for tags that are gone
			if err := k.removeVersion(ctx, h.version, removed); err != nil {
				return err
			}
		}
		next := floor{version: last.version, withdrawn: true}
		if k.floor, err = k.lake.setFloor(ctx, k.path, k.floor, next); err != nil {
			return err
		}
	}
	if err := k.delete(ctx, k.path.hint()); err != nil {
		return err
	}
	low, err := k.lake.lowest(ctx, k.path)
	if err != nil {
		return err
	}
	for v := low; v <= last.version; v++ {
		if err := k.removeVersion(ctx, v, removed); err != nil {
			return err
		}
	}
	return k.removeRemains(ctx)
}

// inUse reports that somebody may still read a table that is withdrawn, and notes when
// to look again.
func (k *cleaner) inUse(ctx context.Context, last *Snapshot) (bool, error) {
	now := k.lake.opts.Now()
	p, err := pastOf(last.version, last.meta)
	if err != nil {
		return false, err
	}
	if end := p.committed.Add(k.lake.opts.FileGrace); end.After(now) {
		k.done.Next = end
		return true, nil
	}
	if k.lake.pins.pinnedTable(k.path) {
		k.done.Next = now.Add(pinnedRetry)
		return true, nil
	}
	return false, ctx.Err()
}

// removeVersion deletes a version with all files that its snapshot has, but for those
// that are removed already.
func (k *cleaner) removeVersion(ctx context.Context, version int, removed map[string]bool) error {
	if err := k.pace(ctx, 1); err != nil {
		return err
	}
	p, ok, err := k.lake.readVersion(ctx, k.path, version)
	if err != nil || !ok {
		return err
	}
	manifests, _, err := k.list(ctx, p.list)
	if err != nil {
		return err
	}
	for _, f := range manifests {
		if err := k.removeFiles(ctx, f, removed, 0); err != nil {
			return err
		}
	}
	for _, f := range manifests {
		if err := k.deleteURI(ctx, f.FilePath()); err != nil {
			return err
		}
		delete(k.manifests, f.FilePath())
	}
	if err := k.deleteURI(ctx, p.list); err != nil {
		return err
	}
	k.done.Versions++
	return k.delete(ctx, k.path.version(version))
}

// removeRemains deletes old files that no version named: all are behind the floor.
// Those of a table that is being made anew are young.
func (k *cleaner) removeRemains(ctx context.Context) error {
	suspects, err := k.suspects(ctx)
	if err != nil {
		return err
	}
	for name := range suspects {
		if err := k.delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// ForgetWithdrawn removes the floor of a withdrawn table that has nothing else left,
// if no other process commits to the store. The caller is the table's one committer.
func (l *Lake) ForgetWithdrawn(ctx context.Context, c *schema.Collection) error {
	if !l.opts.Sole {
		return nil
	}
	last, err := l.last(ctx, c)
	if errors.Is(err, schema.ErrNotFound) || err == nil && (!last.gone || last.meta != nil) {
		return nil
	}
	path := tableOf(c)
	if err == nil {
		err = l.opts.Objects.Delete(ctx, path.floor())
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("remove the floor of the withdrawn table of %s: %w", c, storeError(err))
	}
	l.cache.drop(path)
	return nil
}
