package segment

import (
	"encoding/binary"
	"sort"

	"github.com/trinedb/trine/schema"
)

// How a block's payload is stored.
const (
	codecNone = 0
	codecZstd = 1
)

const crcSize = 4

// entry tells of one block.
type entry struct {
	first, last schema.Instance // the lowest and the highest in the block
	seq         schema.Seq      // of the first change
	offset      int64           // in the object
	stored      uint32          // payload's bytes, without CRC
	raw         uint32          // decompressed
	zstd        bool
}

func (e *entry) length() int64 { return int64(e.stored) + crcSize }

// append encodes an entry that comes after before.
func (e *entry) append(dst []byte, before *entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(e.first-before.last))
	dst = binary.AppendUvarint(dst, uint64(e.last-e.first))
	dst = binary.AppendUvarint(dst, uint64(e.seq))
	dst = binary.AppendUvarint(dst, uint64(e.stored))
	codec := uint64(codecNone)
	if e.zstd {
		codec = codecZstd
	}
	return binary.AppendUvarint(dst, uint64(e.raw)<<2|codec)
}

// minEntry is the length of the shortest entry.
const minEntry = 5

// index finds the blocks of a collection.
type index []entry

// index takes the entries of n blocks, which end where the tail begins. That n
// entries can be in the buffer was checked.
func (p *parser) index(n uint32, tail int64) (index, bool) {
	x := make(index, n)
	before := &entry{}
	offset := int64(0)
	for i := range x {
		e := &x[i]
		delta, span, seq, stored, coded := p.Uvarint(), p.Uvarint(), p.Uvarint(), p.Uvarint(), p.Uvarint()
		raw, codec := coded>>2, coded&3
		if p.Bad || stored > uint64(tail-offset) || raw > MaxBlockBytes || raw == 0 || codec > codecZstd ||
			codec == codecNone && raw != stored || raw > stored<<15 || seq >= maxSeq {
			return nil, false
		}
		e.first = before.last + schema.Instance(delta)
		e.last = e.first + schema.Instance(span)
		if e.first < before.last || e.last < e.first || e.first == 0 || e.first == before.first && schema.Seq(seq) <= before.seq {
			return nil, false
		}
		e.seq, e.offset, e.stored, e.raw, e.zstd = schema.Seq(seq), offset, uint32(stored), uint32(raw), codec == codecZstd
		offset += e.length()
		before = e
	}
	return x, p.Off == len(p.Buf) && offset == tail
}

// find gives the blocks lo to hi-1 that may hold changes of a collection from a
// Seq on.
func (x index) find(id schema.Instance, from schema.Seq) (lo, hi int) {
	hi = sort.Search(len(x), func(i int) bool { return x[i].first > id })
	lo = sort.Search(hi, func(i int) bool { return x[i].last >= id })
	// Of the blocks after lo, all of which begin with the collection, those that
	// begin at or below from make the ones before them needless.
	lo += max(0, sort.Search(hi-lo, func(i int) bool { return i > 0 && x[lo+i].seq > from })-1)
	return lo, hi
}
