package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/trinedb/trine/schema"
)

// maxOrphans is how many files one RemoveOrphans removes at most: their names are
// held in memory.
const maxOrphans = 100_000

// RemoveOrphans deletes files in the table's folder that no version names, as a
// crash between writing and committing leaves them, and tells how many. They are
// found by listing the folder; those that are younger than Options.OrphanGrace
// stay, for a commit may be about to name them: it refuses to, past half of that.
// A file whose name does not tell its age stays.
func (l *Lake) RemoveOrphans(ctx context.Context, c *schema.Collection, pace func(ctx context.Context, requests int) error) (int, error) {
	k := l.newCleaner(c, pace)
	n, err := k.removeOrphans(ctx, c)
	if err != nil {
		return n, fmt.Errorf("remove orphans of the table of %s: %w", c, err)
	}
	return n, nil
}

func (k *cleaner) removeOrphans(ctx context.Context, c *schema.Collection) (int, error) {
	// The floor before the listing: it only rises.
	var err error
	if k.floor, err = k.lake.readFloor(ctx, k.path); err != nil {
		return 0, err
	}
	suspects, err := k.suspects(ctx)
	if err != nil || len(suspects) == 0 {
		return 0, err
	}
	if err := k.acquit(ctx, c, suspects); err != nil {
		return 0, err
	}
	n := 0
	for name := range suspects {
		if err := k.delete(ctx, name); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// suspects are the files that are old enough, and versions below the floor.
func (k *cleaner) suspects(ctx context.Context) (map[string]bool, error) {
	old := k.lake.opts.Now().Add(-k.lake.opts.OrphanGrace)
	found := map[string]bool{}
	seen := 0
	for name, err := range k.lake.opts.Objects.List(ctx, string(k.path)+"/", "") {
		if err != nil {
			return nil, storeError(err)
		}
		if seen++; seen%1000 == 0 { // about a request
			if err := k.pace(ctx, 1); err != nil {
				return nil, err
			}
		}
		if version, ok := k.versionOf(name); ok {
			if k.floor.buries(version) {
				found[name] = true
			}
		} else if born, ok := bornAt(name); ok && born.Before(old) {
			found[name] = true
		}
		if len(found) == maxOrphans {
			break
		}
	}
	return found, nil
}

// versionOf is the number of a version's metadata file.
func (k *cleaner) versionOf(name string) (int, bool) {
	text := strings.TrimPrefix(name, string(k.path)+"/metadata/v")
	text, ok := strings.CutSuffix(text, ".metadata.json")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && k.path.version(n) == name
}

// acquit takes out of suspects what a version names. Versions that come after the
// newest of now name nothing that is so old and in no version yet.
func (k *cleaner) acquit(ctx context.Context, c *schema.Collection, suspects map[string]bool) error {
	var err error
	if k.floor, err = k.lake.readFloor(ctx, k.path); err != nil {
		return err
	}
	current, err := k.lake.Current(ctx, c)
	if err != nil {
		return err
	}
	low, err := k.lake.lowest(ctx, k.path)
	if err != nil {
		return err
	}
	read := map[string]bool{} // lists and manifests
	for _, h := range k.floor.held {
		if err := k.acquitVersion(ctx, h.version, suspects, read); err != nil && !errors.Is(err, schema.ErrConflict) {
			return err // one that is not there was about to be let go
		}
	}
	for v := low; v <= current.version; v++ {
		if err := k.acquitVersion(ctx, v, suspects, read); err != nil {
			return err
		}
	}
	return nil
}

// acquitVersion takes out what a version's own snapshot names; each snapshot is
// that of some version. Of those below the floor a part may be gone.
func (k *cleaner) acquitVersion(ctx context.Context, v int, suspects, read map[string]bool) error {
	if err := k.pace(ctx, 1); err != nil {
		return err
	}
	p, ok, err := k.lake.readVersion(ctx, k.path, v)
	if err == nil && !ok {
		err = fmt.Errorf("version %d: %w", v, schema.ErrConflict)
	}
	if err != nil {
		return err
	}
	delete(suspects, k.path.version(v))
	return k.acquitList(ctx, p.list, k.floor.buries(v), suspects, read)
}

func (k *cleaner) acquitList(ctx context.Context, list string, partly bool, suspects, read map[string]bool) error {
	if read[list] {
		return nil
	}
	read[list] = true
	k.acquitURI(list, suspects)
	files, ok, err := k.list(ctx, list)
	if err != nil {
		return err
	}
	if !ok && !partly {
		return missing(list)
	}
	for _, f := range files {
		if read[f.FilePath()] {
			continue
		}
		read[f.FilePath()] = true
		k.acquitURI(f.FilePath(), suspects)
		raw, err := k.get(ctx, f.FilePath())
		if err != nil {
			return err
		}
		if raw == nil && partly {
			continue
		}
		if raw == nil {
			return missing(f.FilePath())
		}
		m, err := parseManifest(f, raw)
		if err != nil {
			return err
		}
		for _, e := range m.entries {
			k.acquitURI(e.file.FilePath(), suspects)
		}
	}
	return nil
}

// missing is an error for what a version names and is not there: what it names in
// turn is not known, so that nothing may be removed.
func missing(uri string) error {
	return fmt.Errorf("%s is missing, though a version names it: %w", uri, schema.ErrCorrupt)
}

func (k *cleaner) acquitURI(uri string, suspects map[string]bool) {
	if name, err := k.lake.name(uri); err == nil {
		delete(suspects, name)
	}
}
