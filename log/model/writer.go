package model

// phase is where a writer stands.
type phase uint8

const (
	idle phase = iota
	// The steps of a take-over.
	swapHead
	walk
	putFence
	recheck
	putFill
	replay
	// And what it is for.
	serving
)

// writer is a process that owns the channel, or wants to.
type writer struct {
	phase phase
	life  uint8 // counts its ends: answers meant for an earlier life are nobody's
	epoch uint8

	version uint8  // of the head that it read
	at      number // that it looks at or puts at
	last    number // of the fence and fillers
	try     attempt
	refence bool // the head was read again
	cursor  cursor

	next      number // for the next chunk
	slots     [maxWindow]slot
	count     uint8        // of slots used
	known     [clients]set // writes that are in the log
	sequenced [clients]set // and those that are on their way there
}

// attempt is a PUT of a fence or filler.
type attempt struct {
	sent  bool
	obj   object
	heard answer
}

// slot is a chunk in flight.
type slot struct {
	used   bool
	number number
	obj    object
	heard  answer
	tried  bool // more than once
	acked  bool
}

// takeoverSlot is the slot of PUTs that are no data.
const takeoverSlot = 255

// stop ends a writer's life. Its PUTs are still on their way.
func (o *writer) stop() { *o = writer{life: o.life + 1} }

func (w *World) stepWriter(i uint8, bits uint32) {
	o := &w.writers[i]
	if o.phase == serving {
		w.serve(i, bits)
		return
	}
	w.takeOver(i, bits)
}

// serve lets an owner deal with one of its chunks in flight.
func (w *World) serve(i uint8, bits uint32) {
	o := &w.writers[i]
	n := uint8(bits%64) % w.Window
	bits >>= 6
	s := &o.slots[n]
	if !s.used {
		if bits%8 == 0 && w.head.epoch == o.epoch && o.oldest()-1 > w.head.hint {
			w.head.hint = o.oldest() - 1
			w.head.version++
		}
		return
	}
	switch s.heard {
	case stored:
		w.stored(i, n)
	case occupied:
		w.met(i, n)
	case conflict:
		w.sendSlot(i, n, bits%16 == 0)
	case waiting:
		switch bits % 128 {
		case 0, 1, 2, 3: // nothing was heard: once more
			s.tried = true
			w.sendSlot(i, n, bits>>8%4 == 0)
		case 4:
			w.stepDown(i, "hears nothing of its chunk")
		}
	}
}

// stored acknowledges a chunk, if it may be.
func (w *World) stored(i, n uint8) {
	o := &w.writers[i]
	s := &o.slots[n]
	first := s.number == o.oldest()
	if !s.acked && (first || !w.Rules.AckPrefix) {
		s.acked = true
		o.known[s.obj.client] |= 1 << s.obj.write
		w.ack(i, s.obj.client, s.obj.write)
	}
	if first {
		s.used = false
		o.count--
	}
}

// met deals with a 412.
func (w *World) met(i, n uint8) {
	o := &w.writers[i]
	s := &o.slots[n]
	occupant := &w.chunks[s.number]
	own := occupant.put == s.obj.put
	if !w.Rules.ReadOccupant {
		own = s.tried // it must have been the first try: must it?
	}
	switch {
	case own:
		s.heard = stored
	case w.Rules.StepDown || o.next >= lastNumber-maxWindow:
		w.stepDown(i, "finds another chunk at its number")
	default: // the number is taken: the next one
		s.number, s.tried = o.next, false
		o.next++
		w.lastPut++
		s.obj.put = w.lastPut
		w.sendSlot(i, n, false)
	}
}

// oldest is the number of the first chunk in flight, or the next number.
func (o *writer) oldest() number {
	n := o.next
	for i := range o.slots {
		if s := &o.slots[i]; s.used {
			n = min(n, s.number)
		}
	}
	return n
}

func (w *World) stepDown(i uint8, why string) {
	if w.tell != nil {
		w.say("writer %d %s and steps down", i, why)
	}
	w.writers[i].stop()
}

// sendSlot puts a chunk's PUT on its way.
func (w *World) sendSlot(i, n uint8, late bool) {
	o := &w.writers[i]
	s := &o.slots[n]
	s.heard = waiting
	if w.tell != nil && s.tried {
		w.say("writer %d puts %s at %d once more", i, name(s.obj.client, s.obj.write), s.number)
	}
	w.send(put{number: s.number, obj: s.obj, writer: i, life: o.life, slot: n, late: late || w.lastPut%4 == 0})
}
