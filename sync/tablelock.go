package sync

import (
	stdsync "sync"

	"github.com/trinedb/trine/schema"
)

// tableLocks holds a lock for each collection that is being flushed or pinned
// right now, and none for the others.
type tableLocks struct {
	mu   stdsync.Mutex
	live map[schema.Instance]*tableLock
}

// tableLock orders what touches one collection's table.
//
// commit is held by the one committer. pin is held shared while a scan picks
// its snapshot, its changes and the places of the rows they supersede, and
// exclusively while a commit makes its snapshot current and records the new
// places: the three always fit together.
type tableLock struct {
	refs   int
	commit stdsync.Mutex
	pin    stdsync.RWMutex
}

// acquire finds or makes the lock of inst. Each acquire wants its release.
func (t *tableLocks) acquire(inst schema.Instance) *tableLock {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil {
		t.live = map[schema.Instance]*tableLock{}
	}
	l, ok := t.live[inst]
	if !ok {
		l = &tableLock{}
		t.live[inst] = l
	}
	l.refs++
	return l
}

func (t *tableLocks) release(inst schema.Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.live[inst]
	if l.refs--; l.refs == 0 {
		delete(t.live, inst)
	}
}
