package log

import "slices"

// holes are numbers of chunks, in runs. Beyond maxRuns it takes those between
// two runs for holes too: who repairs them finds that there is nothing to do.
type holes struct{ runs []run }

type run struct{ from, to uint64 }

const maxRuns = 4096

func (h *holes) add(n uint64) {
	i := h.find(n)
	if i < len(h.runs) && h.runs[i].from <= n {
		return
	}
	if i > 0 && h.runs[i-1].to+1 == n {
		h.runs[i-1].to = n
	} else {
		h.runs = slices.Insert(h.runs, i, run{n, n})
		i++
	}
	if i < len(h.runs) && h.runs[i].from == n+1 { // the gap between two is closed
		h.runs[i-1].to = h.runs[i].to
		h.runs = slices.Delete(h.runs, i, i+1)
	}
	if k := len(h.runs) - 1; k >= maxRuns {
		h.runs[k-1].to = h.runs[k].to
		h.runs = h.runs[:k]
	}
}

// find is the index of the first run that does not end before n.
func (h *holes) find(n uint64) int {
	i, _ := slices.BinarySearchFunc(h.runs, n, func(r run, n uint64) int {
		if r.to < n {
			return -1
		}
		return 1
	})
	return i
}

func (h *holes) first() (uint64, bool) {
	if len(h.runs) == 0 {
		return 0, false
	}
	return h.runs[0].from, true
}

func (h *holes) remove(n uint64) {
	i := h.find(n)
	if i == len(h.runs) || h.runs[i].from > n {
		return
	}
	switch r := h.runs[i]; {
	case r.from == r.to:
		h.runs = slices.Delete(h.runs, i, i+1)
	case r.from == n:
		h.runs[i].from++
	case r.to == n:
		h.runs[i].to--
	default:
		h.runs[i].to = n - 1
		h.runs = slices.Insert(h.runs, i+1, run{n + 1, r.to})
	}
}

func (h *holes) count() (n uint64) {
	for _, r := range h.runs {
		n += r.to - r.from + 1
	}
	return n
}
