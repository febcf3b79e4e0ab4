package explore

// Hunt runs schedules of at most steps steps, from the seed first on, until one
// breaks a promise or count of them have passed. It tells how many it ran.
func Hunt(w World, first, count uint64, steps int) (seed uint64, v Violation, ran uint64) {
	for ran < count {
		seed = first + ran
		ran++
		if v = Run(w, seed, steps); v.Kind != None {
			return seed, v, ran
		}
	}
	return 0, Violation{}, ran
}

// Run runs the schedule of a seed.
func Run(w World, seed uint64, steps int) Violation {
	var s Scheduler
	w.Reset()
	s.Start(seed, w.Weights())
	for range steps {
		if w.Step(s.Next()) {
			break
		}
	}
	return judge(w)
}

// judge tells how a schedule ended.
func judge(w World) Violation {
	if v := w.Violation(); v.Kind != None {
		return v
	}
	w.Finish()
	return w.Violation()
}

// Record gives the choices of the schedule of a seed.
func Record(w World, seed uint64, steps int) []Choice {
	var s Scheduler
	var list []Choice
	w.Reset()
	s.Start(seed, w.Weights())
	for range steps {
		c := s.Next()
		list = append(list, c)
		if w.Step(c) {
			break
		}
	}
	return list
}

// Replay runs a schedule given by its choices.
func Replay(w World, list []Choice) Violation {
	w.Reset()
	for _, c := range list {
		if w.Step(c) {
			break
		}
	}
	return judge(w)
}

// Shrink leaves choices out of a schedule as long as it breaks the same
// promise, until there is none left that could be left out.
func Shrink(w World, list []Choice) []Choice {
	kind := Replay(w, list).Kind
	if kind == None {
		return list
	}
	try := make([]Choice, 0, len(list))
	for size := len(list) / 2; size > 0; {
		cut := false
		for at := 0; at+size <= len(list); {
			try = append(append(try[:0], list[:at]...), list[at+size:]...)
			if Replay(w, try).Kind != kind {
				at += size
				continue
			}
			list, cut = append([]Choice(nil), try...), true
		}
		if !cut || size > 1 {
			size /= 2
		}
	}
	return list
}

// Trace replays a schedule and tells what happens in it, a line a step.
func Trace(w World, list []Choice) []string {
	var lines []string
	w.Tell(func(line string) { lines = append(lines, line) })
	defer w.Tell(nil)
	v := Replay(w, list)
	if v.Kind != None {
		lines = append(lines, v.Kind.String()+": "+v.Note)
	}
	return lines
}
