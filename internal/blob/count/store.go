// Package count counts what an object store is asked for: requests, bytes,
// outcomes and time by verb. A Store goes around any store of package blob and
// has its methods, so that whoever uses the store need not know.
//
// It counts calls of the interface, which on S3 is nearly what is billed; verb.go
// says where the two part. A call costs it two looks at the clock and four
// atomic additions, no lock and no memory.
package count

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/trinedb/trine/internal/blob"
)

// Objects holds whole objects, as the stores of package blob do.
type Objects interface {
	PutIfAbsent(ctx context.Context, name string, data []byte) error
	Get(ctx context.Context, name string) ([]byte, error)
	GetRange(ctx context.Context, name string, off, n int64) ([]byte, error)
}

// Streams writes and reads objects in parts.
type Streams interface {
	Create(ctx context.Context, name string) (blob.Writer, error)
	Open(ctx context.Context, name string) (blob.Reader, error)
}

// Swapper changes objects by compare-and-swap.
type Swapper interface {
	Read(ctx context.Context, name string) ([]byte, blob.Version, error)
	Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error)
}

// Folder lists and removes objects.
type Folder interface {
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
	Delete(ctx context.Context, name string) error
}

// Counted is what a Store can go around: *blob.Dir, *blob.Mem, *s3.Store.
type Counted interface {
	Objects
	Streams
	Swapper
	Folder
}

// Store is a store whose calls are counted. It is a prometheus.Collector, and
// safe for concurrent use.
type Store struct {
	store Counted
	name  string
	descs descs
	cells [verbs]cell
}

// Around counts the calls to s under a name, the label store of its metrics:
// "log", "lake". A registry takes one Store of each name.
func Around(name string, s Counted) *Store {
	return &Store{store: s, name: name, descs: newDescs(name)}
}

// Name is the store's name.
func (s *Store) Name() string { return s.name }

// Close closes the store that is counted, if it can be closed.
func (s *Store) Close() error {
	if c, ok := s.store.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// PutIfAbsent makes a whole object.
func (s *Store) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	start := time.Now()
	err := s.store.PutIfAbsent(ctx, name, data)
	s.cells[Put].add(start, len(data), err)
	return err
}

// Get reads a whole object.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	start := time.Now()
	data, err := s.store.Get(ctx, name)
	s.cells[Get].add(start, len(data), err)
	return data, err
}

// GetRange reads a part of an object.
func (s *Store) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	start := time.Now()
	data, err := s.store.GetRange(ctx, name, off, n)
	s.cells[GetRange].add(start, len(data), err)
	return data, err
}

// Read reads a whole object and its Version.
func (s *Store) Read(ctx context.Context, name string) ([]byte, blob.Version, error) {
	start := time.Now()
	data, v, err := s.store.Read(ctx, name)
	s.cells[Read].add(start, len(data), err)
	return data, v, err
}

// Swap makes the object hold data if it still is what old says.
func (s *Store) Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error) {
	start := time.Now()
	v, err := s.store.Swap(ctx, name, old, data)
	s.cells[Swap].add(start, len(data), err)
	return v, err
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, name string) error {
	start := time.Now()
	err := s.store.Delete(ctx, name)
	s.cells[Delete].add(start, 0, err)
	return err
}

// List tells names. It counts as one request, of as many bytes as the names
// have, timed from its begin to its end, with what the loop's body does.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		start, bytes := time.Now(), 0
		var failed error
		defer func() { s.cells[List].add(start, bytes, failed) }()
		for name, err := range s.store.List(ctx, prefix, after) {
			bytes += len(name)
			failed = errors.Join(failed, err)
			if !yield(name, err) {
				return
			}
		}
	}
}

// Create begins a new object. It is counted when it is committed, whole, and
// timed from there: until then its writer waits for itself.
func (s *Store) Create(ctx context.Context, name string) (blob.Writer, error) {
	start := time.Now()
	w, err := s.store.Create(ctx, name)
	if err != nil {
		s.cells[Create].add(start, 0, err)
		return w, err
	}
	return &writer{Writer: w, cell: &s.cells[Create]}, nil
}

// writer is used by one goroutine, as every blob.Writer.
type writer struct {
	blob.Writer
	cell  *cell
	bytes int
	ended bool
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.bytes += n
	return n, err
}

func (w *writer) Commit() error {
	start := time.Now()
	err := w.Writer.Commit()
	if !w.ended {
		w.ended = true
		w.cell.add(start, w.bytes, err)
	}
	return err
}

func (w *writer) Abort() error {
	w.ended = true
	return w.Writer.Abort()
}

// Open opens an object for reading; each ReadAt of its reader is counted too.
func (s *Store) Open(ctx context.Context, name string) (blob.Reader, error) {
	start := time.Now()
	r, err := s.store.Open(ctx, name)
	s.cells[Open].add(start, 0, err)
	if err != nil {
		return r, err
	}
	return reader{Reader: r, cell: &s.cells[ReadAt]}, nil
}

type reader struct {
	blob.Reader
	cell *cell
}

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	start := time.Now()
	n, err := r.Reader.ReadAt(p, off)
	failed := err
	if errors.Is(err, io.EOF) {
		failed = nil // the object ends: an answer
	}
	r.cell.add(start, n, failed)
	return n, err
}
