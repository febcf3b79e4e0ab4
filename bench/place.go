package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// place is the folder that a workload has for itself.
type place struct{ dir string }

// newPlace makes a folder, to be removed.
func newPlace(o Options) (*place, error) {
	dir, err := os.MkdirTemp(o.Folder, "trine-bench-")
	if err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	return &place{dir: dir}, nil
}

func (p *place) remove() error { return os.RemoveAll(p.dir) }

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

// caveat tells what a reader of figures measured here has to know.
func (p *place) caveat(r *Report) {
	var s unix.Statfs_t
	if unix.Statfs(p.dir, &s) == nil && int64(s.Type) == unix.TMPFS_MAGIC {
		r.note("the data directory is in memory (tmpfs), where fsync costs nothing: name a folder on a disk")
	}
}

// diskBytes is what the files below a folder occupy: blocks, not lengths,
// because some are sparse.
func diskBytes(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var s unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &s)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was on its way out
		}
		total += s.Blocks * 512
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	return total, nil
}
