package model

// startRarely is how seldom an idle writer begins a take-over when it moves: if
// all begin at once, none gets to the end.
const startRarely = 16

// maxEpoch bounds the take-overs of a schedule.
const maxEpoch = 12

// takeOver makes one step of a take-over.
func (w *World) takeOver(i uint8, bits uint32) {
	o := &w.writers[i]
	switch o.phase {
	case idle:
		if bits%startRarely != 0 || w.head.epoch >= maxEpoch {
			return
		}
		o.version, o.phase = w.head.version, swapHead
		if w.tell != nil {
			w.say("writer %d begins a take-over: head has epoch %d, floor %d, hint %d", i, w.head.epoch, w.head.floor, w.head.hint)
		}
	case swapHead:
		w.swapHead(i, bits)
	case walk:
		w.walk(i)
	case putFence:
		w.putEmpty(i, fence, bits)
	case recheck:
		w.recheck(i)
	case putFill:
		w.putEmpty(i, filler, bits)
	case replay:
		w.replay(i, bits)
	}
}

func (w *World) swapHead(i uint8, bits uint32) {
	o := &w.writers[i]
	if w.head.version != o.version {
		o.phase = idle
		return
	}
	w.head.epoch++
	w.head.version++
	if bits%16 == 0 {
		o.phase = idle // the answer is lost: from the beginning
		return
	}
	o.epoch = w.head.epoch
	o.at = max(w.head.floor, w.head.hint) + 1
	o.phase = walk
	if w.tell != nil {
		w.say("writer %d raises the epoch to %d, walks from %d", i, o.epoch, o.at)
	}
}

func (w *World) walk(i uint8) {
	o := &w.writers[i]
	c := &w.chunks[o.at]
	switch {
	case c.kind == absent:
		if w.tell != nil {
			w.say("writer %d (epoch %d) finds the first hole at %d", i, o.epoch, o.at)
		}
		o.last = o.at - 1
		if o.phase = putFence; !w.Rules.Fence {
			o.phase = recheck
		}
	case c.epoch > o.epoch && w.Rules.WalkStops:
		w.stepDown(i, "meets a higher epoch")
	case o.at >= lastNumber-2*maxWindow:
		o.stop()
	default:
		o.at++
	}
}

// putEmpty makes one step of putting a fence or a filler at o.at.
func (w *World) putEmpty(i uint8, k kind, bits uint32) {
	o := &w.writers[i]
	switch {
	case !o.try.sent:
		w.lastPut++
		o.try = attempt{sent: true, obj: object{kind: k, epoch: o.epoch, put: w.lastPut}}
		w.sendTry(i, bits%8 == 0)
	case o.try.heard == stored:
		w.placed(i, k)
	case o.try.heard == conflict:
		w.sendTry(i, bits%8 == 0)
	case o.try.heard == occupied:
		occupant := &w.chunks[o.at]
		switch {
		case occupant.put == o.try.obj.put:
			w.placed(i, k)
		case occupant.kind == absent || occupant.epoch >= o.epoch:
			w.stepDown(i, "cannot put its fence")
		case k == filler:
			w.placed(i, k) // what is there is void
		default:
			o.try = attempt{}
			o.at++
		}
	case bits%64 < 2:
		w.sendTry(i, bits>>8%2 == 0)
	case bits%128 == 2:
		w.stepDown(i, "hears nothing of its fence")
	}
}

func (w *World) sendTry(i uint8, late bool) {
	o := &w.writers[i]
	o.try.heard = waiting
	if w.tell != nil {
		w.say("writer %d puts %v at %d", i, o.try.obj, o.at)
	}
	w.send(put{number: o.at, obj: o.try.obj, writer: i, life: o.life, slot: takeoverSlot, late: late})
}

// placed goes on after a fence or filler.
func (w *World) placed(i uint8, k kind) {
	o := &w.writers[i]
	o.try = attempt{}
	if k == fence {
		o.last = o.at + w.Window - 1
		if !w.Rules.Fill {
			o.last = o.at
		}
		o.cursor.next = o.at // where the fence is, for recheck
		if o.phase = recheck; w.Rules.FillLast {
			return
		}
		o.phase = putFill
	}
	if o.at < o.last {
		o.at++
		return
	}
	if o.phase = recheck; o.refence {
		w.startReplay(i)
	}
}

// recheck reads the head again.
func (w *World) recheck(i uint8) {
	o := &w.writers[i]
	hole := o.cursor.next
	if !w.Rules.Fence {
		hole = o.at
	}
	stale := w.Rules.RereadEpoch && w.head.epoch != o.epoch || w.Rules.RereadFloor && w.head.floor >= hole
	if w.tell != nil {
		w.say("writer %d (epoch %d) reads the head again: epoch %d, floor %d", i, o.epoch, w.head.epoch, w.head.floor)
	}
	if stale {
		w.stepDown(i, "was overtaken")
		return
	}
	o.refence = true
	if o.at < o.last {
		o.at++
		o.phase = putFill
		return
	}
	w.startReplay(i)
}

func (w *World) startReplay(i uint8) {
	o := &w.writers[i]
	o.phase = replay
	o.cursor.seek(&w.head, &w.Rules)
}

// replay reads what the log holds, up to the last filler.
func (w *World) replay(i uint8, bits uint32) {
	o := &w.writers[i]
	c := &o.cursor
	for range 1 + bits%4 { // at a time
		if c.aheadNext <= o.last && !c.read(w) {
			if w.head.floor < c.aheadNext {
				w.stepDown(i, "finds a hole before its fence")
				return
			}
			break
		}
	}
	hole := w.chunks[c.aheadNext].kind == absent
	if c.aheadNext <= o.last && !hole && w.Rules.ReadFloor {
		return
	}
	if !c.settle(w, hole) || c.next <= o.last {
		return
	}
	if c.next > o.last+1 {
		w.stepDown(i, "finds the floor above its fence")
		return
	}
	o.next = o.last + 1
	if w.Rules.DedupReplayed {
		o.known, o.sequenced = c.fold.seen, c.fold.seen
	}
	o.phase = serving
	if w.tell != nil {
		w.say("writer %d (epoch %d) serves from %d", i, o.epoch, o.next)
	}
	w.served(o)
}
