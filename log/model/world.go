package model

import (
	"fmt"

	"github.com/trinedb/trine/log/model/explore"
)

// The actors of a World, in this order.
const (
	writers     = 3 // processes that want to own the channel
	actorClient = writers
	actorReader = actorClient + clients
	readers     = 1
	actorGC     = actorReader + readers
	actorNet    = actorGC + 1
	actorCrash  = actorNet + 1
	actors      = actorCrash + 1
)

// maxWindow is the largest W of a World.
const maxWindow = 4

// World is a channel and all who deal with it. Set the configuration, which
// Reset leaves alone, before the first schedule.
type World struct {
	Rules  Rules
	Window uint8 // W: PUTs that a writer has in flight at most
	// Tolerate is a set of kinds (1<<kind) that do not end a schedule, to see
	// what comes of them.
	Tolerate uint16

	tell func(string)
	state
}

// state is what Reset sets anew.
type state struct {
	chunks  [lastNumber + 8]object
	head    head
	puts    [maxPuts]put
	nputs   uint8
	lastPut uint8 // put ids given out

	writers [writers]writer
	clients [clients]client
	readers [readers]cursor
	gc      gc

	acked     [clients]set // acknowledged by an owner, whether heard or not
	ackEpoch  [clients][writes]uint8
	violation explore.Violation
}

var _ explore.World = (*World)(nil)

// Weights implements explore.World.
func (w *World) Weights() []uint8 { return weights[:] }

var weights = [actors]uint8{
	12, 12, 12, // writers
	3, 3, // clients
	3,  // readers
	5,  // GC
	16, // net
	1,  // crash
}

// Reset implements explore.World: writer 0 owns the channel, its fence and
// fillers are the only chunks.
func (w *World) Reset() {
	w.state = state{}
	w.head.epoch, w.head.version = 1, 1
	o := &w.writers[0]
	o.epoch, o.phase, o.next = 1, serving, 1
	for range w.Window {
		k := filler
		if o.next == 1 {
			k = fence
		}
		w.lastPut++
		w.chunks[o.next] = object{kind: k, epoch: 1, put: w.lastPut}
		o.next++
	}
	w.head.hint = w.Window
	for i := range w.readers {
		w.readers[i].seek(&w.head, &w.Rules)
	}
	w.gc.cursor.seek(&w.head, &w.Rules)
}

// Step implements explore.World.
func (w *World) Step(c explore.Choice) bool {
	switch a := c.Actor; {
	case a < writers:
		w.stepWriter(a, c.Bits)
	case a < actorReader:
		w.stepClient(a-actorClient, c.Bits)
	case a < actorGC:
		w.stepReader(a-actorReader, c.Bits)
	case a == actorGC:
		w.stepGC(c.Bits)
	case a == actorNet:
		w.land(c.Bits)
	case a == actorCrash:
		w.crash(uint8(c.Bits%writers), c.Bits>>8)
	}
	return w.violation.Kind != explore.None || w.acked == allWrites
}

// allWrites ends a schedule: nobody has anything to send any more.
var allWrites = [clients]set{1<<writes - 1, 1<<writes - 1}

// Violation implements explore.World.
func (w *World) Violation() explore.Violation { return w.violation }

// Tell implements explore.World.
func (w *World) Tell(fn func(string)) { w.tell = fn }

func (w *World) stepReader(i uint8, bits uint32) {
	c := &w.readers[i]
	if bits%8 > 2 && c.read(w) {
		if w.tell != nil {
			w.say("reader reads %d: %v", c.aheadNext-1, w.chunks[c.aheadNext-1])
		}
		if w.Rules.ReadFloor {
			return
		}
		c.settle(w, false)
		return
	}
	ok := c.settle(w, true)
	if w.tell != nil {
		w.say("reader looks at the head: floor %d, goes on at %d (%v)", w.head.floor, c.next, ok)
	}
}

// crash ends a writer; what it sent is still on its way.
func (w *World) crash(i uint8, bits uint32) {
	o := &w.writers[i]
	if o.phase == idle || bits%8 != 0 {
		return
	}
	if w.tell != nil {
		w.say("writer %d crashes", i)
	}
	o.stop()
}

func (w *World) say(format string, args ...any) { w.tell(fmt.Sprintf(format, args...)) }
