package log

import (
	"encoding/json"
	"slices"
	"sort"

	"github.com/trinedb/trine/schema"
)

// span is a run of numbers whose chunks of one epoch count: at each of them there
// is one. In a head it is the list [epoch, from, to].
type span struct {
	epoch    schema.Epoch
	from, to uint64
}

// MarshalJSON writes the list.
func (s span) MarshalJSON() ([]byte, error) {
	return json.Marshal([3]uint64{uint64(s.epoch), s.from, s.to})
}

// UnmarshalJSON reads the list.
func (s *span) UnmarshalJSON(data []byte) error {
	var list [3]uint64
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*s = span{epoch: schema.Epoch(list[0]), from: list[1], to: list[2]}
	return nil
}

// ownerOf is the epoch whose chunk counts at a number of a channel in three
// zones; false: it is decided that none does.
func (h *head) ownerOf(n uint64) (schema.Epoch, bool) {
	if n > h.Sealed {
		return h.Serves, true
	}
	i := h.spanAfter(n)
	if i == len(h.Owners) || h.Owners[i].from > n {
		return 0, false
	}
	return h.Owners[i].epoch, true
}

// spanAfter is the index of the first span that does not end before n.
func (h *head) spanAfter(n uint64) int {
	return sort.Search(len(h.Owners), func(i int) bool { return h.Owners[i].to >= n })
}

// raise lets the head tell that chunks up to floor, which are applied, may be
// deleted; epoch is the highest of theirs. Those of them that count are given up,
// and what is empty stays: a marker that is deleted opens its number.
func (h *head) raise(floor uint64, epoch schema.Epoch) {
	h.cover(floor)
	h.Floor, h.FloorEpoch = floor, epoch
	h.Owners = slices.DeleteFunc(slices.Clone(h.Owners), func(s span) bool { return s.to <= floor })
}

// own notes that chunks from sealed+1 up to n, of the epoch that serves, count.
func (h *head) own(n uint64) {
	if n <= h.Sealed {
		return
	}
	// Never in place: heads that share the list are in use.
	spans := append(make([]span, 0, len(h.Owners)+1), h.Owners...)
	if k := len(spans) - 1; k >= 0 && spans[k].epoch == h.Serves && spans[k].to == h.Sealed {
		spans[k].to = n
	} else {
		spans = append(spans, span{epoch: h.Serves, from: h.Sealed + 1, to: n})
	}
	h.Owners, h.Sealed = spans, n
}

// validOwners reports whether the members of a head in three zones fit together.
func (h *head) validOwners() bool {
	zones := slices.Clone(h.Zones)
	slices.Sort(zones)
	if len(zones) != zoneCount || len(slices.Compact(zones)) != zoneCount || slices.Contains(zones, "") {
		return false
	}
	before := span{}
	for _, s := range h.Owners {
		if s.epoch <= before.epoch || s.from <= before.to || s.to < s.from {
			return false
		}
		before = s
	}
	return before.to <= h.Sealed && before.epoch <= h.Serves && h.Serves <= h.Epoch && h.Floor <= h.Sealed && h.Hint == 0
}
