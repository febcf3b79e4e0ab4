// Package crashfs is a file system in memory that power can fail on: it keeps
// apart what was written and what was synced, and Crash throws a random part of
// the difference away, as a disk may. It stands below blob.Dir in simulations.
//
// It is harsher than the file systems that we know: names in one folder, and
// the content of files, survive independently of each other and of the order in
// which they were changed, unless they were synced.
package crashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/trinedb/trine/internal/blob"
)

// Op is a step that changes the file system: a place where power may fail.
type Op string

// The steps.
const (
	OpTemp    Op = "temp"
	OpWrite   Op = "write"
	OpSync    Op = "sync"
	OpLink    Op = "link"
	OpReplace Op = "replace"
	OpMkdir   Op = "mkdir"
	OpSyncDir Op = "syncdir"
	OpRemove  Op = "remove"
)

// Hook is asked at each step, under the file system's lock. A non-nil before
// fails the step without effect, a non-nil after fails it once it took effect.
type Hook func(op Op, name string) (before, after error)

// ErrPowerOff is what every step gives after PowerOff.
var ErrPowerOff = errors.New("power is off")

// FS is a blob.FS. It is safe for concurrent use.
type FS struct {
	lock sync.Mutex // what Lock takes

	mu      sync.Mutex
	hook    Hook
	off     bool
	live    map[string]*node
	durable map[string]*node
}

type node struct {
	dir    bool
	data   []byte
	synced []byte
}

// New makes an empty file system.
func New() *FS {
	root := &node{dir: true}
	return &FS{live: map[string]*node{".": root}, durable: map[string]*node{".": root}}
}

// SetHook sets what is asked at each step; nil for nothing.
func (f *FS) SetHook(h Hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = h
}

// PowerOff makes every step from now on fail.
func (f *FS) PowerOff() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = true
}

// Crash gives the file system as it is after power failed now and came back.
// The old one gives only errors from then on.
func (f *FS) Crash(r *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = true
	after := New()
	names := slices.Collect(maps.Keys(f.live))
	for name := range f.durable {
		if _, ok := f.live[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names) // also: a folder before what is in it
	fate := map[*node]*node{}
	for _, name := range names {
		if name == "." {
			continue
		}
		n := f.durable[name]
		if f.live[name] != n && r.IntN(2) == 0 {
			n = f.live[name]
		}
		above, ok := after.live[path.Dir(name)]
		if n == nil || !ok || !above.dir {
			continue
		}
		if fate[n] == nil {
			fate[n] = n.crash(r)
		}
		after.live[name], after.durable[name] = fate[n], fate[n]
	}
	return after
}

// crash gives the node with the content that may be found after a crash.
func (n *node) crash(r *rand.Rand) *node {
	data := n.synced
	if !bytes.Equal(n.data, n.synced) {
		switch r.IntN(4) {
		case 0: // as synced
		case 1: // cut short
			data = n.data[:r.IntN(len(n.data)+1)]
		case 2: // its length came to the disk, its bytes did not
			data = make([]byte, len(n.data))
		case 3: // all of it
			data = n.data
		}
	}
	data = bytes.Clone(data)
	return &node{dir: n.dir, data: data, synced: data}
}

// step asks the hook, and does what it lets pass. The lock is not held.
func (f *FS) step(op Op, name string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var before, after error
	if f.hook != nil && !f.off {
		before, after = f.hook(op, name)
	}
	if f.off {
		before = ErrPowerOff
	}
	if before != nil {
		return fmt.Errorf("%s %s: %w", op, name, before)
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	if after != nil {
		return fmt.Errorf("%s %s: %w", op, name, after)
	}
	return nil
}

// PowerOffLocked is PowerOff for a Hook.
func (f *FS) PowerOffLocked() { f.off = true }

// Mkdir makes a folder.
func (f *FS) Mkdir(name string) error {
	return f.step(OpMkdir, name, func() error { return f.addLocked(name, &node{dir: true}) })
}

func (f *FS) addLocked(name string, n *node) error {
	if above := f.live[path.Dir(name)]; above == nil || !above.dir {
		return fs.ErrNotExist
	}
	if f.live[name] != nil {
		return fs.ErrExist
	}
	f.live[name] = n
	return nil
}

// SyncDir makes the names in a folder durable.
func (f *FS) SyncDir(name string) error {
	return f.step(OpSyncDir, name, func() error {
		if n := f.live[name]; n == nil || !n.dir {
			return fs.ErrNotExist
		}
		for child := range f.durable {
			if path.Dir(child) == name && f.live[child] == nil && child != "." {
				delete(f.durable, child)
			}
		}
		for child, n := range f.live {
			if path.Dir(child) == name {
				f.durable[child] = n
			}
		}
		return nil
	})
}

// Remove removes a file's name.
func (f *FS) Remove(name string) error {
	return f.step(OpRemove, name, func() error {
		if n := f.live[name]; n == nil || n.dir {
			return fs.ErrNotExist
		}
		delete(f.live, name)
		return nil
	})
}

// Open opens a file for reading.
func (f *FS) Open(name string) (blob.Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off {
		return nil, fmt.Errorf("open %s: %w", name, ErrPowerOff)
	}
	n := f.live[name]
	if n == nil || n.dir {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return reader{bytes.NewReader(n.data)}, nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// ReadDir lists a folder.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.live[name]; n == nil || !n.dir {
		return nil, fmt.Errorf("read folder %s: %w", name, fs.ErrNotExist)
	}
	var entries []fs.DirEntry
	for child, n := range f.live {
		if child != "." && path.Dir(child) == name {
			entries = append(entries, entry{path.Base(child), n.dir})
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Lock takes the folder's lock.
func (f *FS) Lock() (func(), error) {
	f.lock.Lock()
	return f.lock.Unlock, nil
}

// Close does nothing.
func (f *FS) Close() error { return nil }

// Flip damages a file: it changes the byte at off, also of what is durable, or
// cuts the file there if cut is set.
func (f *FS) Flip(name string, off int, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.live[name]
	n.data = bytes.Clone(n.data)
	if cut {
		n.data = n.data[:off]
	} else {
		n.data[off] ^= 0x55
	}
	n.synced = n.data
}
