package log

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/trinedb/trine/schema"
)

// seqs knows the next Seq of every collection that has changes which State does
// not answer for, or batches under way; all others it asks State for. An entry
// goes when neither holds any more, so an idle collection costs nothing.
//
// Why pinning is enough: an entry that does not exist means that State is right.
// Whoever needs one makes it before asking State, and everybody who sequences
// goes through it, so what State said cannot have become stale.
//
// The entries' fields, but for load, are guarded by the channel's mutex.
type seqs struct {
	state   State
	entries map[schema.Instance]*seqEntry
	most    int // entries since it last gave memory back
}

type seqEntry struct {
	id      schema.Instance
	next    schema.Seq // what the writer gives next
	durable schema.Seq // after the last durable change
	last    uint64     // number of the chunk with the last durable change; 0 if State answers for it
	pins    int        // batches under way
	loaded  bool

	load sync.Mutex // one asks State at a time
}

// pinLocked makes sure that the collection has an entry, and keeps it.
func (s *seqs) pinLocked(id schema.Instance) *seqEntry {
	e := s.entries[id]
	if e == nil {
		e = &seqEntry{id: id}
		s.entries[id] = e
		s.most = max(s.most, len(s.entries))
	}
	e.pins++
	return e
}

func (s *seqs) unpinLocked(e *seqEntry, applied uint64) {
	e.pins--
	s.evictLocked(e, applied)
}

// evictLocked drops an entry that says nothing that State does not.
func (s *seqs) evictLocked(e *seqEntry, applied uint64) {
	if e.pins == 0 && (!e.loaded || e.next == e.durable && e.last <= applied) && s.entries[e.id] == e {
		delete(s.entries, e.id)
		s.shrinkLocked()
	}
}

// minShrink is a number of entries whose memory is not worth giving back.
const minShrink = 4096

// shrinkLocked gives memory back after a burst of collections: a map keeps what
// it ever grew to. It moves fewer entries than were dropped since the last time.
func (s *seqs) shrinkLocked() {
	if s.most < minShrink || len(s.entries) > s.most/4 {
		return
	}
	fewer := make(map[schema.Instance]*seqEntry, len(s.entries))
	maps.Copy(fewer, s.entries)
	s.entries, s.most = fewer, len(fewer)
}

// pin pins a collection's entry and makes sure that it is known.
func (c *Channel) pin(ctx context.Context, id schema.Instance) (*seqEntry, error) {
	c.mu.Lock()
	e := c.seqs.pinLocked(id)
	loaded := e.loaded
	c.mu.Unlock()
	if loaded {
		return e, nil
	}
	e.load.Lock()
	defer e.load.Unlock()
	c.mu.RLock()
	loaded = e.loaded
	c.mu.RUnlock()
	if loaded {
		return e, nil
	}
	next, err := c.seqs.state.NextSeq(ctx, id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.seqs.unpinLocked(e, c.applied)
		return nil, fmt.Errorf("next seq of instance %d: %w", id, err)
	}
	e.next, e.durable, e.loaded = next, next, true
	return e, nil
}

// unpin lets go of entries.
func (c *Channel) unpin(entries ...*seqEntry) {
	if len(entries) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		c.seqs.unpinLocked(e, c.applied)
	}
}

// NextSeq is the Seq after the last durable one of a collection.
func (c *Channel) NextSeq(ctx context.Context, id schema.Instance) (schema.Seq, error) {
	e, err := c.pin(ctx, id)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.seqs.unpinLocked(e, c.applied)
	return e.durable, nil
}

// NextSequenced is the Seq that the next record of a collection gets. It is for
// Decide, about a collection that the batch had a group of.
func (c *Channel) NextSequenced(id schema.Instance) (schema.Seq, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.seqs.entries[id]
	if e == nil || !e.loaded {
		return 0, fmt.Errorf("next seq of instance %d: its collection is not one of the batch's: %w", id, schema.ErrInvalid)
	}
	return e.next, nil
}
