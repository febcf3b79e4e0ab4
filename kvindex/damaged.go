package kvindex

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trinedb/trine/schema"
)

// damagedFile holds what damage was met, for the next Open.
const damagedFile = "DAMAGED"

// maxDamage bounds what is told of it.
const maxDamage = 1024

// NoteDamage is told of an error that a read of the index gave. If it is
// ErrCorrupt the directory is marked, so that the next Open reports it damaged and
// it is built anew: most damage does not keep Badger from opening.
func (x *Index) NoteDamage(err error) {
	if !errors.Is(err, schema.ErrCorrupt) {
		return
	}
	x.damage.Do(func() {
		text := err.Error()
		text = text[:min(len(text), maxDamage)]
		merr := replaceFile(filepath.Join(x.opts.Dir, damagedFile), text)
		x.opts.Logger.Error("index is damaged; restart to have it built anew", "dir", x.opts.Dir, "error", err, "marked", merr == nil)
	})
}

// CheckDamaged fails with ErrCorrupt if damage was met in an index directory while
// it was open.
func CheckDamaged(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, damagedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("damage was met while it was open: %.*q: %w", maxDamage, text, schema.ErrCorrupt)
}
