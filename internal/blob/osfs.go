//go:build unix

package blob

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/trinedb/trine/schema"
)

// osFS is the operating system's file system below a folder.
//
//	<root>/.lock               held while Swap replaces
//	<root>/.tmp/<session>/     files in the making; a session is one openOS
//	<root>/.tmp/<session>/reserve
//	<root>/.tmp/<session>/lock held as long as the session lives
type osFS struct {
	root    string
	session string // folder of files in the making
	alive   *os.File
	named   bool // the system has no files without a name
	tmpID   atomic.Uint64

	lockMu sync.Mutex // flock is per open file; this orders our own goroutines
	lock   *os.File

	mu      sync.Mutex
	folders map[string]*os.File // open for fsync
	closed  bool
}

// maxOpenFolders bounds the folders kept open to save opening them again.
const maxOpenFolders = 64

func openOS(root string) (_ *osFS, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := makeRoot(root); err != nil {
		return nil, err
	}
	f := &osFS{root: root, folders: map[string]*os.File{}}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if f.lock, err = os.OpenFile(filepath.Join(root, ".lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o644); err != nil {
		return nil, err
	}
	unlock, err := f.Lock() // sessions begin and are cleaned up one at a time
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := f.cleanUp(); err != nil {
		return nil, err
	}
	f.session = filepath.Join(root, ".tmp", strconv.Itoa(os.Getpid())+"-"+rand.Text())
	if err := os.MkdirAll(f.session, 0o755); err != nil {
		return nil, err
	}
	if f.alive, err = os.OpenFile(filepath.Join(f.session, "lock"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.alive.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w", f.alive.Name(), err)
	}
	if err := f.probe(); err != nil {
		return nil, err
	}
	f.keepReserve()
	return f, nil
}

// makeRoot makes a folder that lasts, with those above it.
func makeRoot(root string) error {
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	above := filepath.Dir(root)
	if above != root {
		if err := makeRoot(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(root, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(above)
}

func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// cleanUp removes the files in the making of sessions that ended without
// doing so. The caller holds the lock.
func (f *osFS) cleanUp() error {
	sessions, err := os.ReadDir(filepath.Join(f.root, ".tmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, s := range sessions {
		folder := filepath.Join(f.root, ".tmp", s.Name())
		l, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_RDWR, 0)
		if err == nil {
			err = unix.Flock(int(l.Fd()), unix.LOCK_EX|unix.LOCK_NB)
			l.Close()
			if err != nil {
				continue // its process lives
			}
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// probe finds out how files can be made, and refuses a file system on which a
// name could be given twice.
func (f *osFS) probe() error {
	name := filepath.Join(".tmp", filepath.Base(f.session), "probe")
	try := func() (first, second error) {
		t, err := f.Temp()
		if err != nil {
			return err, nil
		}
		defer t.Close()
		if err := t.Link(name); err != nil {
			return err, nil
		}
		defer f.Remove(name)
		other, err := f.Temp()
		if err != nil {
			return err, nil
		}
		defer other.Close()
		return nil, other.Link(name)
	}
	first, second := try()
	if first != nil && !f.named {
		f.named = true
		first, second = try()
	}
	if first != nil {
		return fmt.Errorf("no hard links (%w): %w", first, schema.ErrUnsupported)
	}
	if !errors.Is(second, fs.ErrExist) {
		return fmt.Errorf("a link to a name that exists gives %v: %w", second, schema.ErrUnsupported)
	}
	return nil
}

func (f *osFS) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

// Open opens a file for reading.
func (f *osFS) Open(name string) (Reader, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a folder: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &osReader{File: file, size: info.Size()}, nil
}

type osReader struct {
	*os.File
	size int64
}

func (r *osReader) Size() int64 { return r.size }

// ReadDir lists a folder.
func (f *osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(f.path(name)) }

// Mkdir makes a folder.
func (f *osFS) Mkdir(name string) error { return os.Mkdir(f.path(name), 0o755) }

// Remove removes a file's name.
func (f *osFS) Remove(name string) error {
	err := unix.Unlink(f.path(name))
	if err != nil {
		return fmt.Errorf("unlink %s: %w", name, err)
	}
	return nil
}

// SyncDir makes the names in a folder durable.
func (f *osFS) SyncDir(name string) error {
	f.mu.Lock()
	file := f.folders[name]
	if file == nil {
		if f.closed {
			f.mu.Unlock()
			return fmt.Errorf("store %s: %w", f.root, schema.ErrClosed)
		}
		var err error
		if file, err = os.Open(f.path(name)); err != nil {
			f.mu.Unlock()
			return err
		}
		if len(f.folders) >= maxOpenFolders {
			for other, open := range f.folders { // any will do
				delete(f.folders, other)
				open.Close() // waits for an fsync under way
				break
			}
		}
		f.folders[name] = file
	}
	f.mu.Unlock()
	err := file.Sync()
	if errors.Is(err, os.ErrClosed) { // evicted meanwhile
		return syncFolder(f.path(name))
	}
	return err
}

// Lock takes the folder's lock.
func (f *osFS) Lock() (func(), error) {
	f.lockMu.Lock()
	if err := flockRetry(f.lock, unix.LOCK_EX); err != nil {
		f.lockMu.Unlock()
		return nil, err
	}
	return func() {
		_ = unix.Flock(int(f.lock.Fd()), unix.LOCK_UN) // fails only for a descriptor that is not open
		f.lockMu.Unlock()
	}, nil
}

func flockRetry(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), how); !errors.Is(err, unix.EINTR) {
			if err != nil {
				return fmt.Errorf("lock %s: %w", file.Name(), err)
			}
			return nil
		}
	}
}

// Close releases what is open and removes the session's folder.
func (f *osFS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	var errs []error
	for name, open := range f.folders {
		errs = append(errs, open.Close())
		delete(f.folders, name)
	}
	if f.session != "" && strings.HasPrefix(f.session, f.root) {
		errs = append(errs, os.RemoveAll(f.session))
	}
	for _, file := range []*os.File{f.alive, f.lock} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}
