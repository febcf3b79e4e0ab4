package registry

import (
	"fmt"
	"hash/maphash"
	stdsync "sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trinedb/trine/schema"
)

// cache keeps collections by the key of their name, and never one that is not,
// or not any more, what a reader of the index would find.
//
// A change is durable, and met by readers, before its append returns. So from
// before the append until after it nothing is kept under its keys; and what a
// reader found is kept only if no change of the key began since the reader did.
// Changes are counted by slot, many keys to one: a false alarm costs a reading.
//
// An append whose outcome is unknown may land at any time after. Nothing at all
// is kept then until a change has landed that began later: the log has decided
// about the first by then.
type cache struct {
	collections *lru.Cache[string, *schema.Collection]
	seed        maphash.Seed

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

func newCache(size int) (*cache, error) {
	collections, err := lru.New[string, *schema.Collection](size)
	if err != nil {
		return nil, fmt.Errorf("cached collections %d: %w", size, err)
	}
	return &cache{collections: collections, seed: maphash.MakeSeed()}, nil
}

func (c *cache) slot(key string) *slot {
	return &c.slots[maphash.String(c.seed, key)%uint64(len(c.slots))]
}

func (c *cache) get(key string) (*schema.Collection, bool) { return c.collections.Get(key) }

// sight is called before a reader looks into the index.
func (c *cache) sight(key string) sighting {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sighting{c.slot(key).changes, c.settled}
}

// found keeps what a reader found there, if that still has to be so.
func (c *cache) found(key string, coll *schema.Collection, seen sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slot(key)
	if s.open == 0 && c.doubt == 0 && seen == (sighting{s.changes, c.settled}) {
		c.collections.Add(key, coll)
	}
}

// begin is called before a change of keys is appended, and numbers it.
func (c *cache) begin(keys []string) uint64 {
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
		c.collections.Remove(key)
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
// landed.
func (c *cache) end(change uint64, keys []string, o outcome, after func() map[string]*schema.Collection) {
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
	if o != landed || c.doubt != 0 {
		return
	}
	for key, coll := range after() {
		// Where another change came in between, readers will find which was last.
		if c.slot(key).alone == change {
			c.collections.Add(key, coll)
		}
	}
}
