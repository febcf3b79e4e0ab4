package blob

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/trinedb/trine/schema"
)

// Mem keeps objects in memory, for tests. Its objects are durable in that they
// outlive whoever wrote them, as long as the Mem is kept.
type Mem struct {
	mu      sync.RWMutex
	objects map[string][]byte // never changed in place
}

// NewMem makes an empty store.
func NewMem() *Mem { return &Mem{objects: map[string][]byte{}} }

// PutIfAbsent makes a whole object.
func (m *Mem) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	if err := ready(ctx, name); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return m.put(name, bytes.Clone(data))
}

func (m *Mem) put(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; ok {
		return fmt.Errorf("put %s: %w", name, ErrExists)
	}
	m.objects[name] = data
	return nil
}

// Get reads a whole object.
func (m *Mem) Get(ctx context.Context, name string) ([]byte, error) {
	data, err := m.get(ctx, name)
	return bytes.Clone(data), err
}

func (m *Mem) get(ctx context.Context, name string) ([]byte, error) {
	if err := ready(ctx, name); err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	data, ok := m.objects[name]
	if !ok {
		return nil, fmt.Errorf("get %s: %w", name, ErrNotFound)
	}
	return data, nil
}

// GetRange reads n bytes from off, or from the end if off is negative.
func (m *Mem) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	data, err := m.get(ctx, name)
	if err != nil {
		return nil, err
	}
	off, n = clip(int64(len(data)), off, n)
	return bytes.Clone(data[off : off+n]), nil
}

// Read reads a whole object and its Version.
func (m *Mem) Read(ctx context.Context, name string) ([]byte, Version, error) {
	data, err := m.get(ctx, name)
	if err != nil {
		return nil, Absent, err
	}
	return bytes.Clone(data), versionOf(data), nil
}

// Swap makes the object hold data if it still is what old says.
func (m *Mem) Swap(ctx context.Context, name string, old Version, data []byte) (Version, error) {
	if err := ready(ctx, name); err != nil {
		return Absent, fmt.Errorf("swap %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	cur := Absent
	if data, ok := m.objects[name]; ok {
		cur = versionOf(data)
	}
	if cur != old {
		return Absent, fmt.Errorf("swap %s: %w", name, ErrChanged)
	}
	m.objects[name] = bytes.Clone(data)
	return versionOf(data), nil
}

// Create begins a new object of any size.
func (m *Mem) Create(ctx context.Context, name string) (Writer, error) {
	if err := ready(ctx, name); err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return &memWriter{m: m, name: name}, nil
}

// Open opens an object for reading.
func (m *Mem) Open(ctx context.Context, name string) (Reader, error) {
	data, err := m.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return memReader{bytes.NewReader(data)}, nil
}

// Delete removes an object; one that is not there is fine.
func (m *Mem) Delete(ctx context.Context, name string) error {
	if err := ready(ctx, name); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// List tells the names that begin with prefix and lie after the given one, in
// order of their bytes, as of its beginning.
func (m *Mem) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.RLock()
		var names []string
		for name := range m.objects {
			if strings.HasPrefix(name, prefix) && name > after {
				names = append(names, name)
			}
		}
		m.mu.RUnlock()
		slices.Sort(names)
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield("", fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if !yield(name, nil) {
				return
			}
		}
	}
}

type memReader struct{ *bytes.Reader }

func (memReader) Close() error { return nil }

type memWriter struct {
	m    *Mem
	name string
	buf  bytes.Buffer
	done bool
	err  error
}

func (w *memWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("write %s: %w", w.name, schema.ErrClosed)
	}
	return w.buf.Write(p)
}

func (w *memWriter) Commit() error {
	if !w.done {
		w.done = true
		w.err = w.m.put(w.name, w.buf.Bytes())
	}
	return w.err
}

func (w *memWriter) Abort() error {
	if !w.done {
		w.done, w.err = true, fmt.Errorf("commit %s: was aborted: %w", w.name, schema.ErrClosed)
	}
	return nil
}
