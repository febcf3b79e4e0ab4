package model

import (
	"fmt"
	"math/bits"

	"github.com/trinedb/trine/log/model/explore"
)

// violate notes the first promise that was broken.
func (w *World) violate(k explore.Kind, note string) {
	if w.violation.Kind == explore.None && w.Tolerate>>k&1 == 0 {
		w.violation = explore.Violation{Kind: k, Note: note}
	}
}

// spoiled judges a fold that went wrong.
func (w *World) spoiled(f *fold) {
	k := f.bad
	if k == explore.Reordered {
		if missing := f.seen[f.client].next(); w.acked[f.client].has(missing) {
			w.violate(explore.Lost, "an acknowledged write was passed over")
			return
		}
	}
	w.violate(k, "a reader of the log saw it")
}

// ack is an owner's acknowledgement, whether or not the client hears it.
func (w *World) ack(i, client, write uint8) {
	if w.tell != nil {
		w.say("writer %d acknowledges %s", i, name(client, write))
	}
	if a := w.acked[client]; !a.has(write) && a.next() != write {
		w.violate(explore.AckOrder, "acknowledged before the one sent earlier")
	}
	own := &w.writers[i]
	if !w.acked[client].has(write) {
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

// served checks what an owner that begins to serve knows: all that owners
// before it acknowledged.
func (w *World) served(o *writer) {
	for c := range w.acked {
		for missing := w.acked[c] &^ o.known[c]; missing != 0; missing &= missing - 1 {
			if w.ackEpoch[c][bits.TrailingZeros16(uint16(missing))] < o.epoch {
				w.violate(explore.Lost, "a new owner does not find an acknowledged write")
			}
		}
	}
}

// Finish implements explore.World: whoever reads the log to its end, in one go
// or having begun earlier, finds what was acknowledged.
func (w *World) Finish() {
	var fresh cursor
	fresh.seek(&w.head, &w.Rules)
	w.readOut(&fresh)
	for i := range w.readers {
		w.readOut(&w.readers[i])
	}
}

func (w *World) readOut(c *cursor) {
	for {
		for c.read(w) {
		}
		if c.settle(w, true) {
			break
		}
	}
	for i := range w.acked {
		if w.acked[i]&^c.fold.seen[i] != 0 {
			w.violate(explore.Lost, "an acknowledged write is not in the log")
		}
	}
}

// name is how a write is called in traces: its client's letter and its number.
func name(client, write uint8) string { return fmt.Sprintf("%c%d", 'a'+client, write) }
