package model

import "fmt"

// String is how a chunk is called in traces.
func (o object) String() string {
	switch o.kind {
	case absent:
		return "nothing"
	case fence:
		return fmt.Sprintf("fence of epoch %d", o.epoch)
	case filler:
		return fmt.Sprintf("filler of epoch %d", o.epoch)
	default:
		return fmt.Sprintf("%s of epoch %d", name(o.client, o.write), o.epoch)
	}
}

func (w *World) tellLanded(p *put, got answer, fate uint32) {
	what := fmt.Sprintf("PUT of %v at %d", p.obj, p.number)
	switch {
	case fate == 0:
		what += " is lost on the way"
	case got == conflict:
		what += " gets a 409"
	case got == stored:
		what += " lands"
	default:
		what += fmt.Sprintf(" gets a 412: there is %v", w.chunks[p.number])
	}
	if fate == 2 || fate == 3 {
		what += "; the answer is lost"
	}
	w.say("%s", what)
}
