package kvindex

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/tidwall/btree"

	"github.com/trinedb/trine/schema"
)

// Index is an open key index. It is safe for concurrent use; Stage, Publish
// and Discard are for the log's writer alone, in order.
type Index struct {
	opts Options
	eng  engine
	lock *dirLock
	gate gate

	// writing serialises all that commits: Apply, RecordFlush, Drop, reclaim.
	// Who holds it sees every commit before, for none is in flight when it is
	// released, and owns the fields below.
	writing   sync.Mutex
	batches   [2]batch  // Apply's, kept for their memory
	ahead     lookahead // the same
	nextTS    uint64
	commits   int   // since discard was last moved
	failed    error // of the first commit that failed: the engine's state is not known
	progress  progress
	ungrouped schema.Position // pointers to chunks up to it were dropped
	tallies   tallies         // of collections that were applied to last
	rows      *rowMemory

	// mu guards what readers' views are made from. It is held briefly; views
	// themselves are immutable.
	mu      sync.Mutex
	overlay overlay
	pinned  map[uint64]int // timestamps that views in use read at
	moved   chan struct{}  // closed and replaced when applied moves
	view    atomic.Pointer[view]

	dropped atomic.Pointer[dropped]
	reclaim *reclaimer

	sets      *lru.Cache[schema.Instance, *secondaries] // as committed; changed under mu
	guarded   map[secondaryRef]struct{}                 // unique ones that may have been ready; under mu
	unindexed atomic.Pointer[error]                     // why staged rows have no entries
	build     *builder

	damage sync.Once // the first damage that was met while open
}

// cachedSecondaries is of how many collections it is remembered which secondary
// indexes they have, most often none.
const cachedSecondaries = 10_000

// view is a consistent state: the overlay through durable over the engine as
// of ts. The engine then holds every chunk at or below applied, and of those
// between applied and durable any part, which the overlay hides.
type view struct {
	tree    *btree.BTreeG[*version]     // never written to
	entries *btree.BTreeG[*stagedEntry] // never written to
	durable *stagedChunk                // a pivot for lookups at the durable position
	applied schema.Position
	ts      uint64
}

// Open opens the index in o.Dir, or makes an empty one. A directory that is
// damaged beyond use is ErrCorrupt, one that another process has open is
// ErrUnavailable; with less than half the watermark of free space it fails with
// ErrNoSpace rather than have the kernel kill the process.
func Open(o Options) (*Index, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	eng, lock, err := openDir(o)
	if err != nil {
		return nil, fmt.Errorf("open index %s: %w", o.Dir, err)
	}
	x := &Index{
		opts: o, eng: eng, lock: lock,
		nextTS: eng.last() + 1, overlay: newOverlay(),
		pinned: make(map[uint64]int), moved: make(chan struct{}), guarded: make(map[secondaryRef]struct{}),
	}
	x.rows = newRowMemory(o)
	x.gate.init()
	x.build = newBuilder(x)
	if x.sets, err = lru.New[schema.Instance, *secondaries](cachedSecondaries); err != nil {
		return nil, errors.Join(fmt.Errorf("open index %s: %w", o.Dir, err), eng.Close(), lock.release())
	}
	if err := x.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open index %s: %w", o.Dir, err), eng.Close(), lock.release())
	}
	x.reclaim = startReclaim(x)
	return x, nil
}

// load reads what is kept in memory: the position and what is to be reclaimed.
func (x *Index) load() error {
	val, ok, err := x.eng.get(latest, nil, positionKey)
	if err != nil {
		return corrupt("read position", err)
	}
	if ok {
		if x.progress, err = decodeProgress(val); err != nil {
			return err
		}
	}
	if err := x.loadUngrouped(); err != nil {
		return err
	}
	dropped := new(dropped)
	c := x.eng.iterate(latest, []byte{byte(spaceReclaim)}, false)
	for c.seek([]byte{byte(spaceReclaim)}); c.valid(); c.next() {
		dropped.Insert(instanceOf(c.key()))
	}
	c.close()
	x.dropped.Store(dropped)
	if err := x.guardBuilds(); err != nil {
		return err
	}

	x.view.Store(&view{
		tree:    x.overlay.tree.IsoCopy(),
		entries: x.overlay.entries.IsoCopy(),
		durable: &stagedChunk{pos: x.progress.applied},
		applied: x.progress.applied,
		ts:      x.nextTS - 1,
	})
	return nil
}

// Close stops the background work, waits for operations under way and closes
// the database. Long ones end early with ErrClosed: Apply between transactions. It may be called again, also after ctx ended a call early.
// Operations begun after it fail with ErrClosed.
func (x *Index) Close(ctx context.Context) error {
	drained := x.gate.shut()
	x.reclaim.stop()
	x.build.stop()
	select {
	case <-drained:
	case <-ctx.Done():
		return fmt.Errorf("close index %s: operations under way: %w", x.opts.Dir, ctx.Err())
	}
	return x.gate.finish(func() error {
		x.reclaim.wait()
		x.build.wait()
		err := errors.Join(x.eng.Close(), x.lock.release())
		if err != nil {
			return fmt.Errorf("close index %s: %w", x.opts.Dir, err)
		}
		return nil
	})
}

// Applied is the position up to which every chunk is in Badger; stats, groups
// and answers are as of it.
func (x *Index) Applied() schema.Position { return x.view.Load().applied }

// Wait returns once Applied has reached pos.
func (x *Index) Wait(ctx context.Context, pos schema.Position) error {
	for {
		x.mu.Lock()
		applied, moved := x.view.Load().applied, x.moved
		x.mu.Unlock()
		if applied.Compare(pos) >= 0 {
			return nil
		}
		select {
		case <-moved:
		case <-x.gate.closing:
			return fmt.Errorf("wait for index position %s: %w", pos, schema.ErrClosed)
		case <-ctx.Done():
			return fmt.Errorf("wait for index position %s: %w", pos, ctx.Err())
		}
	}
}

// VerifyChecksums reads the whole index from disk and fails with ErrCorrupt on
// a checksum that is off. Reads do not check: it would double their cost.
func (x *Index) VerifyChecksums(ctx context.Context) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	if err := x.eng.verify(); err != nil {
		err = corrupt("verify index "+x.opts.Dir, err)
		x.NoteDamage(err)
		return err
	}
	return nil
}

// pin takes the current view and keeps the engine from discarding what it
// shows until unpin.
func (x *Index) pin() *view {
	x.mu.Lock()
	v := x.view.Load()
	x.pinned[v.ts]++
	x.mu.Unlock()
	return v
}

func (x *Index) unpin(v *view) {
	x.mu.Lock()
	if x.pinned[v.ts]--; x.pinned[v.ts] == 0 {
		delete(x.pinned, v.ts)
	}
	x.mu.Unlock()
}

// discardLag is how many commits the discard timestamp may lag. Moving it
// costs two locks; not moving it costs old versions.
const discardLag = 64

// discard lets go of versions that no view can read. x.writing is held.
func (x *Index) discard() {
	if x.commits++; x.commits < discardLag {
		return
	}
	x.commits = 0
	x.mu.Lock()
	ts := x.view.Load().ts
	for pinned := range x.pinned {
		ts = min(ts, pinned)
	}
	x.mu.Unlock()
	// Views taken since are at or above ts.
	x.eng.discard(ts)
}

// corrupt makes an error of the engine that is not one of ours ErrCorrupt:
// reading what was written failed.
func corrupt(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, schema.ErrCorrupt, err)
}
