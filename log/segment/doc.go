// Package segment rewrites the chunks of a log in larger objects that are sorted
// by collection, so that chunks can be deleted and a cold collection is read with
// two requests. The format, with its limits and the reasons for it, is specified
// in docs/format/segment.md.
//
// A [Builder] takes chunks in order and writes a segment of level 1; [Merge]
// makes one segment of the next level from several. A [Reader] reads one segment
// by ranged requests. A [Set] says which segments hold which positions; it is
// made from the names of the objects alone. An [Archive] reads a collection's
// changes from all segments of a Set. [PlanMerge] and [Plan] are pure functions
// that say what to merge and what to delete; whoever owns the channel does it.
//
// # Guarantees
//
//   - A segment appears whole or not at all, and never changes. One name means
//     one content: two writers of a name are both right.
//   - A change keeps its Seq, its bytes, its position and its commit time.
//   - Whatever a crash leaves behind, a reader of a Set sees each change once:
//     of segments that hold the same position exactly one is read.
//   - Decoders trust nothing: each length is compared with the object's size and
//     a fixed limit before anything is allocated for it. Bytes that are not what
//     the format says are schema.ErrCorrupt, with the object's name and offset.
//
// # Costs
//
//   - Opening a segment is one ranged read of its end, kept in memory: 1.25
//     bytes a collection and some 40 a block. An Archive bounds that memory.
//   - Reading a collection of an open segment is one ranged read for each
//     [ReadAhead] bytes of it, none if the filter knows that there is nothing.
//   - A Builder holds about its target in memory, and one chunk; a Merge 2 MiB of
//     blocks for each input, and what opening them costs.
//
// # Caveats
//
// Answers to idempotent writes are not in segments: the index has them, and a
// chunk is kept until it does. Nothing here deletes or raises a floor.
package segment

import (
	"context"
	"fmt"
	"hash/crc32"
	"iter"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Limits of the format.
const (
	MaxObjectBytes = 1 << 40
	MaxTailBytes   = 512 << 20              // index, filter and footer
	MaxBlockBytes  = 256<<20 + maxRunHeader // decompressed; over BlockBytes only for one long record
	MaxLevel       = 9
	maxSeq         = 1 << 63
)

// BlockBytes is how long a block is before compression, unless one record is
// longer.
const BlockBytes = 64 << 10

// ReadAhead is the most that one ranged read of blocks asks for, unless one
// block is longer.
const ReadAhead = 1 << 20

// The versions that are read. The lower is written unless a record has a before
// image, so that nothing differs for those without.
const (
	plainVersion = 1
	version      = 2
)

// Source is where segments are read from. Package blob says what its errors
// mean.
type Source interface {
	// GetRange reads n bytes from off, or from the end if off is negative;
	// fewer when the object ends before.
	GetRange(ctx context.Context, name string, off, n int64) ([]byte, error)
}

// Target is where segments are written.
type Target interface {
	Source
	// Create begins an object, which appears when it is committed.
	Create(ctx context.Context, name string) (blob.Writer, error)
}

// Lister tells which objects there are.
type Lister interface {
	// List tells the names that begin with prefix and lie after the given one,
	// in order of their bytes, and misses none that exists throughout.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

// Group holds neighbouring changes of one collection that were committed with
// one chunk. What a chunk held of a collection may come in several Groups.
type Group struct {
	schema.Group
	Position   schema.Position
	TimeMicros int64 // commit time
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func corrupt(name string, off int64, format string, args ...any) error {
	return fmt.Errorf("segment %s at byte %d: %s: %w", name, off, fmt.Sprintf(format, args...), schema.ErrCorrupt)
}
