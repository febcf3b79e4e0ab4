package log_test

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/trinedb/trine/internal/blob/blobtest"
)

// asked counts what is asked of a store.
type asked struct {
	blobtest.Store
	n atomic.Int64
}

func (s *asked) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	s.n.Add(1)
	return s.Store.GetRange(ctx, name, off, n)
}

func (s *asked) Delete(ctx context.Context, name string) error {
	s.n.Add(1)
	return s.Store.Delete(ctx, name)
}

func (s *asked) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	s.n.Add(1)
	return s.Store.List(ctx, prefix, after)
}
