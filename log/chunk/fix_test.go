package chunk_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/trinedb/trine/log/chunk"
)

// fixCRCs gives damaged bytes the sums that belong to them where it can find
// the place, so that a fuzzer comes past the first check.
func fixCRCs(data []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	b := bytes.Clone(data)
	le := binary.LittleEndian
	n := len(b)
	if n < 2*chunk.HeaderSize+chunk.TrailerSize {
		return b
	}
	le.PutUint32(b[108:], crc32.Checksum(b[:108], table))
	trailer := b[n-chunk.TrailerSize:]
	footer := int(le.Uint32(trailer[8:]))
	if footer < chunk.HeaderSize || footer > n-chunk.TrailerSize-chunk.HeaderSize {
		return b
	}
	at := n - chunk.TrailerSize - footer
	copy(b[at:], b[:chunk.HeaderSize])
	// Blocks, as far as the footer makes sense.
	rest := b[at+chunk.HeaderSize : n-chunk.TrailerSize]
	next := func() uint64 {
		v, k := binary.Uvarint(rest)
		rest = rest[max(k, 0):]
		return v
	}
	groups, _, answers := next(), next(), next()
	off := uint64(chunk.HeaderSize)
	seal := func(length uint64) {
		if length < uint64(at) && off+length+4 <= uint64(at) {
			le.PutUint32(b[off+length:], crc32.Checksum(b[off:off+length], table))
		}
		off += length + 4
	}
	for range min(groups, 64) {
		next()
		stored := next()
		next()
		next()
		next()
		if stored > uint64(n) {
			break
		}
		seal(stored)
	}
	if answers > 0 && answers < uint64(n) {
		seal(answers)
	}
	le.PutUint32(trailer[16:], crc32.Checksum(b[at:n-8], table))
	return b
}
