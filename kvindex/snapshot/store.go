package snapshot

import (
	"context"
	"io"
	"iter"
)

// Store keeps objects by name. It is safe for concurrent use.
type Store interface {
	// Put makes a durable object of what r gives, whole or not at all; an error of
	// r means not at all. schema.ErrConflict: the name is taken, nothing changed.
	// After any other error the object may be there, or come to be.
	Put(ctx context.Context, name string, r io.Reader) error
	// Get reads an object from its beginning; schema.ErrNotFound if there is none.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List tells the names that begin with prefix, in any order.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
	// Delete removes an object; one that is not there is fine.
	Delete(ctx context.Context, name string) error
}
