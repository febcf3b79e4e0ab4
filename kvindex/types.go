package kvindex

import (
	"context"
	"iter"
	"time"

	"github.com/trinedb/trine/schema"
)

// MaxKeyBytes is the longest encoded key that the index can hold.
const MaxKeyBytes = 32 << 10

// MaxRowBytes is the longest encoded row that the index can hold.
const MaxRowBytes = 2 << 20

// AnswerTTL is how long the answer to an idempotent write is kept, counted
// from the commit time of its chunk.
const AnswerTTL = 24 * time.Hour

// Row is one version of a row.
type Row struct {
	Seq        schema.Seq
	TimeMicros int64 // commit time
	Bytes      []byte
}

// KeyRange is a part of a collection's keys.
type KeyRange struct {
	From    []byte // inclusive; nil: the first key
	To      []byte // exclusive; nil: after the last key
	Reverse bool   // from the highest key down
}

// Location is where a row lies in the lake.
type Location struct {
	File uint32 // ordinal of the data file in its table
	Row  uint32 // row in the file, from 0
}

// GroupRef says which chunk holds a run of a collection's changes.
type GroupRef struct {
	FirstSeq   schema.Seq
	Count      int
	Position   schema.Position
	TimeMicros int64 // commit time of the chunk
	Bytes      int64 // keys and rows of the group
}

// NextSeq is the Seq after the group's last change.
func (g GroupRef) NextSeq() schema.Seq { return g.FirstSeq + schema.Seq(g.Count) }

// Stats are the exact figures of a collection as of Applied. A collection that
// nothing was written to has zero Stats.
type Stats struct {
	NextSeq      schema.Seq
	Rows         int64      // live rows of a keyed collection, all records of an append-only one
	Bytes        int64      // keys and rows of those
	LogBytes     int64      // keys, rows and before images of all changes ever
	LakeSeq      schema.Seq // changes below it are in the lake
	LakeSnapshot int64      // the Iceberg snapshot that LakeSeq speaks of; 0: none
	TailBytes    int64      // the part of LogBytes that the lake does not hold
	TailSince    time.Time  // commit time of the first change that the lake does not hold; zero: none
}

// Flush is what a commit to the lake changes in the index.
type Flush struct {
	LakeSeq  schema.Seq // changes below it are in the lake now
	Snapshot int64
	// Set gives rows their new locations, and Clear forgets those of rows that
	// are gone from the lake; a key in both is set. Nil means none. Keys are
	// copied before the next is asked for.
	Set   iter.Seq2[[]byte, Location]
	Clear iter.Seq[[]byte]
	// Anew forgets every location of the collection before Set, and lets LakeSeq
	// go back: the table is not the one that the index knew, having lost its
	// newest versions or all of them. Ordinals of files may mean others then.
	Anew bool
	// Between tells how many bytes of keys and rows the changes from one Seq up to
	// another have, and when the first of them was committed. It is asked only
	// where the pointers that say so were dropped, and not under a lock. nil: then
	// RecordFlush fails with ErrCorrupt.
	Between func(ctx context.Context, from, to schema.Seq) (bytes int64, since time.Time, err error)
	// Upkeep, when not nil, marks the collection for upkeep with this note.
	Upkeep []byte
	// Err, when not nil, is asked after Set and Clear ended: an error means that
	// they ended early, and RecordFlush fails with it and records no LakeSeq.
	Err func() error
}
