package lakehouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// addShared adds to what stays the Puffin files that the next version still needs:
// the vectors of one may be in several manifests, of which some leave and others are
// in both versions. Without vectors in what leaves it asks the store for nothing.
func (k *cleaner) addShared(ctx context.Context, leaving, theirs []iceberg.ManifestFile, stays map[string]bool) error {
	shared := false
	for _, f := range leaving {
		files, ok, err := k.sharedFiles(ctx, f, true)
		if err != nil {
			return err
		}
		shared = shared || ok && len(files) > 0
	}
	if !shared {
		return nil
	}
	for _, f := range theirs {
		files, ok, err := k.sharedFiles(ctx, f, false)
		if err == nil && !ok {
			err = fmt.Errorf("manifest %s is missing, though a version names it: %w", f.FilePath(), schema.ErrCorrupt)
		}
		if err != nil {
			return err
		}
		for _, uri := range files {
			stays[uri] = true
		}
	}
	return nil
}

// sharedFiles are the Puffin files that a manifest names; ok is false if there is no
// such manifest. It is read once in a Clean, and unless hold is set no more than the
// names are kept: a large table has many that stay.
func (k *cleaner) sharedFiles(ctx context.Context, f iceberg.ManifestFile, hold bool) (files []string, ok bool, err error) {
	if f.ManifestContent() != iceberg.ManifestContentDeletes {
		return nil, true, nil
	}
	if files, ok = k.shared[f.FilePath()]; ok {
		return files, true, nil
	}
	_, held := k.manifests[f.FilePath()]
	m, ok, err := k.manifest(ctx, f)
	if err != nil || !ok {
		return nil, false, err
	}
	if !held && !hold {
		delete(k.manifests, f.FilePath())
	}
	for _, e := range m.entries {
		if e.file.FileFormat() == iceberg.PuffinFile {
			files = append(files, e.file.FilePath())
		}
	}
	slices.Sort(files)
	files = slices.Compact(files)
	k.shared[f.FilePath()] = files
	return files, true, nil
}
