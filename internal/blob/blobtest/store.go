// Package blobtest holds the acceptance suite that every store of package blob
// passes, and a store that fails where a test says.
package blobtest

import (
	"context"
	"iter"

	"github.com/trinedb/trine/internal/blob"
)

// Store is all that a store can do.
type Store interface {
	PutIfAbsent(ctx context.Context, name string, data []byte) error
	Get(ctx context.Context, name string) ([]byte, error)
	GetRange(ctx context.Context, name string, off, n int64) ([]byte, error)
	Read(ctx context.Context, name string) ([]byte, blob.Version, error)
	Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error)
	Create(ctx context.Context, name string) (blob.Writer, error)
	Open(ctx context.Context, name string) (blob.Reader, error)
	Delete(ctx context.Context, name string) error
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

// Call names a method that a Faulty asks about.
type Call string

// The calls.
const (
	PutIfAbsent Call = "put"
	Get         Call = "get"
	GetRange    Call = "range"
	Read        Call = "read"
	Swap        Call = "swap"
	Commit      Call = "commit"
	Delete      Call = "delete"
)

// Faulty is a Store that fails where Hook says. Its other calls go through.
type Faulty struct {
	Store
	// Hook is asked at each call and may block, to delay it. A non-nil before
	// fails the call without effect, a non-nil after fails it although it took
	// effect. It is called by several goroutines.
	Hook func(call Call, name string) (before, after error)
}

func (f *Faulty) do(call Call, name string, fn func() error) error {
	before, after := f.Hook(call, name)
	if before != nil {
		return before
	}
	if err := fn(); err != nil {
		return err
	}
	return after
}

// PutIfAbsent is Store's, or fails.
func (f *Faulty) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	return f.do(PutIfAbsent, name, func() error { return f.Store.PutIfAbsent(ctx, name, data) })
}

// Get is Store's, or fails.
func (f *Faulty) Get(ctx context.Context, name string) (data []byte, err error) {
	err = f.do(Get, name, func() error { data, err = f.Store.Get(ctx, name); return err })
	return data, err
}

// GetRange is Store's, or fails.
func (f *Faulty) GetRange(ctx context.Context, name string, off, n int64) (data []byte, err error) {
	err = f.do(GetRange, name, func() error { data, err = f.Store.GetRange(ctx, name, off, n); return err })
	return data, err
}

// Read is Store's, or fails.
func (f *Faulty) Read(ctx context.Context, name string) (data []byte, v blob.Version, err error) {
	err = f.do(Read, name, func() error { data, v, err = f.Store.Read(ctx, name); return err })
	return data, v, err
}

// Swap is Store's, or fails.
func (f *Faulty) Swap(ctx context.Context, name string, old blob.Version, data []byte) (v blob.Version, err error) {
	err = f.do(Swap, name, func() error { v, err = f.Store.Swap(ctx, name, old, data); return err })
	return v, err
}

// Delete is Store's, or fails.
func (f *Faulty) Delete(ctx context.Context, name string) error {
	return f.do(Delete, name, func() error { return f.Store.Delete(ctx, name) })
}

// Create is Store's; its Commit may fail.
func (f *Faulty) Create(ctx context.Context, name string) (blob.Writer, error) {
	w, err := f.Store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{Writer: w, f: f, name: name}, nil
}

type faultyWriter struct {
	blob.Writer
	f    *Faulty
	name string
}

func (w *faultyWriter) Commit() error { return w.f.do(Commit, w.name, w.Writer.Commit) }
