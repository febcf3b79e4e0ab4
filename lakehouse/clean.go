package lakehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// maxCleanVersions is how many versions one Clean looks at.
const maxCleanVersions = 1000

// Cleaned is what a Clean removed, and what it left for later.
type Cleaned struct {
	Versions int   // with their metadata files, manifest lists and manifests
	Files    int   // data and delete files
	Bytes    int64 // of those
	More     bool  // there is more that could be removed now
	// Next is when more can be removed; zero if nothing will be until the next
	// commit.
	Next time.Time
}

// Clean removes what no reader can need: versions of the table, and the files that
// their snapshots alone named. An engine may use any snapshot that was named by
// the version that it loaded at most Options.FileGrace ago; readers in this
// process pin theirs. pace, when set, is called before each batch of requests,
// and may wait.
//
// It needs no lock. Versions are removed in ascending order, each after its
// files, so that one that was cut short is found and repeated; the floor is
// raised before (floor.go says why).
func (l *Lake) Clean(ctx context.Context, c *schema.Collection, pace func(ctx context.Context, requests int) error) (Cleaned, error) {
	k := l.newCleaner(c, pace)
	if err := k.run(ctx, c); err != nil {
		return k.done, fmt.Errorf("remove old versions of the table of %s: %w", c, err)
	}
	return k.done, nil
}

func (l *Lake) newCleaner(c *schema.Collection, pace func(ctx context.Context, requests int) error) *cleaner {
	if pace == nil {
		pace = func(ctx context.Context, _ int) error { return ctx.Err() }
	}
	return &cleaner{lake: l, path: tableOf(c), pace: pace, manifests: map[string]*manifest{}, shared: map[string][]string{}}
}

type cleaner struct {
	lake      *Lake
	path      tablePath
	pace      func(ctx context.Context, requests int) error
	floor     floor
	manifests map[string]*manifest // of the version at hand and the next, by URI
	shared    map[string][]string  // by delete manifest of the next version: the files in it that vectors share
	done      Cleaned
}

func (k *cleaner) run(ctx context.Context, c *schema.Collection) error {
	current, err := k.lake.Current(ctx, c)
	if err != nil {
		return err
	}
	past, err := k.read(ctx, current)
	if err != nil {
		return err
	}
	keep := k.kept(past)
	if err := k.raise(ctx, past, keep); err != nil {
		return err
	}
	for i := range keep {
		if k.holds(past[i].version) {
			continue
		}
		if err := k.remove(ctx, &past[i], &past[i+1]); err != nil {
			return err
		}
		k.done.Versions++
	}
	k.done.More = k.done.More || len(past) == maxCleanVersions
	if len(past) == 0 {
		return nil
	}
	return k.letGo(ctx, &past[keep], past[len(past)-1].named)
}

// read tells the versions from the lowest up to the newest that is old enough that
// whoever still reads by an older one had to know it for longer than the grace.
func (k *cleaner) read(ctx context.Context, current *Snapshot) (past []pastMeta, err error) {
	low, err := k.lake.lowest(ctx, k.path)
	if err != nil {
		return nil, err
	}
	old := k.lake.opts.Now().Add(-k.lake.opts.FileGrace)
	for v := low; v <= current.version && len(past) < maxCleanVersions; v++ {
		if err := k.pace(ctx, 1); err != nil {
			return nil, err
		}
		p, ok, err := k.lake.readVersion(ctx, k.path, v)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("version %d: %w", v, schema.ErrConflict) // dropped, or another removes as well
		}
		if p.committed.After(old) {
			k.done.Next = p.committed.Add(k.lake.opts.FileGrace)
			break
		}
		past = append(past, p)
	}
	return past, nil
}

// kept is the index of the first version to keep: from there on, each one's
// snapshot may still be read, being named by the newest that is old enough, or by
// a later one. Snapshots that a tag keeps from being unnamed in order lie before.
func (k *cleaner) kept(past []pastMeta) int {
	if len(past) == 0 {
		return 0
	}
	last := len(past) - 1
	named, keep := past[last].named, last
	for keep > 0 && named[past[keep-1].snapshot] {
		keep--
	}
	for keep < last && past[keep+1].snapshot == past[keep].snapshot {
		keep++
	}
	for i := range keep {
		if !named[past[i].snapshot] && k.lake.pins.pinned(k.path, past[i].snapshot) {
			k.done.Next = k.lake.opts.Now().Add(pinnedRetry)
			return i
		}
	}
	return keep
}

// pinnedRetry is when to look again for a version that was pinned.
const pinnedRetry = 10 * time.Minute

// remove deletes a version and what its snapshot names and the next one's does
// not. Nothing comes back to a table, so that no later one does either.
func (k *cleaner) remove(ctx context.Context, p, next *pastMeta) error {
	if p.snapshot != next.snapshot {
		if err := k.removeSnapshot(ctx, p, next, k.heldBelow(p.version)); err != nil {
			return err
		}
	}
	return k.delete(ctx, k.path.version(p.version))
}

// removeSnapshot deletes the files of a version's snapshot but those that next's
// has, and those that a held one before it has. A file is in all snapshots from the
// one that added it to the last that has it, so its sequence number tells the latter.
func (k *cleaner) removeSnapshot(ctx context.Context, p, next *pastMeta, below int64) error {
	mine, ok, err := k.list(ctx, p.list)
	if err != nil || !ok { // without its list, all else of it has been removed
		return err
	}
	theirs, ok, err := k.list(ctx, next.list)
	if err == nil && !ok {
		err = fmt.Errorf("manifest list %s of version %d is missing: %w", next.list, next.version, schema.ErrCorrupt)
	}
	if err != nil {
		return err
	}
	leaving, coming := difference(mine, theirs), difference(theirs, mine)
	leaving = slices.DeleteFunc(leaving, func(f iceberg.ManifestFile) bool { return f.SequenceNum() <= below })
	stays := map[string]bool{}
	for _, f := range coming {
		m, ok, err := k.manifest(ctx, f)
		if err == nil && !ok {
			err = fmt.Errorf("manifest %s of version %d is missing: %w", f.FilePath(), next.version, schema.ErrCorrupt)
		}
		if err != nil {
			return err
		}
		for _, e := range m.entries {
			stays[e.file.FilePath()] = true
		}
	}
	if err := k.addShared(ctx, leaving, theirs, stays); err != nil {
		return err
	}
	// All data files before the first manifest: a manifest that is missing says
	// that its files are.
	for _, f := range leaving {
		if err := k.removeFiles(ctx, f, stays, below); err != nil {
			return err
		}
	}
	for _, f := range leaving {
		if err := k.deleteURI(ctx, f.FilePath()); err != nil {
			return err
		}
		delete(k.manifests, f.FilePath())
		delete(k.shared, f.FilePath())
	}
	return k.deleteURI(ctx, p.list)
}

// removeFiles deletes the files of a manifest but those that stay, or were there
// at the sequence number below.
func (k *cleaner) removeFiles(ctx context.Context, f iceberg.ManifestFile, stays map[string]bool, below int64) error {
	m, ok, err := k.manifest(ctx, f)
	if err != nil || !ok {
		return err
	}
	for _, e := range m.entries {
		if stays[e.file.FilePath()] || e.fileSeq <= below {
			continue
		}
		if err := k.deleteURI(ctx, e.file.FilePath()); err != nil {
			return err
		}
		stays[e.file.FilePath()] = true // others in it need not remove it again
		k.done.Files++
		k.done.Bytes += e.file.FileSizeBytes()
	}
	return nil
}

// difference are the manifests of a that b lacks.
func difference(a, b []iceberg.ManifestFile) (only []iceberg.ManifestFile) {
	in := map[string]bool{}
	for _, f := range b {
		in[f.FilePath()] = true
	}
	for _, f := range a {
		if !in[f.FilePath()] {
			only = append(only, f)
		}
	}
	return only
}

// list reads a manifest list; ok is false if there is none.
func (k *cleaner) list(ctx context.Context, uri string) (files []iceberg.ManifestFile, ok bool, err error) {
	defer damage(&err)
	raw, err := k.get(ctx, uri)
	if err != nil || raw == nil {
		return nil, false, err
	}
	if files, err = iceberg.ReadManifestList(bytes.NewReader(raw)); err != nil {
		return nil, false, fmt.Errorf("read manifest list %s: %w: %w", uri, schema.ErrCorrupt, err)
	}
	return files, true, nil
}

func (k *cleaner) manifest(ctx context.Context, f iceberg.ManifestFile) (m *manifest, ok bool, err error) {
	if m = k.manifests[f.FilePath()]; m != nil {
		return m, true, nil
	}
	defer damage(&err)
	raw, err := k.get(ctx, f.FilePath())
	if err != nil || raw == nil {
		return nil, false, err
	}
	if m, err = parseManifest(f, raw); err != nil {
		return nil, false, err
	}
	k.manifests[f.FilePath()] = m
	return m, true, nil
}

// get is an object, nil if there is none.
func (k *cleaner) get(ctx context.Context, uri string) ([]byte, error) {
	name, err := k.lake.name(uri)
	if err != nil {
		return nil, err
	}
	if err := k.pace(ctx, 1); err != nil {
		return nil, err
	}
	raw, err := k.lake.opts.Objects.Get(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", uri, storeError(err))
	}
	return raw, nil
}

func (k *cleaner) deleteURI(ctx context.Context, uri string) error {
	name, err := k.lake.name(uri)
	if err != nil {
		return err
	}
	return k.delete(ctx, name)
}

func (k *cleaner) delete(ctx context.Context, name string) error {
	if err := k.pace(ctx, 1); err != nil {
		return err
	}
	if err := k.lake.opts.Objects.Delete(ctx, name); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("delete %s: %w", name, storeError(err))
	}
	return nil
}
