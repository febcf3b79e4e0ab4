package log

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// tail holds the newest chunks in memory: all that are not applied, and before
// them as many as fit. It is guarded by the channel's mutex.
type tail struct {
	first  uint64 // number of chunks[0]
	chunks []*schema.Chunk
	sizes  []int64 // in memory
	bytes  int64
}

// pushLocked adds the next chunk.
func (t *tail) pushLocked(ck *schema.Chunk, size int64) {
	if len(t.chunks) == 0 {
		t.first = ck.Position.Chunk
	}
	t.chunks = append(t.chunks, ck)
	t.sizes = append(t.sizes, size)
	t.bytes += size
}

// trimLocked drops chunks up to applied, the oldest first, until limit is met.
func (t *tail) trimLocked(applied uint64, limit int64) {
	n := 0
	for n < len(t.chunks) && t.bytes > limit && t.first+uint64(n) <= applied {
		t.bytes -= t.sizes[n]
		t.chunks[n] = nil
		n++
	}
	t.first += uint64(n)
	t.chunks, t.sizes = t.chunks[n:], t.sizes[n:]
}

func (t *tail) getLocked(n uint64) *schema.Chunk {
	if n < t.first || n-t.first >= uint64(len(t.chunks)) {
		return nil
	}
	return t.chunks[n-t.first]
}

// chunkBytes is about what a chunk takes in memory.
func chunkBytes(ck *schema.Chunk) int64 {
	n := int64(200 + 80*len(ck.Answers))
	for i := range ck.Groups {
		n += recordsBytes(ck.Groups[i].Records) + recordOverhead
	}
	return n
}

// commit makes a chunk that is durable and published visible to readers of the
// log.
func (c *Channel) commit(ck *schema.Chunk) {
	n := ck.Position.Chunk
	size := chunkBytes(ck)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.applied {
		for i := range ck.Groups {
			g := &ck.Groups[i]
			e := c.seqs.entries[g.Instance]
			if e == nil { // only in replay
				e = &seqEntry{id: g.Instance, loaded: true}
				c.seqs.entries[g.Instance] = e
			}
			e.durable, e.last = max(e.durable, g.NextSeq()), n
			e.next = max(e.next, e.durable)
		}
		c.rememberLocked(ck)
		c.unapplied.Add(size)
	}
	c.tail.pushLocked(ck, size)
	c.tail.trimLocked(c.applied, c.o.TailBytes)
	c.durable = n
	c.metrics.unapplied(c.unapplied.Load())
	c.watches.tellLocked(ck)
	close(c.moved)
	c.moved = make(chan struct{})
}

// Applied tells that State answers for everything up to pos: what the log holds
// in memory for it may go. A position before one told earlier is passed over.
func (c *Channel) Applied(pos schema.Position) {
	c.mu.Lock()
	n := min(pos.Chunk, c.durable)
	if pos.Generation != c.generation || n <= c.applied {
		c.mu.Unlock()
		return
	}
	before := c.applied
	c.applied = n
	for i := before + 1; i <= n; i++ {
		ck := c.tail.getLocked(i)
		if ck == nil {
			continue // a void chunk's place, or one that was caught up with
		}
		c.unapplied.Add(-c.tail.sizes[i-c.tail.first])
		for j := range ck.Groups {
			if e := c.seqs.entries[ck.Groups[j].Instance]; e != nil {
				c.seqs.evictLocked(e, n)
			}
		}
		for j := range ck.Answers {
			if e := c.dedup[ck.Answers[j].Key]; e != nil && e.number == i {
				delete(c.dedup, ck.Answers[j].Key)
			}
		}
	}
	c.tail.trimLocked(c.applied, c.o.TailBytes)
	c.metrics.unapplied(c.unapplied.Load())
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}: // the writer may have waited for this
	default:
	}
}

// Durable is the position of the last durable chunk.
func (c *Channel) Durable() schema.Position {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.at(c.durable)
}

// Wait returns when pos is durable. It fails with schema.ErrClosed if the
// channel ends before, and with ctx's error.
func (c *Channel) Wait(ctx context.Context, pos schema.Position) error {
	for {
		c.mu.RLock()
		durable, moved := c.at(c.durable), c.moved
		c.mu.RUnlock()
		if pos.Compare(durable) <= 0 {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for %v, at %v: %w", pos, durable, ctx.Err())
		case <-c.exited:
			if pos.Compare(c.Durable()) <= 0 {
				return nil
			}
			return fmt.Errorf("wait for %v, at %v: %w", pos, durable, schema.ErrClosed)
		}
	}
}
