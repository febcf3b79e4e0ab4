//go:build unix

package blob

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A full disk must not keep the log from being taken over, and so from being
// read: a take-over writes its head and a few fences. So each session keeps some
// blocks back, in a file of its own, which it gives up when so small an object
// finds the disk full. The next session gets them back if they are still free.
const (
	reserveBytes  = 128 << 10 // a block for each of 16 objects, and for their folder
	reserveObject = 320       // the largest object that it is for
)

// keepReserve takes what it can get.
func (f *osFS) keepReserve() {
	_ = os.WriteFile(f.reserve(), make([]byte, reserveBytes), 0o644) // a disk that is full already has none to give
}

func (f *osFS) reserve() string { return filepath.Join(f.session, "reserve") }

// write writes to a file in the making, and gives the reserve up for a small
// object that finds the disk full.
func (f *osFS) write(file *os.File, p []byte) (int, error) {
	n, err := file.Write(p)
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
	if !full || len(p) > reserveObject || os.Remove(f.reserve()) != nil { // it was given up before
		return n, err
	}
	m, err := file.Write(p[n:])
	return n + m, err
}
