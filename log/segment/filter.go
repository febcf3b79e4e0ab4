package segment

import (
	"encoding/binary"
	"sort"

	"github.com/trinedb/trine/schema"
)

// The filter is a row of Bloom filters, one for each filterPart collections in
// order: so a writer that does not know how many there will be gives each
// filterBits bits and holds one part in memory.
const (
	filterPart   = 4096
	filterBits   = 10
	filterProbes = 7
	partBytes    = filterPart * filterBits / 8
)

// filter says of a collection that it is not in a segment, or that it may be,
// wrongly so for about one of a hundred that are not.
type filter struct {
	firsts []schema.Instance // of each part
	bits   []byte
}

func (f *filter) has(id schema.Instance) bool {
	i := sort.Search(len(f.firsts), func(i int) bool { return f.firsts[i] > id }) - 1
	if i < 0 {
		return false
	}
	bits := f.bits[i*partBytes:]
	bits = bits[:min(len(bits), partBytes)]
	for bit := range probes(id, len(bits)*8) {
		if bits[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// probes are the bits of an instance in a part of so many bits.
func probes(id schema.Instance, bits int) func(func(int) bool) {
	return func(yield func(int) bool) {
		// The finaliser of splitmix64: instances are numbers in a row.
		h := uint64(id) + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
		a, b := h>>32, h&0xffffffff|1
		for range filterProbes {
			if !yield(int((a & 0xffffffff) * uint64(bits) >> 32)) {
				return
			}
			a += b
		}
	}
}

// filterWriter makes a filter of instances that come in order.
type filterWriter struct {
	part   []schema.Instance
	last   schema.Instance // first of the part before
	firsts []byte
	bits   []byte
}

func (w *filterWriter) add(id schema.Instance) {
	if w.part = append(w.part, id); len(w.part) == filterPart {
		w.seal()
	}
}

func (w *filterWriter) seal() {
	if len(w.part) == 0 {
		return
	}
	w.firsts = binary.AppendUvarint(w.firsts, uint64(w.part[0]-w.last))
	w.last = w.part[0]
	at := len(w.bits)
	w.bits = append(w.bits, make([]byte, partLen(len(w.part)))...)
	bits := w.bits[at:]
	for _, id := range w.part {
		for bit := range probes(id, len(bits)*8) {
			bits[bit/8] |= 1 << (bit % 8)
		}
	}
	w.part = w.part[:0]
}

// partLen is how many bytes the filter of n collections has.
func partLen(n int) int { return (n*filterBits + 7) / 8 }

// filterLen is how many bytes all parts of n collections have, and how many
// parts they are.
func filterLen(n uint64) (bytes, parts uint64) {
	full, rest := n/filterPart, n%filterPart
	bytes, parts = full*partBytes, full
	if rest > 0 {
		bytes, parts = bytes+uint64(partLen(int(rest))), parts+1
	}
	return bytes, parts
}

// filter takes the filter of n collections, whose length was checked to be no
// less than filterLen says.
func (p *parser) filter(n uint64) (filter, bool) {
	bytes, parts := filterLen(n)
	f := filter{firsts: make([]schema.Instance, parts)}
	before := schema.Instance(0)
	for i := range f.firsts {
		delta := schema.Instance(p.Uvarint())
		if p.Bad || delta == 0 || before+delta < before {
			return filter{}, false
		}
		before += delta
		f.firsts[i] = before
	}
	f.bits = p.Bytes(bytes)
	return f, !p.Bad && p.Off == len(p.Buf)
}
