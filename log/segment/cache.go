package segment

import (
	"container/list"
	"context"
	"fmt"
	"sync"
)

// cache holds the Readers that were used last, up to a number of bytes in
// memory. It is safe for concurrent use.
type cache struct {
	limit int64
	open  func(context.Context, Ref) (*Reader, error)

	mu    sync.Mutex
	bytes int64
	used  list.List // of *cached, the last used first
	items map[Ref]*list.Element
}

type cached struct {
	ref  Ref
	size int64 // 0 until it is loaded

	load   chan struct{} // holds a token while somebody reads the tail
	reader *Reader       // guarded by load
}

// get opens a segment, or finds it open. A segment too large for the cache is
// opened each time.
func (c *cache) get(ctx context.Context, ref Ref) (*Reader, error) {
	e := c.entry(ref)
	select {
	case e.load <- struct{}{}:
		defer func() { <-e.load }()
	case <-ctx.Done():
		return nil, fmt.Errorf("open segment %v: %w", ref, ctx.Err())
	}
	if e.reader != nil {
		return e.reader, nil
	}
	r, err := c.open(ctx, ref)
	if err != nil {
		c.drop(ref)
		return nil, err
	}
	e.reader = r
	c.grew(e, r.Memory())
	return r, nil
}

func (c *cache) entry(ref Ref) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.items[ref]; e != nil {
		c.used.MoveToFront(e)
		return e.Value.(*cached)
	}
	if c.items == nil {
		c.items = map[Ref]*list.Element{}
	}
	e := &cached{ref: ref, load: make(chan struct{}, 1)}
	c.items[ref] = c.used.PushFront(e)
	return e
}

// grew counts an entry that was loaded, and drops what was not used for longest.
func (c *cache) grew(e *cached, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.items[e.ref]; el == nil || el.Value.(*cached) != e {
		return // dropped meanwhile
	}
	e.size = size
	for c.bytes += size; c.bytes > c.limit; {
		c.removeLocked(c.used.Back())
	}
}

func (c *cache) drop(ref Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(c.items[ref])
}

func (c *cache) removeLocked(el *list.Element) {
	if el == nil {
		return
	}
	e := c.used.Remove(el).(*cached)
	delete(c.items, e.ref)
	c.bytes -= e.size
}
