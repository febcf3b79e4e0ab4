package kvindex

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/schema"
)

const (
	shardDir = "00"
	// maxOpenings is how often an Open may die before the directory is taken
	// for damaged: Badger ends the process on some damage.
	maxOpenings = 3
)

// formatVersion is what FORMAT holds.
var formatVersion = fmt.Sprintf("%d\n", FormatVersion)

// openDir makes the directory ready, and opens the engine in it.
func openDir(o Options) (engine, *dirLock, error) {
	if err := os.MkdirAll(filepath.Join(o.Dir, shardDir), 0o750); err != nil {
		return nil, nil, noSpace(err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, nil, err
	}
	eng, err := openLocked(o)
	if err != nil {
		return nil, nil, errors.Join(err, lock.release())
	}
	return eng, lock, nil
}

func openLocked(o Options) (engine, error) {
	shard := filepath.Join(o.Dir, shardDir)
	if err := CheckDamaged(o.Dir); err != nil {
		return nil, err
	}
	if err := checkFormat(o.Dir); err != nil {
		return nil, err
	}
	if err := o.checkSpace(openPercent); err != nil {
		return nil, err
	}
	if err := beginOpening(o.Dir); err != nil {
		return nil, err
	}
	if err := discardTorn(o, shard); err != nil {
		return nil, err
	}
	if err := checkTables(shard); err != nil {
		return nil, err
	}
	eng, err := openEngine(shard, o.MemTableBytes, o.Logger)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(o.Dir, "OPENING")); err != nil {
		return nil, errors.Join(err, eng.Close())
	}
	return eng, nil
}

// checkFormat demands our version, and writes it into an empty directory.
func checkFormat(dir string) error {
	path := filepath.Join(dir, "FORMAT")
	got, err := os.ReadFile(path)
	switch {
	case err == nil && string(got) == formatVersion:
		return nil
	case err == nil:
		return fmt.Errorf("format %q, want %q: %w", got, formatVersion, schema.ErrCorrupt)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if old, _ := filepath.Glob(filepath.Join(dir, shardDir, "MANIFEST")); len(old) > 0 {
		return fmt.Errorf("no FORMAT beside a database: %w", schema.ErrCorrupt)
	}
	return replaceFile(path, formatVersion)
}

// beginOpening counts the opens that did not come to their end.
func beginOpening(dir string) error {
	path := filepath.Join(dir, "OPENING")
	n := 0
	if got, err := os.ReadFile(path); err == nil && len(got) == 1 {
		n = int(got[0] - '0')
	}
	if n >= maxOpenings {
		return fmt.Errorf("died %d times while opening: %w", n, schema.ErrCorrupt)
	}
	return replaceFile(path, string(rune('0'+n+1)))
}

// discardTorn deletes what a power failure may have torn, and files that keep
// Badger from opening.
func discardTorn(o Options, shard string) error {
	path := filepath.Join(o.Dir, "BOOT")
	boot, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	rebooted := o.BootID == "" || string(boot) != o.BootID
	entries, err := os.ReadDir(shard)
	if err != nil {
		return err
	}
	for _, e := range entries {
		mem, vlog := strings.HasSuffix(e.Name(), ".mem"), strings.HasSuffix(e.Name(), ".vlog")
		if !mem && !vlog {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if torn := mem && rebooted; !torn && info.Size() > 0 {
			continue
		}
		o.Logger.Info("index: removing a file that a crash left", "file", e.Name(), "bytes", info.Size(), "rebooted", rebooted)
		if err := os.Remove(filepath.Join(shard, e.Name())); err != nil {
			return err
		}
	}
	if !rebooted {
		return nil
	}
	// Only now: a crash before this repeats the deletion.
	return replaceFile(path, o.BootID)
}

// openEngine opens Badger, whose errors and panics at this point are damage,
// except for those of the machine.
func openEngine(dir string, memTableBytes int64, logger *slog.Logger) (eng engine, err error) {
	defer func() {
		if p := recover(); p != nil {
			eng, err = nil, fmt.Errorf("open badger: panic: %v: %w", p, schema.ErrCorrupt)
		}
	}()
	b, err := openBadger(dir, memTableBytes, logger)
	if err == nil {
		return b, nil
	}
	// Badger's errors wrap nothing, so the machine's are told by their text.
	for _, e := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EACCES, unix.EPERM, unix.EROFS, unix.EIO, unix.EWOULDBLOCK} {
		if strings.Contains(err.Error(), e.Error()) {
			return nil, fmt.Errorf("open badger: %w: %w", schema.ErrUnavailable, err)
		}
	}
	if strings.Contains(err.Error(), unix.ENOSPC.Error()) {
		return nil, fmt.Errorf("open badger: %w: %w", schema.ErrNoSpace, err)
	}
	return nil, corrupt("open badger", err)
}

// replaceFile writes a small file whole or not at all.
func replaceFile(path, content string) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return noSpace(err)
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return noSpace(err)
	}
	return noSpace(os.Rename(tmp, path))
}

func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", schema.ErrNoSpace, err)
	}
	return err
}

// dirLock keeps other processes out of a directory. It goes with the process.
type dirLock struct{ f *os.File }

func lockDir(dir string) (*dirLock, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("in use by another process: %w: %w", schema.ErrUnavailable, err), f.Close())
	}
	return &dirLock{f}, nil
}

func (l *dirLock) release() error { return l.f.Close() }
