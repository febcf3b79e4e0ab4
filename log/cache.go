package log

import (
	"container/list"
	"sync"

	"github.com/trinedb/trine/schema"
)

// cache holds the chunks that were read last from the store, up to a number of
// bytes in memory. It is safe for concurrent use.
type cache struct {
	limit int64

	mu    sync.Mutex
	bytes int64
	used  list.List // of *cached, the last used first
	items map[uint64]*list.Element
}

type cached struct {
	n    uint64
	ck   *schema.Chunk
	size int64
}

func (c *cache) get(n uint64) *schema.Chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[n]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*cached).ck
}

func (c *cache) put(n uint64, ck *schema.Chunk, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.items[n] != nil || size > c.limit {
		return
	}
	if c.items == nil {
		c.items = map[uint64]*list.Element{}
	}
	c.items[n] = c.used.PushFront(&cached{n, ck, size})
	for c.bytes += size; c.bytes > c.limit; {
		e := c.used.Back()
		old := c.used.Remove(e).(*cached)
		delete(c.items, old.n)
		c.bytes -= old.size
	}
}
