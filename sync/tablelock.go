package sync

import (
	"context"
	"fmt"
	stdsync "sync"

	"golang.org/x/sync/semaphore"

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
// places: the three always fit together. A scan that waits for a commit, or the
// other way round, is served in the order of coming, and gives up when its ctx
// ends: a flush may take minutes, and a load of a table has a deadline.
type tableLock struct {
	refs   int
	commit *semaphore.Weighted
	pin    *semaphore.Weighted // one for a scan, all for a commit
	// forward is set while the index is told of rows that were moved. It is read
	// with pin held shared, or commit, and changed with both held.
	forward *forward
}

// pins is how many scans may pin one collection at a time.
const pins = 1 << 30

func newTableLock() *tableLock {
	return &tableLock{commit: semaphore.NewWeighted(1), pin: semaphore.NewWeighted(pins)}
}

// lockCommit is for the one committer; the function that it gives unlocks.
func (l *tableLock) lockCommit(ctx context.Context) (unlock func(), err error) {
	if err := l.commit.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("wait for another flush: %w", err)
	}
	return func() { l.commit.Release(1) }, nil
}

// pinShared keeps snapshot and places as they are.
func (l *tableLock) pinShared(ctx context.Context) (unlock func(), err error) {
	if err := l.pin.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("wait for a commit: %w", err)
	}
	return func() { l.pin.Release(1) }, nil
}

// pinAlone is for changing snapshot and places together.
func (l *tableLock) pinAlone(ctx context.Context) (unlock func(), err error) {
	if err := l.pin.Acquire(ctx, pins); err != nil {
		return nil, fmt.Errorf("wait for scans to pin: %w", err)
	}
	return func() { l.pin.Release(pins) }, nil
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
		l = newTableLock()
		t.live[inst] = l
	}
	l.refs++
	return l
}

// busy reports whether the lock of inst is held or waited for.
func (t *tableLocks) busy(inst schema.Instance) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[inst] != nil
}

func (t *tableLocks) release(inst schema.Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.live[inst]
	if l.refs--; l.refs == 0 {
		delete(t.live, inst)
	}
}
