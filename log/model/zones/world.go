package zones

import (
	"fmt"
	"math/bits"

	"github.com/trinedb/trine/log/model/explore"
)

// The actors of a World, in this order.
const (
	writers     = 3
	actorClient = writers
	actorReader = actorClient + clients
	actorNet    = actorReader + readers
	actorCrash  = actorNet + 1
	actorGC     = actorCrash + 1
	actors      = actorGC + 1
	readers     = 2
)

// maxWindow is the largest W of a World.
const maxWindow = 4

// set is a set of one client's writes.
type set uint16

func (s set) has(i uint8) bool { return s>>i&1 == 1 }
func (s set) next() uint8      { return uint8(bits.TrailingZeros16(^uint16(s))) }

// World is a channel in three zones and all who deal with it.
type World struct {
	Rules    Rules
	Window   uint8  // W: chunks that a writer has in flight at most
	Tolerate uint16 // kinds (1<<kind) that do not end a schedule

	tell func(string)
	state
}

type state struct {
	zones       [zoneCount][lastNumber + 8]object
	lastVersion uint8
	head        head
	puts        [maxPuts]put
	nputs       uint8
	lastPut     uint8

	writers [writers]writer
	clients [clients]client
	readers [readers]reader
	gc      gc

	acked     [clients]set
	ackEpoch  [clients][writes]uint8
	violation explore.Violation
}

var _ explore.World = (*World)(nil)

var weights = [actors]uint8{12, 12, 12, 4, 4, 4, 4, 24, 1, 3}

// Weights implements explore.World.
func (w *World) Weights() []uint8 { return weights[:] }

// Reset implements explore.World: writer 0 owns the channel, which is empty.
func (w *World) Reset() {
	w.state = state{}
	w.head.epoch, w.head.version, w.head.owner, w.head.begins[1] = 1, 1, 1, 1
	w.writers[0] = writer{phase: serving, epoch: 1, next: 1}
	w.gc.at = 1
	for i := range w.readers {
		w.readers[i] = reader{next: 1, zone: uint8(i), head: w.head}
	}
}

// Step implements explore.World.
func (w *World) Step(c explore.Choice) bool {
	switch a := c.Actor; {
	case a < writers:
		if w.writers[a].phase == serving {
			w.serve(a, c.Bits)
		} else {
			w.takeOver(a, c.Bits)
		}
	case a < actorReader:
		w.stepClient(a-actorClient, c.Bits)
	case a < actorNet:
		if w.Rules.Record {
			w.stepReader(a-actorReader, c.Bits)
		}
	case a == actorNet:
		w.land(c.Bits)
	case a == actorGC:
		w.stepGC(c.Bits)
	case a == actorCrash:
		if i := uint8(c.Bits % writers); w.writers[i].phase != idle && c.Bits>>8%4 == 0 {
			w.stepDown(i, "crashes")
		}
	}
	return w.violation.Kind != explore.None || w.acked == allWrites || w.lastPut > maxIDs || w.lastVersion > maxIDs
}

// allWrites ends a schedule: nobody has anything to send any more.
var allWrites = [clients]set{1<<writes - 1, 1<<writes - 1}

// maxIDs ends a schedule before put ids or versions come round.
const maxIDs = 240

// Violation implements explore.World.
func (w *World) Violation() explore.Violation { return w.violation }

// Tell implements explore.World.
func (w *World) Tell(fn func(string)) { w.tell = fn }

func (w *World) violate(k explore.Kind, note string) {
	if w.violation.Kind == explore.None && w.Tolerate>>k&1 == 0 {
		w.violation = explore.Violation{Kind: k, Note: note}
	}
}

func (w *World) say(format string, args ...any) { w.tell(fmt.Sprintf(format, args...)) }

// String is how an object is called in traces.
func (o object) String() string {
	switch o.kind {
	case absent:
		return "nothing"
	case marker:
		return fmt.Sprintf("marker of epoch %d", o.epoch)
	default:
		return fmt.Sprintf("%s of epoch %d", name(o.client, o.write), o.epoch)
	}
}

func name(client, write uint8) string { return fmt.Sprintf("%c%d", 'a'+client, write) }

func (w *World) tellLanded(p *put, got answer, fate uint32) {
	what := fmt.Sprintf("PUT of %v at %d in zone %c", p.obj, p.number, 'A'+p.zone)
	switch {
	case fate < 2:
		what += " is lost on the way"
	case got == stored:
		what += " lands"
	default:
		what += fmt.Sprintf(" gets a 412: there is %v", w.zones[p.zone][p.number])
	}
	if fate == 2 {
		what += "; the answer is lost"
	}
	w.say("%s", what)
}
