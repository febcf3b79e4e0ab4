package zones

// gc is what moves what is decided on: an owner that tells the head what is
// durable, and the deletion of what an index has.
type gc struct {
	at   number // next to be deleted, up to the floor
	zone uint8
}

// advance lets an owner that serves put into the head that what it has durable is
// decided, so that the next take-over need not look at it.
func (w *World) advance(i uint8) {
	o := &w.writers[i]
	h := &w.head
	if h.epoch != o.epoch {
		w.stepDown(i, "finds another's epoch in the head")
		return
	}
	n := o.oldest() - 1
	if !w.Rules.AdvanceDurable {
		n = o.next - 1
	}
	if n <= h.sealed {
		return
	}
	h.version++
	h.sealed, h.archive = n, fold{seen: o.known}
	if w.tell != nil {
		w.say("writer %d tells the head that it is decided up to %d", i, n)
	}
}

// stepGC raises the floor for an owner, or deletes a chunk in one zone.
func (w *World) stepGC(r uint32) {
	g := &w.gc
	h := &w.head
	switch {
	case g.at <= w.swept():
		w.sweep(r)
	case h.sealed > h.floor && w.Rules.Record:
		if i := uint8((r >> 8) % writers); w.writers[i].phase == serving && w.writers[i].epoch == h.epoch {
			h.version++
			h.floor, h.floorFold = h.sealed, h.archive
			if w.tell != nil {
				w.say("writer %d raises the floor to %d", i, h.floor)
			}
		}
	}
}

// swept is up to where GC may delete.
func (w *World) swept() number {
	if !w.Rules.FloorFirst {
		return w.head.sealed
	}
	return w.head.floor
}

func (w *World) sweep(r uint32) {
	g := &w.gc
	keep := w.Rules.KeepMarkers && w.firstDead(g.at)
	if away := r%16 == 0; !keep && !away { // a zone that is away keeps it
		if w.tell != nil && w.zones[g.zone][g.at].kind != absent {
			w.say("GC deletes %v at %d in zone %c", w.zones[g.zone][g.at], g.at, 'A'+g.zone)
		}
		w.zones[g.zone][g.at] = object{}
	}
	if g.zone++; g.zone == zoneCount {
		g.zone = 0
		g.at++
	}
}

// firstDead reports whether a take-over found nothing at a number, and so began
// to own what follows.
func (w *World) firstDead(n number) bool {
	for e := range w.head.begins {
		if w.head.begins[e] == n {
			return true
		}
	}
	return false
}

// trimmed lets a reader begin behind the floor, with an index that has what is
// below. It reports whether it had to.
func (w *World) trimmed(c *reader) bool {
	h := &w.head
	if !w.Rules.FloorAfter {
		h = &c.head
	}
	if c.next > h.floor {
		return false
	}
	c.head = w.head
	c.next, c.fold = c.head.floor+1, c.head.floorFold
	return true
}
