package model

import (
	"math/bits"

	"github.com/trinedb/trine/log/model/explore"
)

// clients is how many clients there are, each with a collection of its own.
const clients = 2

// writes is how many writes a client sends, in order.
const writes = 10

// set is a set of one client's writes.
type set uint16

func (s set) has(i uint8) bool { return s>>i&1 == 1 }

// next is the first write that is not in the set.
func (s set) next() uint8 { return uint8(bits.TrailingZeros16(^uint16(s))) }

// fold is what a prefix of the log comes to.
type fold struct {
	seen    [clients]set
	highest uint8        // epoch
	bad     explore.Kind // the first thing wrong with it
	client  uint8        // of bad
	write   uint8
}

// apply adds a chunk to the fold, as every reader does it.
func (f *fold) apply(o *object, r *Rules) {
	exposed := o.epoch < f.highest
	f.highest = max(f.highest, o.epoch)
	if o.kind != data || exposed && r.Void {
		return
	}
	s := &f.seen[o.client]
	switch {
	case s.has(o.write):
		f.spoil(explore.Doubled, o)
	case s.next() != o.write:
		f.spoil(explore.Reordered, o)
	case exposed:
		f.spoil(explore.Exposed, o)
	}
	*s |= 1 << o.write
}

func (f *fold) spoil(k explore.Kind, o *object) {
	if f.bad == explore.None {
		f.bad, f.client, f.write = k, o.client, o.write
	}
}

// cursor reads the log in order. What it read ahead counts only once the floor
// was seen to be below it: above the floor nothing was ever deleted, so that no
// name there was used twice.
type cursor struct {
	next, aheadNext number
	fold, ahead     fold
}

// seek puts the cursor behind what the head's archive holds.
func (c *cursor) seek(h *head, r *Rules) {
	c.next, c.fold = h.floor+1, h.archive
	if !r.SaveEpoch {
		c.fold.highest = 0
	}
	c.aheadNext, c.ahead = c.next, c.fold
}

// read reads the next chunk, and reports whether there is one.
func (c *cursor) read(w *World) bool {
	o := &w.chunks[c.aheadNext]
	if o.kind == absent || c.aheadNext == lastNumber {
		return false
	}
	c.ahead.apply(o, &w.Rules)
	c.aheadNext++
	return true
}

// settle reads the head and with it decides about what was read ahead. It
// reports false if the cursor had to begin anew. hole says that the last read
// found no chunk: that alone makes a reader without ReadFloor look at the head.
func (c *cursor) settle(w *World, hole bool) bool {
	believe := w.head.floor < c.next
	if !w.Rules.ReadFloor {
		believe = !hole || w.head.floor < c.aheadNext
	}
	if !believe {
		c.seek(&w.head, &w.Rules)
		return false
	}
	c.next, c.fold = c.aheadNext, c.ahead
	if c.fold.bad != explore.None {
		w.spoiled(&c.fold)
	}
	return true
}
