//go:build unix

package blob

import (
	"os"
	"path/filepath"
	"strconv"
)

// namedTemp is a file in the making that has a name in the session's folder.
type namedTemp struct {
	*os.File
	f *osFS
}

// Temp makes a file without a lasting name.
func (f *osFS) Temp() (TempFile, error) {
	if !f.named {
		return f.anonymousTemp()
	}
	path := f.tempName()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &namedTemp{File: file, f: f}, nil
}

func (f *osFS) tempName() string {
	return filepath.Join(f.session, strconv.FormatUint(f.tmpID.Add(1), 10))
}

// Write appends to the file.
func (t *namedTemp) Write(p []byte) (int, error) { return t.f.write(t.File, p) }

// Link gives the file a name that must not exist.
func (t *namedTemp) Link(name string) error { return os.Link(t.Name(), t.f.path(name)) }

// Replace gives the file a name in place of what had it.
func (t *namedTemp) Replace(name string) error { return os.Rename(t.Name(), t.f.path(name)) }

// Close drops the file's temporary name.
func (t *namedTemp) Close() error {
	_ = os.Remove(t.Name()) // gone after Replace; else cleaned up at the next open
	return t.File.Close()
}
