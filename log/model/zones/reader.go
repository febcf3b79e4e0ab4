package zones

import "github.com/trinedb/trine/log/model/explore"

// reader reads the log in order, from one zone as far as that may be believed,
// else from two. It has a copy of the head, of some age.
type reader struct {
	next number
	zone uint8
	head head
	fold fold
}

func (w *World) stepReader(i uint8, r uint32) {
	c := &w.readers[i]
	if r%8 == 0 {
		c.head = w.head
		return
	}
	if c.next >= lastNumber {
		return
	}
	if w.trimmed(c) {
		return
	}
	one := r>>3%2 == 0
	if one {
		w.readOne(c)
		return
	}
	a := uint8(r >> 4 % zoneCount)
	w.readTwo(c, a, (a+1)%zoneCount)
}

// valid reports whether a reader may count a chunk at its number.
func (w *World) valid(c *reader, o *object) bool {
	return o.kind == data && (!w.Rules.Void || o.epoch == c.head.ownerOf(c.next))
}

// readOne reads one zone. A decided number can only hold the chunk that counts
// or something void; one that is not decided has to be vouched for by a later
// chunk in the zone.
func (w *World) readOne(c *reader) {
	o := &w.zones[c.zone][c.next]
	if !w.valid(c, o) || c.next > c.head.sealed && !w.vouched(c, o) {
		return
	}
	w.deliver(c, o)
}

func (w *World) vouched(c *reader, o *object) bool {
	if !w.Rules.StopUpto {
		return true
	}
	for n := c.next + 1; n < lastNumber; n++ {
		v := &w.zones[c.zone][n]
		if v.kind == data && v.upto >= c.next && (v.epoch == o.epoch || !w.Rules.VouchOwn) {
			return true
		}
	}
	return false
}

// readTwo reads two zones. In a decided number one of them has what counts, if
// anything does; in another both must.
func (w *World) readTwo(c *reader, a, b uint8) {
	x, y := &w.zones[a][c.next], &w.zones[b][c.next]
	xs, ys := w.valid(c, x), w.valid(c, y)
	switch {
	case c.next > c.head.sealed && (!xs || !ys || x.put != y.put):
	case xs:
		w.deliver(c, x)
	case ys:
		w.deliver(c, y)
	default:
		c.next++
	}
}

func (w *World) deliver(c *reader, o *object) {
	if w.tell != nil {
		w.say("reader takes %v at %d", *o, c.next)
	}
	c.fold.apply(o)
	c.next++
	if c.fold.bad != explore.None {
		w.violate(c.fold.bad, "a reader of the log saw it")
	}
}

// Finish implements explore.World: with any one zone away, the log holds what
// was acknowledged and what readers saw.
func (w *World) Finish() {
	if !w.Rules.Record || w.violation.Kind != explore.None {
		return
	}
	for away := range uint8(zoneCount) {
		a, b := (away+1)%zoneCount, (away+2)%zoneCount
		c := reader{next: w.head.floor + 1, fold: w.head.floorFold, head: w.head}
		for c.next < lastNumber {
			for i := range w.readers {
				if r := &w.readers[i]; r.next == c.next && r.fold.seen != c.fold.seen {
					w.violate(explore.Exposed, "a reader saw other chunks than those that count")
				}
			}
			if n := c.next; n > w.head.sealed {
				if o := &w.zones[a][n]; w.valid(&c, o) {
					w.deliver(&c, o)
				} else if o := &w.zones[b][n]; w.valid(&c, o) {
					w.deliver(&c, o)
				} else {
					break
				}
				continue
			}
			w.readTwo(&c, a, b)
		}
		for i := range w.acked {
			if w.acked[i]&^c.fold.seen[i] != 0 {
				w.violate(explore.Lost, "an acknowledged write is not in the log")
			}
		}
	}
}
