package model

// number is a chunk's number; names are dense from 1.
type number = uint8

// lastNumber bounds a schedule: beyond it no owner sequences anything.
const lastNumber = 47

type kind uint8

const (
	absent kind = iota
	data
	fence
	filler
)

// object is a chunk: what its header says, and the write that it holds.
type object struct {
	kind   kind
	epoch  uint8
	put    uint8 // unique for each chunk that is made
	client uint8
	write  uint8
}

// head is the object that is changed by compare-and-swap.
type head struct {
	version uint8
	epoch   uint8
	floor   number
	hint    number
	archive fold // what chunks up to floor came to: index and segments
}

// put is a PUT on its way to the store, or one that never gets there.
type put struct {
	number number
	obj    object
	writer uint8
	life   uint8
	slot   uint8 // whose answer it is; takeoverSlot: the take-over's
	late   bool
}

// maxPuts bounds the PUTs on their way. A writer waits when there are so many.
const maxPuts = 14

// send puts a PUT on its way.
func (w *World) send(p put) {
	if w.nputs == maxPuts {
		w.dropPut(0) // the oldest is lost
	}
	w.puts[w.nputs] = p
	w.nputs++
}

func (w *World) dropPut(i uint8) {
	w.nputs--
	copy(w.puts[i:], w.puts[i+1:w.nputs+1])
}

// answer is what a writer hears of a PUT.
type answer uint8

const (
	waiting  answer = iota
	stored          // 200
	occupied        // 412
	conflict        // 409, to be tried again
)

// land lets one of the PUTs reach the store, or get lost on the way.
func (w *World) land(bits uint32) {
	if w.nputs == 0 {
		return
	}
	i := uint8(bits % uint32(w.nputs))
	bits >>= 8
	p := &w.puts[i]
	if p.late && bits%8 != 0 {
		return
	}
	bits >>= 3
	fate := bits % 16 // 0: request lost, 1: conflict, 2 and 3: answer lost
	got := stored
	switch {
	case fate == 0:
	case fate == 1:
		got = conflict
	case w.chunks[p.number].kind == absent:
		w.chunks[p.number] = p.obj
	default:
		got = occupied
	}
	if w.tell != nil {
		w.tellLanded(p, got, fate)
	}
	if fate != 0 && fate != 2 && fate != 3 {
		w.writers[p.writer].hear(p, got)
	}
	w.dropPut(i)
}

// hear takes an answer down, if it is still of interest.
func (o *writer) hear(p *put, got answer) {
	if o.life != p.life {
		return
	}
	if p.slot == takeoverSlot {
		if o.try.obj.put == p.obj.put && o.try.heard == waiting {
			o.try.heard = got
		}
		return
	}
	if s := &o.slots[p.slot]; s.used && s.obj.put == p.obj.put && s.heard == waiting {
		s.heard = got
	}
}
