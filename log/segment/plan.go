package segment

// FanIn is how many segments of a level become one of the next.
const FanIn = 8

// PlanMerge says what to merge next, if anything: the oldest FanIn neighbours of
// the lowest level that has as many. Segments of a lower level that lie between
// neighbours, which only a replaced owner leaves behind, are merged with them.
// Segments of MaxLevel are not merged.
//
// When there is nothing left to merge, a collection is in at most FanIn−1
// segments for each level, and n segments of level 1 have made about log₈ n
// levels. A change is rewritten once for each level.
func PlanMerge(s *Set) (Job, bool) {
	for level := 1; level < MaxLevel; level++ {
		for from := 0; from < len(s.spans); {
			to := stretch(s.spans, from, level)
			if to-from >= FanIn {
				return merge(s.spans[from:from+FanIn], level+1), true
			}
			from = max(to, from+1)
		}
	}
	return Job{}, false
}

// stretch is the end of the neighbours from a span on that are of a level or
// below it, and of which the last is of that level.
func stretch(spans []Span, from, level int) int {
	end := from
	for i := from; i < len(spans) && spans[i].Ref.Level <= level; i++ {
		if spans[i].Ref.Level == level {
			end = i + 1
		}
	}
	return end
}

func merge(inputs []Span, level int) Job {
	first, last := inputs[0], inputs[len(inputs)-1]
	out := first.Ref
	out.Level, out.From, out.To = level, first.From, last.To
	return Job{Inputs: inputs, Output: out}
}
