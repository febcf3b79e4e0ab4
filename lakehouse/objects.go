package lakehouse

import (
	"context"
	"io"
	"iter"
)

// Writer streams one new object. Nothing is visible before Commit returns, and
// nothing ever is after Abort.
type Writer interface {
	io.Writer
	Commit() error
	Abort() error
}

// Reader reads parts of one object.
type Reader interface {
	io.ReaderAt
	Size() int64
	Close() error
}

// ObjectReader reads objects by name. A missing one is blob.ErrNotFound.
type ObjectReader interface {
	Get(ctx context.Context, name string) ([]byte, error)
	Open(ctx context.Context, name string) (Reader, error)
}

// ObjectWriter creates objects, durably once PutIfAbsent or Commit returned
// nil. An object that exists is never changed: blob.ErrExists.
type ObjectWriter interface {
	PutIfAbsent(ctx context.Context, name string, data []byte) error
	Create(ctx context.Context, name string) (Writer, error)
}

// Objects is the store that tables live in: names relative to Options.BaseURI.
// It is used concurrently.
type Objects interface {
	ObjectReader
	ObjectWriter
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
	Delete(ctx context.Context, name string) error
}
