package blob

import (
	"context"
	"iter"
)

// Mem keeps objects in memory.
type Mem struct{}

// PutIfAbsent makes a whole object.
func (m *Mem) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	panic("not built yet")
}

// Get reads a whole object.
func (m *Mem) Get(ctx context.Context, name string) ([]byte, error) { panic("not built yet") }

// GetRange reads n bytes from off, or from the end if off is negative.
func (m *Mem) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	panic("not built yet")
}

// Read reads a whole object and its Version.
func (m *Mem) Read(ctx context.Context, name string) ([]byte, Version, error) { panic("not built yet") }

// Swap replaces the object if it is still what old says.
func (m *Mem) Swap(ctx context.Context, name string, old Version, data []byte) (Version, error) {
	panic("not built yet")
}

// Create begins a new object of any size.
func (m *Mem) Create(ctx context.Context, name string) (Writer, error) { panic("not built yet") }

// Open opens an object for reading.
func (m *Mem) Open(ctx context.Context, name string) (Reader, error) { panic("not built yet") }

// Delete removes an object; one that is not there is fine.
func (m *Mem) Delete(ctx context.Context, name string) error { panic("not built yet") }

// List tells the names that begin with prefix and lie after the given one.
func (m *Mem) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	panic("not built yet")
}

// NewMem makes an empty store.
func NewMem() *Mem { panic("not built yet") }
