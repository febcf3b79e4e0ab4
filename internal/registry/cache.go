package registry

import (
	"fmt"
	"hash/maphash"
	stdsync "sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

// cache keeps what names stand for, collections or named schemas, by the key of the
// name, and never one that is not, or not any more, what a reader of the index
// would find.
//
// A change is durable, and met by readers, before its append returns. So from
// before the append until after it nothing is kept under its keys; and what a
// reader found is kept only if no change of the key began since the reader did.
// Changes are counted by slot, many keys to one: a false alarm costs a reading.
//
// An append whose outcome is unknown may land at any time after. Nothing at all
// is kept then until a change has landed that began later: the log has decided
// about the first by then.
type cache[V comparable] struct {
	values *lru.Cache[string, V]
	seed   maphash.Seed

	mu      stdsync.Mutex
	slots   [1024]slot
	begun   uint64 // changes so far
	doubt   uint64 // changes up to this one may have an outcome that nobody knows; 0: none
	settled uint64 // how often doubt came to an end
}

type slot struct {
	changes uint64 // begun so far
	open    int    // of them not ended
	alone   uint64 // the change that is open, or ended last, if no other was open meanwhile
}

// sighting is the state of a slot when a reader began.
type sighting struct{ changes, settled uint64 }

func newCache[V comparable](size int) (*cache[V], error) {
	values, err := lru.New[string, V](size)
	if err != nil {
		return nil, fmt.Errorf("cache of %d: %w", size, err)
	}
	return &cache[V]{values: values, seed: maphash.MakeSeed()}, nil
}

func (c *cache[V]) slot(key string) *slot {
	return &c.slots[maphash.String(c.seed, key)%uint64(len(c.slots))]
}

func (c *cache[V]) get(key string) (V, bool) { return c.values.Get(key) }

// sight is called before a reader looks into the index.
func (c *cache[V]) sight(key string) sighting {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sighting{c.slot(key).changes, c.settled}
}

// found keeps what a reader found there, if that still has to be so.
func (c *cache[V]) found(key string, v V, seen sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slot(key)
	if s.open == 0 && c.doubt == 0 && seen == (sighting{s.changes, c.settled}) {
		c.values.Add(key, v)
	}
}

// refresh keeps next instead of kept, which says the same with older parts, if
// kept is still what is kept.
func (c *cache[V]) refresh(key string, kept, next V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.values.Peek(key); ok && now == kept {
		c.values.Add(key, next)
	}
}

// begin is called before a change of keys is appended, and numbers it.
func (c *cache[V]) begin(keys []string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
	for _, key := range keys {
		s := c.slot(key)
		switch {
		case s.open == 0:
			s.alone = c.begun
		case s.alone != c.begun:
			s.alone = 0
		}
		s.changes++
		s.open++
		c.values.Remove(key)
	}
	return c.begun
}

// outcome is how a change ended.
type outcome int

const (
	landed outcome = iota
	failed
	unknown
)

// end is called when the append of a change has returned. after gives what the
// keys name since, those that name nothing left out; it is asked only of what
// landed, and nil if none names anything.
func (c *cache[V]) end(change uint64, keys []string, o outcome, after func() map[string]V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case o == unknown:
		c.doubt = c.begun
	case o == landed && c.doubt != 0 && change > c.doubt:
		c.doubt = 0
		c.settled++
	}
	for _, key := range keys {
		c.slot(key).open--
	}
	if o != landed || c.doubt != 0 || after == nil {
		return
	}
	for key, v := range after() {
		// Where another change came in between, readers will find which was last.
		if c.slot(key).alone == change {
			c.values.Add(key, v)
		}
	}
}
