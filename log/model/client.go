package model

// client sends its writes in order, several at a time. When it hears nothing,
// or its owner is gone, it begins anew, with whatever owner it finds, from the
// first write that it has no acknowledgement of.
type client struct {
	connected bool
	writer    uint8
	life      uint8 // of the writer; another means that the connection broke
	sent      uint8 // next write to send on this connection
	got       set
}

func (w *World) stepClient(i uint8, bits uint32) {
	c := &w.clients[i]
	o := &w.writers[c.writer]
	switch {
	case !c.connected:
		for range writers {
			if c.writer = (c.writer + uint8(bits%2) + 1) % writers; w.writers[c.writer].phase == serving {
				break
			}
			bits /= 2
		}
		if o = &w.writers[c.writer]; o.phase != serving {
			return
		}
		c.connected, c.life, c.sent = true, o.life, c.got.next()
		if w.tell != nil {
			w.say("client %c turns to writer %d", 'a'+i, c.writer)
		}
	case o.life != c.life || bits%64 == 0:
		c.connected = false
		if w.tell != nil {
			w.say("client %c gives writer %d up", 'a'+i, c.writer)
		}
	case c.sent < writes && w.submit(c.writer, i, c.sent):
		c.sent++
	}
}

// submit hands a write to an owner, and reports whether it was taken.
func (w *World) submit(i, client, write uint8) bool {
	o := &w.writers[i]
	switch {
	case o.known[client].has(write):
		w.ack(i, client, write)
		return true
	case o.sequenced[client].has(write):
		return true // the first one's answer is also this one's
	case o.count == w.Window || o.next >= lastNumber-maxWindow || w.nputs >= maxPuts-2:
		return false
	}
	s := uint8(0)
	for o.slots[s].used {
		s++
	}
	w.lastPut++
	o.slots[s] = slot{
		used: true, number: o.next,
		obj: object{kind: data, epoch: o.epoch, put: w.lastPut, client: client, write: write},
	}
	o.next++
	o.count++
	o.sequenced[client] |= 1 << write
	if w.tell != nil {
		w.say("client %c sends %s to writer %d (epoch %d), which puts it at %d", 'a'+client, name(client, write), i, o.epoch, o.slots[s].number)
	}
	w.sendSlot(i, s, false)
	return true
}
