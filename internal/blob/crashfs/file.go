package crashfs

import (
	"io/fs"

	"github.com/trinedb/trine/internal/blob"
)

// file is a file in the making.
type file struct {
	f *FS
	n *node
}

// Temp makes a file that has no name, and is gone after a crash.
func (f *FS) Temp() (blob.TempFile, error) {
	t := &file{f: f, n: &node{}}
	if err := f.step(OpTemp, "", func() error { return nil }); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *file) Write(p []byte) (int, error) {
	err := t.f.step(OpWrite, "", func() error {
		t.n.data = append(t.n.data, p...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (t *file) Sync() error {
	return t.f.step(OpSync, "", func() error {
		t.n.synced = append(t.n.synced[:0:0], t.n.data...)
		return nil
	})
}

func (t *file) Link(name string) error {
	return t.f.step(OpLink, name, func() error { return t.f.addLocked(name, t.n) })
}

func (t *file) Replace(name string) error {
	return t.f.step(OpReplace, name, func() error {
		if n := t.f.live[name]; n != nil && n.dir {
			return fs.ErrExist
		}
		delete(t.f.live, name)
		return t.f.addLocked(name, t.n)
	})
}

func (t *file) Close() error { return nil }

type entry struct {
	name string
	dir  bool
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }

func (e entry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}
