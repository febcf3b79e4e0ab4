package kvindex

import "github.com/trinedb/trine/schema"

// Stage adds a batch that was sequenced into the chunk at pos: GetSequenced
// sees it from now on, nobody else before Publish. It keeps the records'
// bytes, which must not change. Only keyed records are staged.
func (x *Index) Stage(pos schema.Position, groups []schema.Group) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.overlay.stage(&x.mu, x.overlay.chunk(pos), groups)
}

// Publish shows a chunk that is durable now, and all before it, to every
// reader. A chunk that was not staged is staged by it. Publishing again, or a
// chunk that is applied, does nothing.
func (x *Index) Publish(c *schema.Chunk) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c.Position.Compare(x.view.Load().durable.pos) <= 0 {
		return
	}
	staged := x.overlay.chunk(c.Position)
	if len(staged.versions) == 0 {
		x.overlay.stage(&x.mu, staged, c.Groups)
	}
	staged.timeMicros = c.TimeMicros
	v := *x.view.Load()
	v.tree = x.overlay.tree.IsoCopy()
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
	evicted := 0
	for _, c := range x.overlay.takeThrough(applied) {
		evicted += len(c.versions)
		x.overlay.remove(&x.mu, c)
	}
	if evicted > 0 {
		v := *x.view.Load()
		v.tree = x.overlay.tree.IsoCopy()
		x.view.Store(&v)
	}
}
