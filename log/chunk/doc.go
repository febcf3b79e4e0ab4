// Package chunk encodes and decodes chunks, the objects that the log is made
// of. The format, with its limits and the reasons for it, is specified in
// docs/format/chunk.md.
//
// Decoders trust nothing: each length is compared with the object's size and a
// fixed limit before anything is allocated for it, and bytes that are not what
// the format says are schema.ErrCorrupt, with the object's name and the offset.
//
// Decoded records share memory with the bytes that they were decoded from, or
// with the one block that these were decompressed to.
package chunk

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Limits of the format.
const (
	MaxObjectBytes = 512 << 20 // a whole chunk
	MaxFooterBytes = 64 << 20
	MaxGroupBytes  = 256 << 20 // records of one group, decompressed
	MaxRecordBytes = 512 << 20 // records of all groups, decompressed
	maxSeq         = 1 << 63
)

// Sizes of the fixed parts.
const (
	HeaderSize  = 112
	TrailerSize = 24
	crcSize     = 4
)

// The versions that are read. One of the last two is written: the lower unless a
// record has a before image, so that nothing else differs for those without.
const (
	firstVersion = 1 // without DurableUpto
	plainVersion = 2 // without before images
	version      = 3
)

func corrupt(name string, off int64, format string, args ...any) error {
	return fmt.Errorf("chunk %s at byte %d: %s: %w", name, off, fmt.Sprintf(format, args...), schema.ErrCorrupt)
}
