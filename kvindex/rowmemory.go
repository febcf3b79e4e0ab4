package kvindex

import (
	"hash/maphash"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/trinedb/trine/schema"
)

// rowMemory tells of many rows what they are without asking the engine, which
// costs as much as to write one: of those that were applied last, and of keys that
// a collection never had. Like tallies it is what the engine has, or what the
// batches in hand will give it: after an apply that failed it must be cleared.
// It is guarded by Index.writing.
type rowMemory struct {
	seeds [2]maphash.Seed

	// young and old are rows by key: as tallies, in two generations of limit each.
	young, old map[rowHash]int32 // bytes of the row; noRow: there is none
	limit      int

	// filters have all keys of collections that had no row when they began.
	filters     *simplelru.LRU[schema.Instance, *keyFilter]
	filterBytes int
	maxFilters  int // bytes

	looked int // rows that were not known, and looked up
}

// rowHash stands for a row's key in the engine. It is wide enough that two keys of
// the same hash need not be thought of, and nobody who chooses keys knows the seeds.
type rowHash [3]uint32

// short is the hash as filters take it.
func (h rowHash) short() uint64 { return uint64(h[0])<<32 | uint64(h[1]) }

const noRow = -1

// filteredCollections is how many have filters: those with the first rows of many
// small collections take some hundred bytes each.
const filteredCollections = 10_000

func newRowMemory(o Options) *rowMemory {
	m := &rowMemory{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, limit: o.RememberRows, maxFilters: o.FilterBytes}
	var err error
	m.filters, err = simplelru.NewLRU(filteredCollections, func(_ schema.Instance, f *keyFilter) { m.filterBytes -= f.bytes() })
	if err != nil {
		panic(err) // of a size that is not above 0
	}
	return m
}

func (m *rowMemory) hash(key []byte) rowHash {
	a, b := maphash.Bytes(m.seeds[0], key), maphash.Bytes(m.seeds[1], key)
	return rowHash{uint32(a >> 32), uint32(a), uint32(b)}
}

// begin is told of a collection that has no rows.
func (m *rowMemory) begin(inst schema.Instance) {
	m.filters.Remove(inst)
	m.filters.Add(inst, new(keyFilter))
}

// get tells what a row is, but not its bytes.
func (m *rowMemory) get(inst schema.Instance, h rowHash) (s rowState, known bool) {
	if f, ok := m.filters.Get(inst); ok && !f.mayHave(h.short()) {
		return rowState{}, true
	}
	length, ok := m.young[h]
	if !ok {
		length, ok = m.old[h]
	}
	return rowState{exists: ok && length != noRow, length: int(max(length, 0))}, ok
}

// put notes what a row that was something before is from here on.
func (m *rowMemory) put(inst schema.Instance, h rowHash, was, s rowState) {
	if s.exists && !was.exists { // else the filter has it
		m.filter(inst, h)
	}
	switch {
	case s.parts > 0: // which ones must be read
		delete(m.young, h)
		delete(m.old, h)
		return
	case m.limit <= 0:
		return
	case len(m.young) >= m.limit:
		m.young, m.old = nil, m.young
	}
	if m.young == nil {
		m.young = make(map[rowHash]int32)
	}
	m.young[h] = noRow
	if s.exists {
		m.young[h] = int32(s.length)
	}
}

// filter adds a key to its collection's filter, or lets go of that if it becomes
// too large.
func (m *rowMemory) filter(inst schema.Instance, h rowHash) {
	f, ok := m.filters.Get(inst)
	if !ok {
		return
	}
	more := f.grown()
	for m.filterBytes+more > m.maxFilters {
		evicted, _, _ := m.filters.RemoveOldest()
		if evicted == inst {
			return
		}
	}
	m.filterBytes += more
	f.add(h.short())
}

func (m *rowMemory) clear() {
	m.young, m.old = nil, nil
	m.filters.Purge()
}
