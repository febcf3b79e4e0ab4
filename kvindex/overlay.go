package kvindex

import (
	"bytes"
	"sync"

	"github.com/tidwall/btree"

	"github.com/trinedb/trine/schema"
)

// overlay holds the versions of rows that Badger does not have yet, by key and
// chunk: those of chunks being filled or written (staged) and those of durable
// chunks that are not applied wholly (published). Those of chunks that are applied
// go a little later, many together. It is guarded by Index.mu; readers use the
// immutable snapshots of a view instead.
type overlay struct {
	tree    *btree.BTreeG[*version]
	entries *btree.BTreeG[*stagedEntry]              // of the versions in tree
	defined map[schema.Instance][]definedSecondaries // by the chunks; the newest last
	chunks  []*stagedChunk                           // in order of position
	retired retired
}

// stagedChunk is what the overlay has of one chunk.
type stagedChunk struct {
	pos        schema.Position
	timeMicros int64 // set before a view shows the chunk
	versions   []*version
	bytes      int // of their keys and rows
	entries    []*stagedEntry
	defined    []schema.Instance // whose secondary indexes it changes
}

// version is a row as one chunk leaves it. Of several changes of a key in a
// chunk only the last is kept: nothing ever asks for the state within a chunk.
// It does not change once its chunk is published.
type version struct {
	inst  schema.Instance
	key   []byte
	chunk *stagedChunk
	seq   schema.Seq
	row   []byte // nil when the row is gone
	gone  bool
}

func (v *version) value() Row {
	return Row{Seq: v.seq, TimeMicros: v.chunk.timeMicros, Bytes: v.row}
}

// lessVersion orders by collection, key, and then the newest chunk first.
func lessVersion(a, b *version) bool {
	if a.inst != b.inst {
		return a.inst < b.inst
	}
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	return a.chunk.pos.Compare(b.chunk.pos) > 0
}

// newest is a position above all: as a pivot it finds a key's newest version.
var newest = &stagedChunk{pos: schema.Position{Generation: ^uint32(0), Chunk: ^uint64(0)}}

func newOverlay() overlay {
	return overlay{
		tree:    newTree(lessVersion),
		entries: newTree(lessEntry),
		defined: make(map[schema.Instance][]definedSecondaries),
		retired: retired{most: maxRetired},
	}
}

func newTree[T any](less func(a, b T) bool) *btree.BTreeG[T] {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

// stageStep is how many versions go in or out under one hold of the lock, so
// that a batch of a million rows does not keep others from publishing.
const stageStep = 1024

// chunk is the staged chunk at pos, made when there is none.
func (o *overlay) chunk(pos schema.Position) *stagedChunk {
	i := len(o.chunks)
	for i > 0 && o.chunks[i-1].pos.Compare(pos) > 0 {
		i--
	}
	if i > 0 && o.chunks[i-1].pos == pos {
		return o.chunks[i-1]
	}
	c := &stagedChunk{pos: pos}
	o.chunks = append(o.chunks, nil)
	copy(o.chunks[i+1:], o.chunks[i:])
	o.chunks[i] = c
	return c
}

// stage adds the keyed records of g to c, with the entries that they have in
// secondary indexes, releasing mu now and then.
func (o *overlay) stage(mu *sync.Mutex, c *stagedChunk, g *schema.Group, entries [][]*stagedEntry) {
	for i := range g.Records {
		r := &g.Records[i]
		if len(r.Key) == 0 {
			continue
		}
		v := &version{inst: g.Instance, key: r.Key, chunk: c, seq: g.FirstSeq + schema.Seq(i), row: r.Row}
		if r.Op == schema.OpDelete {
			v.row, v.gone = nil, true
		}
		// A replaced version stays listed in c; removing it twice is harmless.
		if _, replaced := o.tree.Set(v); !replaced {
			c.versions = append(c.versions, v)
			c.bytes += len(v.key) + len(v.row)
		}
		if entries != nil {
			for _, e := range entries[i] {
				e.chunk, e.version = c, v
				o.entries.Set(e)
				c.entries = append(c.entries, e)
			}
		}
		if (i+1)%stageStep == 0 {
			mu.Unlock()
			mu.Lock()
		}
	}
}

// takeThrough forgets the chunks at or below pos and returns them.
func (o *overlay) takeThrough(pos schema.Position) []*stagedChunk {
	i := 0
	for i < len(o.chunks) && o.chunks[i].pos.Compare(pos) <= 0 {
		i++
	}
	taken := o.chunks[:i:i]
	o.chunks = append([]*stagedChunk(nil), o.chunks[i:]...)
	return taken
}

// takeFrom forgets the chunks at or above pos and returns them.
func (o *overlay) takeFrom(pos schema.Position) []*stagedChunk {
	i := len(o.chunks)
	for i > 0 && o.chunks[i-1].pos.Compare(pos) >= 0 {
		i--
	}
	taken := append([]*stagedChunk(nil), o.chunks[i:]...)
	o.chunks = o.chunks[:i:i]
	return taken
}

// lookup finds the newest version of a key at or below a position.
func lookup(tree *btree.BTreeG[*version], inst schema.Instance, key []byte, at *stagedChunk) (*version, bool) {
	if tree.Len() == 0 {
		return nil, false
	}
	var found *version
	pivot := version{inst: inst, key: key, chunk: at}
	tree.Ascend(&pivot, func(v *version) bool {
		if v.inst == inst && bytes.Equal(v.key, key) {
			found = v
		}
		return false
	})
	return found, found != nil
}

// overlayCursor walks the versions of one collection that are visible at a
// position: for each key the newest at or below it, those of rows that are
// gone included.
type overlayCursor struct {
	it      btree.IterG[*version]
	inst    schema.Instance
	at      schema.Position
	reverse bool
	more    bool     // it stands on an item not yet looked at
	cur     *version // nil: at the end
}

func newOverlayCursor(tree *btree.BTreeG[*version], inst schema.Instance, at schema.Position, r KeyRange) *overlayCursor {
	c := &overlayCursor{it: tree.Iter(), inst: inst, at: at, reverse: r.Reverse}
	if !r.Reverse {
		c.more = c.it.Seek(&version{inst: inst, key: r.From, chunk: newest})
	} else {
		// The first item at or above To, or of the next collection; the one
		// before it is the highest below.
		pivot := &version{inst: inst, key: r.To, chunk: newest}
		if r.To == nil {
			pivot = &version{inst: inst + 1, chunk: newest}
		}
		if c.it.Seek(pivot) {
			c.more = c.it.Prev()
		} else {
			c.more = c.it.Last()
		}
	}
	c.next()
	return c
}

// next moves to the next key's visible version.
func (c *overlayCursor) next() {
	last := c.cur
	c.cur = nil
	for c.more {
		v := c.it.Item()
		if v.inst != c.inst || c.cur != nil && !bytes.Equal(c.cur.key, v.key) {
			return
		}
		visible := v.chunk.pos.Compare(c.at) <= 0 && (last == nil || !bytes.Equal(last.key, v.key))
		switch {
		case c.reverse: // oldest first: the last one that is visible counts
			if visible {
				c.cur = v
			}
			c.more = c.it.Prev()
		case visible: // newest first
			c.cur = v
			c.more = c.it.Next()
			return
		default:
			c.more = c.it.Next()
		}
	}
}

// compareKeys orders keys in the direction of a walk.
func compareKeys(a, b []byte, reverse bool) int {
	if reverse {
		return -bytes.Compare(a, b)
	}
	return bytes.Compare(a, b)
}
