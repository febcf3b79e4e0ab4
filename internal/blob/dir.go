package blob

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"syscall"

	"github.com/trinedb/trine/schema"
)

// Dir keeps objects as files below a folder, by their names.
//
// A write goes to a file without a name, is fsynced, linked to its name, and
// the folder is fsynced: so a name never leads to a part of an object. Swap
// replaces by rename under a lock that other processes honour. Names that begin
// with a dot are Dir's own: the lock, and files in the making, which are
// cleaned up when the folder is opened unless a process still works on them.
type Dir struct {
	fs FS

	mu    sync.Mutex
	known map[string]struct{} // folders that exist durably
}

// maxKnownFolders bounds what Dir remembers; a folder that it forgot costs an
// fsync.
const maxKnownFolders = 4096

// DirOptions adjust a Dir.
type DirOptions struct {
	FS FS // default: the operating system's
}

// OpenDir opens the store in a folder, which it makes, together with those above
// it. It fails with schema.ErrUnsupported if the file system lacks what the
// guarantees rest on.
func OpenDir(root string, o DirOptions) (*Dir, error) {
	if o.FS == nil {
		f, err := openOS(root)
		if err != nil {
			return nil, fmt.Errorf("open store %s: %w", root, kind(err))
		}
		o.FS = f
	}
	return &Dir{fs: o.FS, known: map[string]struct{}{".": {}}}, nil
}

// Close releases the folder. Readers and Writers that are open still work.
func (d *Dir) Close() error { return d.fs.Close() }

// PutIfAbsent makes a whole object.
func (d *Dir) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	w, err := d.create(ctx, name)
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	defer w.tmp.Close()
	if _, err := w.tmp.Write(data); err != nil {
		return fmt.Errorf("put %s: %w", name, kind(err))
	}
	if err := w.publish(); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// Get reads a whole object.
func (d *Dir) Get(ctx context.Context, name string) ([]byte, error) {
	r, err := d.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readRange(name, r, 0, r.Size())
}

// GetRange reads n bytes from off, or from the end if off is negative; fewer
// when the object ends before.
func (d *Dir) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	r, err := d.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	off, n = clip(r.Size(), off, n)
	return readRange(name, r, off, n)
}

// clip cuts a range to an object of that size.
func clip(size, off, n int64) (int64, int64) {
	if off < 0 {
		off = max(0, size+off)
	}
	off = min(off, size)
	return off, min(max(n, 0), size-off)
}

func readRange(name string, r io.ReaderAt, off, n int64) ([]byte, error) {
	data := make([]byte, n)
	if got, err := r.ReadAt(data, off); int64(got) < n {
		return nil, fmt.Errorf("read %s at %d: %d of %d bytes: %w: %w", name, off, got, n, schema.ErrUnavailable, err)
	}
	return data, nil
}

// Read reads a whole object and its Version.
func (d *Dir) Read(ctx context.Context, name string) ([]byte, Version, error) {
	data, err := d.Get(ctx, name)
	if err != nil {
		return nil, Absent, err
	}
	return data, versionOf(data), nil
}

// versionOf identifies content by its digest: two objects with the same bytes
// are the same to Swap.
func versionOf(data []byte) Version {
	sum := sha256.Sum256(data)
	return Version(hex.EncodeToString(sum[:16]))
}

// Swap makes the object hold data if it still is what old says.
func (d *Dir) Swap(ctx context.Context, name string, old Version, data []byte) (Version, error) {
	w, err := d.create(ctx, name)
	if err != nil {
		return Absent, fmt.Errorf("swap %s: %w", name, err)
	}
	defer w.tmp.Close()
	if _, err := w.tmp.Write(data); err != nil {
		return Absent, fmt.Errorf("swap %s: %w", name, kind(err))
	}
	if err := w.tmp.Sync(); err != nil {
		return Absent, fmt.Errorf("swap %s: %w", name, kind(err))
	}
	unlock, err := d.fs.Lock()
	if err != nil {
		return Absent, fmt.Errorf("swap %s: %w", name, kind(err))
	}
	defer unlock()
	_, cur, err := d.Read(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Absent, fmt.Errorf("swap %s: %w", name, err)
	}
	if cur != old {
		return Absent, fmt.Errorf("swap %s: %w", name, ErrChanged)
	}
	if err := w.finish(w.tmp.Replace); err != nil {
		return Absent, fmt.Errorf("swap %s: %w", name, err)
	}
	return versionOf(data), nil
}

// Create begins a new object of any size.
func (d *Dir) Create(ctx context.Context, name string) (Writer, error) {
	w, err := d.create(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	w.buf = bufio.NewWriterSize(w.tmp, 64<<10)
	return w, nil
}

// Open opens an object for reading.
func (d *Dir) Open(ctx context.Context, name string) (Reader, error) {
	if err := ready(ctx, name); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	r, err := d.fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, kind(err))
	}
	return r, nil
}

// Delete removes an object; one that is not there is fine.
func (d *Dir) Delete(ctx context.Context, name string) error {
	if err := ready(ctx, name); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	if err := d.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", name, kind(err))
	}
	return nil
}

// ready is what every call checks before it does anything.
func ready(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", schema.ErrUnavailable, err)
	}
	return CheckName(name)
}

// ensure makes the folder and those above it, durably.
func (d *Dir) ensure(folder string) error {
	d.mu.Lock()
	_, ok := d.known[folder]
	d.mu.Unlock()
	if ok {
		return nil
	}
	above := path.Dir(folder)
	if err := d.ensure(above); err != nil {
		return err
	}
	if err := d.fs.Mkdir(folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Also when it exists: who made it may not have come to sync it.
	if err := d.fs.SyncDir(above); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxKnownFolders {
		clear(d.known)
		d.known["."] = struct{}{}
	}
	d.known[folder] = struct{}{}
	return nil
}

// kind gives an error of the file system the kind that others know it by. It is
// for failures that had no effect.
func kind(err error) error {
	switch {
	case errors.Is(err, schema.ErrUnsupported), errors.Is(err, schema.ErrUnavailable), errors.Is(err, schema.ErrClosed):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", schema.ErrNoSpace, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %w", ErrExists, err)
	default:
		return fmt.Errorf("%w: %w", schema.ErrUnavailable, err)
	}
}
