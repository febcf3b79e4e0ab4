package blob

import (
	"context"
	"iter"
)

// Dir keeps objects as files below a folder.
type Dir struct{}

// OpenDir opens the store in a folder, which it makes.
func OpenDir(root string, o DirOptions) (*Dir, error) { panic("not built yet") }

// DirOptions adjust a Dir; the zero value is right but for tests.
type DirOptions struct{}

// Close releases the folder.
func (d *Dir) Close() error { panic("not built yet") }

// PutIfAbsent makes a whole object.
func (d *Dir) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	panic("not built yet")
}

// Get reads a whole object.
func (d *Dir) Get(ctx context.Context, name string) ([]byte, error) { panic("not built yet") }

// GetRange reads n bytes from off, or from the end if off is negative.
func (d *Dir) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	panic("not built yet")
}

// Read reads a whole object and its Version.
func (d *Dir) Read(ctx context.Context, name string) ([]byte, Version, error) { panic("not built yet") }

// Swap replaces the object if it is still what old says.
func (d *Dir) Swap(ctx context.Context, name string, old Version, data []byte) (Version, error) {
	panic("not built yet")
}

// Create begins a new object of any size.
func (d *Dir) Create(ctx context.Context, name string) (Writer, error) { panic("not built yet") }

// Open opens an object for reading.
func (d *Dir) Open(ctx context.Context, name string) (Reader, error) { panic("not built yet") }

// Delete removes an object; one that is not there is fine.
func (d *Dir) Delete(ctx context.Context, name string) error { panic("not built yet") }

// List tells the names that begin with prefix and lie after the given one.
func (d *Dir) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	panic("not built yet")
}
