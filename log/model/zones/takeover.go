package zones

import "github.com/trinedb/trine/log/model/explore"

// take is the state of a take-over.
type take struct {
	version uint8  // of the head
	owner   uint8  // epoch of the owner before
	at      number // that is being sealed
	first   number // dead one; 0: none yet
	highest uint8  // epoch met, without Record
	zone    [zoneCount]sealed
	chunk   object // seen at at
	fold    fold
}

// sealed is what is known of one number in one zone.
type sealed struct {
	asked bool // a PUT is on its way
	none  bool // sealed, and holds no chunk that counts
	seen  bool // holds one
	met   uint8
	// version is that of our marker, 0 if something void is there.
	version uint8
}

func (w *World) takeOver(i uint8, r uint32) {
	o := &w.writers[i]
	switch o.phase {
	case idle:
		if r%16 == 0 && w.head.epoch < maxEpoch {
			o.version, o.phase = w.head.version, swapHead
		}
	case swapHead:
		w.swapHead(i)
	case sealing:
		w.seal(i, r)
	case copying:
		w.copy(i, r)
	case record:
		w.record(i)
	}
}

func (w *World) swapHead(i uint8) {
	o := &w.writers[i]
	h := &w.head
	if h.version != o.version {
		o.phase = idle
		return
	}
	h.epoch++
	h.version++
	o.epoch, o.phase = h.epoch, sealing
	o.take = take{version: h.version, owner: h.owner, at: h.sealed + 1, fold: h.archive}
	if w.tell != nil {
		w.say("writer %d raises the epoch to %d, seals from %d", i, o.epoch, o.at)
	}
}

// counts reports whether a chunk at a number that is not yet decided counts.
func (w *World) counts(o *writer, c *object) bool {
	if w.Rules.Record {
		return c.epoch == o.owner
	}
	return c.epoch >= o.highest
}

// look reads one zone; it reports false if the take-over is at its end.
func (w *World) look(i, z uint8) bool {
	o := &w.writers[i]
	c := &w.zones[z][o.at]
	s := &o.zone[z]
	p := put{zone: z, number: o.at, writer: i, life: o.life, slot: takeoverSlot, obj: object{kind: marker, epoch: o.epoch}}
	switch {
	case c.epoch > o.epoch:
		w.stepDown(i, "meets a higher epoch")
		return false
	case c.kind == data && w.counts(o, c):
		s.seen, s.none, o.chunk = true, false, *c
	case c.kind == data:
		s.none, s.version = true, 0
	case c.kind == marker && c.epoch == o.epoch:
		s.none, s.version = true, c.version
	case c.kind == marker && !w.Rules.SealOver:
		s.none, s.version, s.met = true, c.version, c.epoch
	default:
		s.met = c.epoch
		s.asked, p.ifMatch, p.late = true, c.version, (w.lastPut+z)%4 == 0
		w.lastPut++
		p.obj.put = w.lastPut
		w.send(p)
	}
	return true
}

// seal makes one step of sealing the number at hand.
func (w *World) seal(i uint8, r uint32) {
	o := &w.writers[i]
	z := uint8(r % zoneCount)
	s := &o.zone[z]
	switch r >>= 8; {
	case s.asked:
		s.asked = r%16 != 0
		return
	case !s.none && !s.seen && !w.look(i, z):
		return
	}
	have, seen, met := 0, 0, 0
	highest := o.highest
	for j := range o.zone {
		s := &o.zone[j]
		if s.none || s.seen {
			have++
		}
		if s.seen {
			seen++
		}
		if s.met > 0 {
			met++
			highest = max(highest, s.met)
		}
	}
	need, want := quorum, 1
	if !w.Rules.SealTwo {
		need = 1
	}
	if !w.Rules.AdoptAny {
		want = quorum
	}
	switch {
	case have < need:
	case seen >= want && o.first == 0:
		o.phase = copying
	case !w.Rules.Record && (met >= quorum || met > 0 && w.Rules.OneMarker) && o.first == 0:
		o.highest = highest // dead by an earlier take-over, as it seems
		w.onward(i)
	default:
		if o.first == 0 {
			o.first = o.at
			if w.tell != nil {
				w.say("writer %d (epoch %d) finds nothing at %d in the zones that it sealed", i, o.epoch, o.at)
			}
		}
		w.onward(i)
	}
}

// onward goes on to the next number, or to what follows the last.
func (w *World) onward(i uint8) {
	o := &w.writers[i]
	if o.at >= lastNumber {
		w.stepDown(i, "has no numbers left")
		return
	}
	o.zone = [zoneCount]sealed{}
	o.phase = sealing
	o.at++
	window := w.Window
	if !w.Rules.SealWindow {
		window = 1
	}
	if o.first > 0 && o.at == o.first+window {
		o.phase = record
	}
}

// copy makes one step of bringing an adopted chunk to two zones.
func (w *World) copy(i uint8, r uint32) {
	o := &w.writers[i]
	have := 0
	for j := range o.zone {
		if o.zone[j].seen {
			have++
		}
	}
	if have >= quorum || !w.Rules.CopyTwo {
		if w.tell != nil {
			w.say("writer %d (epoch %d) counts %v at %d", i, o.epoch, o.chunk, o.at)
		}
		o.fold.apply(&o.chunk)
		w.onward(i)
		return
	}
	z := uint8(r % zoneCount)
	s := &o.zone[z]
	switch r >>= 8; {
	case s.seen:
	case s.asked:
		s.asked = r%16 != 0
	case !s.none:
		w.look(i, z)
	case s.version == 0:
	case w.zones[z][o.at].version != s.version: // our copy, or somebody's
		s.none = false
	default:
		s.asked = true
		c := o.chunk
		if w.lastPut++; w.Rules.NewPutID {
			c.put = w.lastPut
		}
		w.send(put{zone: z, number: o.at, obj: c, ifMatch: s.version, writer: i, life: o.life, slot: takeoverSlot, late: r%4 == 0})
	}
}

// record puts into the head what was decided, and begins to serve.
func (w *World) record(i uint8) {
	o := &w.writers[i]
	h := &w.head
	if h.epoch != o.epoch {
		w.stepDown(i, "was overtaken")
		return
	}
	if w.Rules.Record {
		h.version++
		h.owner, h.begins[o.epoch], h.sealed, h.archive = o.epoch, o.first, o.at-1, o.fold
	}
	o.next, o.known, o.sequenced, o.phase = o.at, o.fold.seen, o.fold.seen, serving
	if w.tell != nil {
		w.say("writer %d (epoch %d) serves from %d", i, o.epoch, o.next)
	}
	if o.fold.bad != explore.None {
		w.violate(o.fold.bad, "a new owner read it")
	}
	w.served(o)
}
