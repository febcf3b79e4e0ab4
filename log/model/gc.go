package model

// gc turns chunks into segments and deletes them. It is a reader like others.
type gc struct {
	cursor cursor
	swept  number // all up to here was looked at, to be deleted
	limit  number // may be deleted up to here
	target number // its deletion is on its way
}

func (w *World) stepGC(bits uint32) {
	g := &w.gc
	switch way := bits % 8; {
	case g.target > 0:
		if w.tell != nil {
			w.say("GC deletes %d: %v", g.target, w.chunks[g.target])
		}
		w.chunks[g.target] = object{}
		g.target = 0
	case g.swept < g.limit:
		g.swept++
		if o := &w.chunks[g.swept]; o.kind != absent && !(o.kind == fence && w.Rules.KeepFences) {
			g.target = g.swept
		}
		if g.swept == g.limit && g.target == 0 {
			w.sweptAll()
		}
	case !w.Rules.FloorFirst && g.limit > w.head.floor:
		w.sweptAll()
	case way < 5 && g.cursor.read(w):
		if !w.Rules.ReadFloor {
			g.cursor.settle(w, false)
		}
	case way < 6:
		g.cursor.settle(w, true)
	case way == 6 && g.cursor.next-1 > w.head.floor:
		if g.limit = g.cursor.next - 1; w.Rules.FloorFirst {
			w.raiseFloor(g)
		}
	}
}

// sweptAll is where a GC that deletes first gets to raise the floor.
func (w *World) sweptAll() {
	if g := &w.gc; !w.Rules.FloorFirst && g.limit > w.head.floor {
		w.raiseFloor(g)
	}
}

// raiseFloor swaps the head. The cursor is at the limit: it does not read on
// while there is something to sweep.
func (w *World) raiseFloor(g *gc) {
	w.head.floor, w.head.archive = g.limit, g.cursor.fold
	w.head.hint = max(w.head.hint, g.limit)
	w.head.version++
	if w.tell != nil {
		w.say("GC raises the floor to %d", g.limit)
	}
}
