package lakehouse_test

import (
	"context"
	"sync"

	"github.com/trinedb/trine/internal/blob"
)

// counting counts what a store is asked for.
type counting struct {
	*blob.Mem
	mu                sync.Mutex
	puts, gets, bytes int
}

func (c *counting) count(puts, gets, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.puts, c.gets, c.bytes = c.puts+puts, c.gets+gets, c.bytes+bytes
}

func (c *counting) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	c.count(1, 0, len(data))
	return c.Mem.PutIfAbsent(ctx, name, data)
}

func (c *counting) Get(ctx context.Context, name string) ([]byte, error) {
	c.count(0, 1, 0)
	return c.Mem.Get(ctx, name)
}

func (c *counting) Open(ctx context.Context, name string) (blob.Reader, error) {
	c.count(0, 1, 0)
	return c.Mem.Open(ctx, name)
}

func (c *counting) Create(ctx context.Context, name string) (blob.Writer, error) {
	c.count(1, 0, 0)
	w, err := c.Mem.Create(ctx, name)
	return countingWriter{w, c}, err
}

type countingWriter struct {
	blob.Writer
	c *counting
}

func (w countingWriter) Write(p []byte) (int, error) {
	w.c.count(0, 0, len(p))
	return w.Writer.Write(p)
}
