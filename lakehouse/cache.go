package lakehouse

import (
	"container/list"
	"sync"
)

// cache keeps the newest known version of recently used tables, within a
// bound of bytes as snapshots estimate them. It is a cache only: losing an
// entry costs reading it back.
type cache struct {
	mu    sync.Mutex
	bound int64
	bytes int64
	order *list.List // of *Snapshot, most recently used first
	byKey map[tablePath]*list.Element
}

func newCache(bound int64) *cache {
	return &cache{bound: bound, order: list.New(), byKey: map[tablePath]*list.Element{}}
}

func (c *cache) get(key tablePath) *Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*Snapshot)
}

// put keeps s unless a newer version of its table is there.
func (c *cache) put(s *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[s.table]; e != nil {
		if e.Value.(*Snapshot).version >= s.version {
			return
		}
		c.removeLocked(e)
	}
	c.byKey[s.table] = c.order.PushFront(s)
	c.bytes += s.weight
	for c.bytes > c.bound && c.order.Len() > 1 {
		c.removeLocked(c.order.Back())
	}
}

func (c *cache) drop(key tablePath) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil {
		c.removeLocked(e)
	}
}

func (c *cache) removeLocked(e *list.Element) {
	s := c.order.Remove(e).(*Snapshot)
	delete(c.byKey, s.table)
	c.bytes -= s.weight
}
