package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/schema"
)

// dirLock keeps two processes off one data directory. The log's ownership
// protocol would fence one of them anyway; Badger would not.
type dirLock struct{ file *os.File }

// lockDir locks dir, or tells who has it.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "LOCK")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(path) // tells more, if it can be read
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is in use by process %s; stop it, or name another --data: %w",
				dir, strings.TrimSpace(string(owner)), schema.ErrConflict)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// The process id is for people; the lock is the kernel's.
	if err := file.Truncate(0); err == nil {
		_, err = file.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), file.Close())
		}
	}
	return &dirLock{file: file}, nil
}

func (l *dirLock) release() error { return l.file.Close() }
