package log

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// Options say where a channel lives and what it is joined to. The zero value of
// everything below Stager is the documented default.
type Options struct {
	Store    ChunkStore // where chunks and the head are kept
	Zones    []Zone     // in place of Store: three stores, two of which make a chunk durable
	Head     HeadStore  // with Zones: where the head is kept; it has to outlive a zone
	Channel  uint32     // which channel of that store
	WriterID string     // who writes, for people: at most 47 bytes of printable ASCII
	State    State      // what was applied; nil: nothing ever was
	Stager   Stager     // who sees what was sequenced; nil: nobody

	// Applied is the last position that State holds: Open replays what is
	// after it.
	Applied schema.Position
	// CatchUp, when set, is given each chunk after Applied by Open, in order,
	// instead of staging and publishing it, and State must hold the chunk when
	// it returns. An index that is built anew comes up this way in bounded
	// memory: what is staged stays in memory until Channel.Applied says
	// otherwise. The chunk may be kept.
	CatchUp func(context.Context, *schema.Chunk) error

	// MaxChunkBytes closes a chunk that has grown to it, before compression; a
	// single larger batch makes a larger chunk. Default 1 MiB.
	MaxChunkBytes int
	// Linger is the longest that a chunk waits for company when the store is
	// free, which it does only if company is to be expected: else it closes at
	// once. While the store is busy a chunk closes after Linger, or after the
	// InFlight-th part of a PUT's time if that is longer, if one more may be in
	// flight; if not, one of a quarter of MaxChunkBytes does, to be encoded
	// meanwhile. Default 1 ms.
	Linger time.Duration
	// InFlight is W of the ownership protocol: how many chunks may be at the
	// store at a time. The head records it, since a take-over fences as many.
	// At most MaxInFlight. Default 4: on a disk the fsyncs of several chunks
	// share commits of the file system's journal.
	InFlight int
	// MaxPendingBytes bounds what was handed to Append and is not durable;
	// beyond it Append waits. Default 128 MiB.
	MaxPendingBytes int64
	// MaxUnappliedBytes bounds what is durable and not applied; beyond it
	// nothing is sequenced until Applied is called. Default 256 MiB.
	MaxUnappliedBytes int64
	// TailBytes is how much of what was applied is kept in memory for readers
	// of recent changes. Default 64 MiB.
	TailBytes int64
	// CacheBytes is how much of the older chunks read last is kept. Default
	// 16 MiB.
	CacheBytes int64
	// HintEvery is after how many chunks the head tells of them, so that the
	// next Open has at most about that many to look at. Default 1,024.
	HintEvery uint64

	// Segments say whether chunks become segments, which let them be deleted.
	Segments SegmentOptions
	// Load, when set, brings State up to a position from segments, because it
	// lacks chunks that are deleted: State must hold all up to it, but for the
	// answers, when it returns. Without it Open fails with schema.ErrTrimmed.
	Load func(ctx context.Context, a *segment.Archive, through schema.Position) error

	Logger     *slog.Logger          // default: nothing is logged
	Registerer prometheus.Registerer // default: nothing is measured
	Now        func() time.Time      // commit times; default time.Now
	Rand       io.Reader             // what claims and put ids are made of; default crypto/rand
}

// MaxInFlight is the most that Options.InFlight may be, so that a reader knows
// how far from a fence a void chunk can lie.
const MaxInFlight = 16

// maxAppendBytes is the largest batch, in memory: a million records of 64 MiB and
// before images as large. Stored it is smaller, so that a chunk stays under the
// limits of its format.
const maxAppendBytes = 224 << 20

// Validate checks o.
func (o Options) Validate() error {
	switch {
	case o.Store == nil && len(o.Zones) == 0:
		return fmt.Errorf("log options: Store is missing: %w", schema.ErrInvalid)
	case len(o.Zones) > 0 && (o.Store != nil || o.Head == nil) || len(o.Zones) == 0 && o.Head != nil:
		return fmt.Errorf("log options: want Store, or Zones and Head: %w", schema.ErrInvalid)
	case len(o.Zones) > 0 && len(o.Zones) != zoneCount:
		return fmt.Errorf("log options: %d zones: want %d: %w", len(o.Zones), zoneCount, schema.ErrInvalid)
	case !validZones(o.Zones):
		return fmt.Errorf("log options: zones need stores, and names that differ: %w", schema.ErrInvalid)
	case o.MaxChunkBytes < 0 || o.MaxChunkBytes > maxAppendBytes:
		return fmt.Errorf("log options: MaxChunkBytes %d: want at most %d: %w", o.MaxChunkBytes, maxAppendBytes, schema.ErrInvalid)
	case o.InFlight < 0 || o.InFlight > MaxInFlight:
		return fmt.Errorf("log options: InFlight %d: want at most %d: %w", o.InFlight, MaxInFlight, schema.ErrInvalid)
	case o.Linger < 0, o.MaxPendingBytes < 0, o.MaxUnappliedBytes < 0, o.TailBytes < 0, o.CacheBytes < 0:
		return fmt.Errorf("log options: negative limit: %w", schema.ErrInvalid)
	case o.CatchUp != nil && o.State == nil:
		return fmt.Errorf("log options: CatchUp needs State: %w", schema.ErrInvalid)
	}
	if err := o.Segments.validate(); err != nil {
		return err
	}
	return checkWriterID(o.WriterID)
}

func validZones(zones []Zone) bool {
	names := map[string]bool{}
	for _, z := range zones {
		if z.Name == "" || names[z.Name] || z.Store == nil {
			return false
		}
		names[z.Name] = true
	}
	return true
}

func checkWriterID(id string) error {
	if len(id) > 47 {
		return fmt.Errorf("log options: WriterID %q is longer than 47 bytes: %w", id, schema.ErrInvalid)
	}
	for i := range len(id) {
		if id[i] < 0x20 || id[i] > 0x7e {
			return fmt.Errorf("log options: WriterID %q: want printable ASCII: %w", id, schema.ErrInvalid)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	o.MaxChunkBytes = cmp.Or(o.MaxChunkBytes, 1<<20)
	o.Linger = cmp.Or(o.Linger, time.Millisecond)
	o.InFlight = cmp.Or(o.InFlight, 4)
	o.MaxPendingBytes = cmp.Or(o.MaxPendingBytes, 128<<20)
	o.MaxUnappliedBytes = cmp.Or(o.MaxUnappliedBytes, 256<<20)
	o.TailBytes = cmp.Or(o.TailBytes, 64<<20)
	o.CacheBytes = cmp.Or(o.CacheBytes, 16<<20)
	o.HintEvery = cmp.Or(o.HintEvery, 1024)
	o.Segments = o.Segments.withDefaults()
	if o.State == nil {
		o.State = noState{}
	}
	if o.Stager == nil {
		o.Stager = noStager{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return o
}
