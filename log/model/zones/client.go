package zones

// client sends its writes in order, and again from the first unacknowledged one
// when its owner is gone.
type client struct {
	connected bool
	writer    uint8
	life      uint8
	sent      uint8
	got       set
}

func (w *World) stepClient(i uint8, r uint32) {
	c := &w.clients[i]
	o := &w.writers[c.writer]
	switch {
	case !c.connected:
		for range writers {
			if c.writer = (c.writer + uint8(r%2) + 1) % writers; w.writers[c.writer].phase == serving {
				break
			}
			r /= 2
		}
		if o = &w.writers[c.writer]; o.phase == serving {
			c.connected, c.life, c.sent = true, o.life, c.got.next()
		}
	case o.life != c.life || r%64 == 0:
		c.connected = false
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
		return true
	case o.count == w.Window || o.next >= lastNumber-maxWindow || w.nputs >= maxPuts-zoneCount:
		return false
	}
	s := uint8(0)
	for o.slots[s].used {
		s++
	}
	w.lastPut++
	o.slots[s] = slot{used: true, number: o.next, obj: object{
		kind: data, epoch: o.epoch, put: w.lastPut, client: client, write: write, upto: o.oldest() - 1,
	}}
	o.next++
	o.count++
	o.sequenced[client] |= 1 << write
	for z := range uint8(zoneCount) {
		w.sendSlot(i, s, z)
	}
	return true
}
