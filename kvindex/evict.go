package kvindex

import (
	"sync"

	"github.com/tidwall/btree"

	"github.com/trinedb/trine/schema"
)

// retired are chunks that are applied and still in the overlay, the first ones of
// all: a version must not stay when a newer one of its row goes. To take versions
// out one by one costs as much as a seventh of applying them; when all have been
// applied, or most, it need not be done.
type retired struct {
	chunks   []*stagedChunk
	versions int
	bytes    int // of keys and rows
	most     int // versions
}

// Bounds of what waits to be taken out.
const (
	maxRetired      = 16 << 10 // versions
	maxRetiredBytes = 4 << 20  // keys and rows
)

// retire takes note that a chunk is applied, of which the engine tells now. It is
// the first one of those that are left.
func (o *overlay) retire(c *stagedChunk) {
	o.undefineAll(c)
	o.retired.chunks = append(o.retired.chunks, c)
	o.retired.versions += len(c.versions)
	o.retired.bytes += c.bytes
}

// evict takes the retired chunks out if that is cheap, or they are many. It
// reports whether it did.
func (o *overlay) evict(mu *sync.Mutex) bool {
	r := &o.retired
	switch left := o.tree.Len() - r.versions; {
	case len(r.chunks) == 0:
		return false
	case len(o.chunks) == 0:
		o.tree, o.entries = newTree(lessVersion), newTree(lessEntry)
	case r.versions < r.most && r.bytes < maxRetiredBytes:
		return false
	case left < r.versions:
		last := r.chunks[len(r.chunks)-1].pos
		o.tree = sift(o.tree, lessVersion, func(v *version) bool { return v.chunk.pos.Compare(last) > 0 })
		o.entries = sift(o.entries, lessEntry, func(e *stagedEntry) bool { return e.chunk.pos.Compare(last) > 0 })
	default:
		for _, c := range r.chunks {
			o.takeOut(mu, c)
		}
	}
	for _, c := range r.chunks {
		c.versions, c.entries = nil, nil // a view that still shows one version keeps c alive
	}
	*r = retired{most: r.most}
	return true
}

// sift is a tree of the items of another that stay.
func sift[T any](tree *btree.BTreeG[T], less func(a, b T) bool, stays func(T) bool) *btree.BTreeG[T] {
	next := newTree(less)
	tree.Scan(func(item T) bool {
		if stays(item) {
			next.Load(item)
		}
		return true
	})
	return next
}

// remove takes a chunk out that was never published.
func (o *overlay) remove(mu *sync.Mutex, c *stagedChunk) {
	o.takeOut(mu, c)
	o.undefineAll(c)
	c.versions, c.entries = nil, nil
}

// takeOut deletes c's versions and entries, releasing mu now and then.
func (o *overlay) takeOut(mu *sync.Mutex, c *stagedChunk) {
	for i, v := range c.versions {
		o.tree.Delete(v)
		if (i+1)%stageStep == 0 {
			mu.Unlock()
			mu.Lock()
		}
	}
	for i, e := range c.entries {
		o.entries.Delete(e)
		if (i+1)%stageStep == 0 {
			mu.Unlock()
			mu.Lock()
		}
	}
}

// undefineAll forgets what a chunk made of the indexes of collections.
func (o *overlay) undefineAll(c *stagedChunk) {
	var insts []schema.Instance
	insts, c.defined = c.defined, nil
	for _, inst := range insts {
		o.undefine(inst, c)
	}
}
