package kvindex

import "github.com/trinedb/trine/schema"

// Stage adds a batch that was sequenced into the chunk at pos: GetSequenced
// sees it from now on, nobody else before Publish. It keeps the records'
// bytes, which must not change. Only keyed records are staged.
func (x *Index) Stage(pos schema.Position, groups []schema.Group) {
	x.mu.Lock()
	c := x.overlay.chunk(pos)
	x.mu.Unlock()
	x.stage(c, groups)
}

// stage adds groups to a chunk. Those given in one call were sequenced in an order
// that is not known, before those of the next call.
func (x *Index) stage(c *stagedChunk, groups []schema.Group) {
	for i := range groups {
		g := &groups[i]
		if g.Instance == schema.InstanceCollections {
			x.stageDefinitions(c, g, groups)
		}
		entries := x.stagedEntries(g)
		x.mu.Lock()
		x.overlay.stage(&x.mu, c, g, entries)
		x.mu.Unlock()
	}
}

// Publish shows a chunk that is durable now, and all before it, to every
// reader. A chunk that was not staged is staged by it. Publishing again, or a
// chunk that is applied, does nothing.
func (x *Index) Publish(c *schema.Chunk) {
	x.mu.Lock()
	if c.Position.Compare(x.view.Load().durable.pos) <= 0 {
		x.mu.Unlock()
		return
	}
	staged := x.overlay.chunk(c.Position)
	unstaged := len(staged.versions) == 0
	x.mu.Unlock()
	if unstaged {
		x.stage(staged, c.Groups)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	staged.timeMicros = c.TimeMicros
	v := *x.view.Load()
	v.tree, v.entries = x.overlay.tree.IsoCopy(), x.overlay.entries.IsoCopy()
	v.durable = &stagedChunk{pos: c.Position}
	x.view.Store(&v)
}

// Discard forgets the staged chunks at or above from, which never become
// durable. Published ones stay.
func (x *Index) Discard(from schema.Position) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if durable := x.view.Load().durable.pos; from.Compare(durable) <= 0 {
		from = durable
		from.Chunk++
	}
	for _, c := range x.overlay.takeFrom(from) {
		x.overlay.remove(&x.mu, c)
	}
	x.evict()
}

// advance shows readers what was committed through ts, and when a chunk is
// applied by that, moves Applied and lets go of the overlay's copy.
func (x *Index) advance(ts uint64, applied schema.Position) {
	x.mu.Lock()
	defer x.mu.Unlock()
	v := *x.view.Load()
	v.ts = ts
	moved := applied.Compare(v.applied) > 0
	if moved {
		v.applied = applied
		close(x.moved)
		x.moved = make(chan struct{})
	}
	x.view.Store(&v)
	if !moved {
		return
	}
	// The engine's copy is in every view from here on, so views may or may not
	// have what goes now.
	for _, c := range x.overlay.takeThrough(applied) {
		x.overlay.retire(c)
	}
	x.evict()
}

// evict lets go of what the overlay has of applied chunks, when it is time. x.mu is
// held.
func (x *Index) evict() {
	if x.overlay.evict(&x.mu) {
		v := *x.view.Load()
		v.tree, v.entries = x.overlay.tree.IsoCopy(), x.overlay.entries.IsoCopy()
		x.view.Store(&v)
	}
}
