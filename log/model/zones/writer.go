package zones

import (
	"math/bits"

	"github.com/trinedb/trine/log/model/explore"
)

type phase uint8

const (
	idle phase = iota
	swapHead
	sealing
	copying
	record
	serving
)

// writer is a process that owns the channel, or wants to.
type writer struct {
	phase phase
	life  uint8
	epoch uint8

	take // a take-over's state

	next      number
	slots     [maxWindow]slot
	count     uint8
	known     [clients]set
	sequenced [clients]set
}

// slot is a chunk in flight, in three zones.
type slot struct {
	used   bool
	number number
	obj    object
	heard  [zoneCount]answer
	tried  bool
	acked  bool
}

const takeoverSlot = 255

func (w *World) stepDown(i uint8, why string) {
	if w.tell != nil {
		w.say("writer %d %s and steps down", i, why)
	}
	w.writers[i] = writer{life: w.writers[i].life + 1}
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

// serve lets an owner deal with one zone's answer about one of its chunks.
func (w *World) serve(i uint8, r uint32) {
	o := &w.writers[i]
	n, z := uint8(r%64)%w.Window, uint8(r>>6%zoneCount)
	r >>= 8
	s := &o.slots[n]
	if !s.used {
		if r%4 == 0 && w.Rules.Record {
			w.advance(i)
		}
		return
	}
	switch s.heard[z] {
	case stored:
		w.count(i, n)
	case occupied:
		w.met(i, n, z)
	case waiting:
		switch r % 128 {
		case 0, 1, 2, 3:
			s.tried = true
			w.sendSlot(i, n, z)
		case 4:
			w.stepDown(i, "hears nothing of its chunk")
		case 5, 6, 7, 8:
			if w.Rules.Record {
				w.advance(i)
			}
		}
	}
}

// count acknowledges a chunk, if enough zones have it.
func (w *World) count(i, n uint8) {
	o := &w.writers[i]
	s := &o.slots[n]
	have, need := 0, quorum
	for _, a := range s.heard {
		if a == stored {
			have++
		}
	}
	if !w.Rules.AckTwo {
		need = 1
	}
	first := s.number == o.oldest()
	if have < need {
		return
	}
	if !s.acked && (first || !w.Rules.AckPrefix) {
		s.acked = true
		o.known[s.obj.client] |= 1 << s.obj.write
		w.ack(i, s.obj.client, s.obj.write)
	}
	if first {
		s.used = false // the third PUT goes on by itself
		o.count--
	}
}

// met deals with a 412 in a zone.
func (w *World) met(i, n, z uint8) {
	o := &w.writers[i]
	s := &o.slots[n]
	own := w.zones[z][s.number].put == s.obj.put
	if !w.Rules.ReadOccupant {
		own = s.tried
	}
	switch {
	case own:
		s.heard[z] = stored
	case w.Rules.StepDown || o.next >= lastNumber-maxWindow:
		w.stepDown(i, "finds another chunk at its number")
	default:
		s.number, s.tried = o.next, false
		o.next++
		w.lastPut++
		s.obj.put = w.lastPut
		for z := range uint8(zoneCount) {
			w.sendSlot(i, n, z)
		}
	}
}

func (w *World) sendSlot(i, n, z uint8) {
	o := &w.writers[i]
	s := &o.slots[n]
	s.heard[z] = waiting
	w.send(put{zone: z, number: s.number, obj: s.obj, writer: i, life: o.life, slot: n, late: (w.lastPut+z)%4 == 0})
}

// ack is an owner's acknowledgement, whether or not the client hears it.
func (w *World) ack(i, client, write uint8) {
	if w.tell != nil {
		w.say("writer %d acknowledges %s", i, name(client, write))
	}
	own := &w.writers[i]
	if !w.acked[client].has(write) {
		if w.acked[client].next() != write {
			w.violate(explore.AckOrder, "acknowledged before the one sent earlier")
		}
		w.acked[client] |= 1 << write
		w.ackEpoch[client][write] = own.epoch
	}
	for j := range w.writers {
		if o := &w.writers[j]; o.phase == serving && o.epoch > own.epoch && !o.known[client].has(write) {
			w.violate(explore.Stale, "the next owner serves already, and does not have it")
		}
	}
	if c := &w.clients[client]; c.writer == i && c.life == own.life && c.connected {
		c.got |= 1 << write
	}
}

// served checks what an owner that begins to serve knows.
func (w *World) served(o *writer) {
	for c := range w.acked {
		for missing := w.acked[c] &^ o.known[c]; missing != 0; missing &= missing - 1 {
			if w.ackEpoch[c][bits.TrailingZeros16(uint16(missing))] < o.epoch {
				w.violate(explore.Lost, "a new owner does not find an acknowledged write")
			}
		}
	}
}
