package log

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// SegmentStore is where a channel keeps its segments: where its chunks are, or
// in another store. Package blob says what its errors mean.
type SegmentStore interface {
	segment.Target
	segment.Lister
	// Delete removes an object; one that is not there is fine.
	Delete(ctx context.Context, name string) error
}

// ChunkFolder finds chunks; it is the ChunkStore by another method, which nothing
// but a lost head asks for.
type ChunkFolder interface {
	// List tells the names that begin with prefix and lie after the given one.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

// SegmentOptions say how chunks become segments and when they are deleted. The
// zero value: never; with a Store the rest has defaults.
type SegmentOptions struct {
	Store SegmentStore // nil: no segments are made or read
	// Chunks is the folder of Options.Store. nil: a lost head of which no chunk or
	// segment tells goes unnoticed.
	Chunks ChunkFolder

	// TargetBytes is how much a segment made from chunks holds, before
	// compression; as much is held in memory until it is full. Default 64 MiB,
	// at most 1 GiB.
	TargetBytes int64
	// MaxAge is how long a change waits at most before it is in a segment, full
	// or not, by Options.Now, as all ages here. Default 1 h.
	MaxAge time.Duration
	// Grace is how long what readers may still work with is kept after they
	// need it no more. It is no condition of safety. Default 10 min.
	Grace time.Duration
	// CacheBytes bounds the memory for filters and indexes of segments. Default
	// 64 MiB.
	CacheBytes int64
	// DeletesPerSecond bounds the pace at which chunks are deleted. Default 1,000.
	DeletesPerSecond int

	// Indexed is up to where State would hold the chunks if the machine lost
	// power now. nil: nothing is deleted. It is called by one goroutine.
	Indexed func() schema.Position
	// AnswersKept is how long a chunk is kept for the answers to idempotent
	// writes in it, which segments do not have: as long as they are asked for.
	// Default 24 h; negative: not at all.
	AnswersKept time.Duration
	// Copied is up to where a copy of State, with its answers, lies where the
	// loss of this one does not reach it: no chunk up to there is needed, however
	// young. nil: there is none.
	Copied func() schema.Position
	// Archived is told that readers find what chunks up to a position hold in
	// segments: pointers to these chunks may go. Since it was told last only
	// collections of held have come to have any; they are in order, and an error
	// may come last, which it returns. nil: all may have. An error has it told
	// again later. nil: nobody is told.
	Archived func(ctx context.Context, through schema.Position, held iter.Seq2[schema.Instance, error]) error
	// Retainer says what is kept of segments. nil: all.
	Retainer Retainer
	// RetainAfter is how long after it was made or found a segment is looked at
	// first: a look costs by the collections in it, and a start must not. Default
	// 1 h.
	RetainAfter time.Duration
}

func (o SegmentOptions) validate() error {
	switch {
	case o.TargetBytes < 0 || o.TargetBytes > segment.MaxTargetBytes:
		return fmt.Errorf("log options: Segments.TargetBytes %d: want at most %d: %w", o.TargetBytes, segment.MaxTargetBytes, schema.ErrInvalid)
	case o.MaxAge < 0, o.Grace < 0, o.CacheBytes < 0, o.DeletesPerSecond < 0, o.RetainAfter < 0:
		return fmt.Errorf("log options: Segments: negative limit: %w", schema.ErrInvalid)
	}
	return nil
}

func (o SegmentOptions) withDefaults() SegmentOptions {
	o.TargetBytes = cmp.Or(o.TargetBytes, segment.DefaultTargetBytes)
	o.MaxAge = cmp.Or(o.MaxAge, time.Hour)
	o.Grace = cmp.Or(o.Grace, 10*time.Minute)
	o.CacheBytes = cmp.Or(o.CacheBytes, segment.DefaultCacheBytes)
	o.DeletesPerSecond = cmp.Or(o.DeletesPerSecond, 1000)
	o.AnswersKept = cmp.Or(o.AnswersKept, 24*time.Hour)
	o.RetainAfter = cmp.Or(o.RetainAfter, time.Hour)
	return o
}

// openArchive lists the segments, if the channel has a store for them.
func (c *Channel) openArchive(ctx context.Context) (err error) {
	o := c.o.Segments
	if o.Store == nil {
		return nil
	}
	if c.archive != nil {
		return c.archive.Reload(ctx)
	}
	c.archive, err = segment.OpenArchive(ctx, segment.ArchiveOptions{
		Store: o.Store, Channel: c.o.Channel, Generation: c.generation, CacheBytes: o.CacheBytes,
	})
	return err
}

// checkArchive demands that segments hold what the floor gave up.
func (c *Channel) checkArchive(own ownership) error {
	if c.archive == nil || own.head.Floor == 0 {
		return nil
	}
	if set := c.archive.Set(); set.To() <= own.head.Floor {
		return fmt.Errorf("chunks up to %d were given up to segments, of which those up to %d are there: give the store that holds the others: %w",
			own.head.Floor, set.To(), schema.ErrCorrupt)
	}
	return nil
}

// Archived is the last position whose chunk segments hold; the zero Position if
// there are none.
func (c *Channel) Archived() schema.Position {
	if c.archive == nil || c.archive.Set().To() == 0 {
		return schema.Position{}
	}
	return c.at(c.archive.Set().To())
}

// Archive is what reads the segments, nil if the channel has none.
func (c *Channel) Archive() *segment.Archive { return c.archive }
