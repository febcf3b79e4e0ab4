package zones

import "github.com/trinedb/trine/log/model/explore"

// number is a chunk's number, dense from 1.
type number = uint8

// lastNumber bounds a schedule: beyond it no owner sequences anything.
const lastNumber = 40

// zoneCount is how many zones there are; quorum of them make a chunk durable.
const (
	zoneCount = 3
	quorum    = 2
)

type kind uint8

const (
	absent kind = iota
	data
	marker // what a take-over seals a number with
)

// object is a chunk or a marker in one zone.
type object struct {
	kind    kind
	epoch   uint8 // of the owner that sequenced it; copies keep it
	put     uint8
	client  uint8
	write   uint8
	upto    number // durable_upto when the chunk was made
	version uint8  // ETag
}

// head is the object that is changed by compare-and-swap.
type head struct {
	version uint8
	epoch   uint8
	sealed  number // up to here it is decided what is in the log
	owner   uint8  // epoch of the last owner that served
	begins  [maxEpoch + 1]number
	archive fold // what chunks up to sealed come to, as an index would have it

	floor     number // up to here chunks may have been deleted
	floorFold fold   // what they come to
}

// maxEpoch bounds the take-overs of a schedule.
const maxEpoch = 10

// ownerOf is the epoch whose chunks count at a number, as the head has it.
func (h *head) ownerOf(n number) uint8 {
	for e := h.owner; e > 0; e-- {
		if b := h.begins[e]; b > 0 && b <= n {
			return e
		}
	}
	return 0
}

// put is a PUT on its way to a zone.
type put struct {
	zone    uint8
	number  number
	obj     object
	ifMatch uint8 // 0: create if absent
	writer  uint8
	life    uint8
	slot    uint8 // takeoverSlot: the take-over's
	late    bool
}

// maxPuts bounds the PUTs on their way.
const maxPuts = 28

func (w *World) send(p put) {
	if w.nputs == maxPuts {
		w.dropPut(0)
	}
	if w.tell != nil {
		w.say("writer %d puts %v at %d in zone %c", p.writer, p.obj, p.number, 'A'+p.zone)
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
	waiting answer = iota
	stored
	occupied
)

// land lets one of the PUTs reach its zone, or get lost on the way.
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
	fate := bits % 16 // 0 and 1: request lost, 2: answer lost
	got := occupied
	r := &w.zones[p.zone][p.number]
	switch {
	case fate < 2:
	case p.ifMatch == 0 && r.kind == absent, p.ifMatch > 0 && r.version == p.ifMatch:
		got = stored
		w.lastVersion++
		*r = p.obj
		r.version = w.lastVersion
	}
	if w.tell != nil {
		w.tellLanded(p, got, fate)
	}
	if fate > 2 {
		w.hear(p, got)
	}
	w.dropPut(i)
}

func (w *World) hear(p *put, got answer) {
	o := &w.writers[p.writer]
	if o.life != p.life {
		return
	}
	if p.slot == takeoverSlot {
		if p.number == o.at {
			o.zone[p.zone].asked = false // it will look
		}
		return
	}
	if s := &o.slots[p.slot]; s.used && s.obj.put == p.obj.put && s.heard[p.zone] == waiting {
		s.heard[p.zone] = got
	}
}

// clients is how many clients there are, each with a collection of its own.
const clients = 2

// writes is how many writes a client sends, in order.
const writes = 8

// fold is what a prefix of the log comes to.
type fold struct {
	seen [clients]set
	bad  explore.Kind
}

func (f *fold) apply(o *object) {
	s := &f.seen[o.client]
	if f.bad == explore.None {
		if s.has(o.write) {
			f.bad = explore.Doubled
		} else if s.next() != o.write {
			f.bad = explore.Reordered
		}
	}
	*s |= 1 << o.write
}
