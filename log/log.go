package log

import (
	"context"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// ChunkStore is where a channel keeps its chunks and its head. Package blob
// says what its errors mean and which of them leave an outcome open.
type ChunkStore interface {
	// PutIfAbsent makes an object that is durable when it returns nil; data is
	// not kept. blob.ErrExists: the name is taken, nothing changed.
	PutIfAbsent(ctx context.Context, name string, data []byte) error
	// Get reads a whole object.
	Get(ctx context.Context, name string) ([]byte, error)
	// GetRange reads n bytes from off, or from the end if off is negative;
	// fewer when the object ends before.
	GetRange(ctx context.Context, name string, off, n int64) ([]byte, error)
	// Delete removes an object; one that is not there is fine.
	Delete(ctx context.Context, name string) error
	HeadStore
}

// Zone is one of the three stores of a channel in three zones.
type Zone struct {
	Name  string // by which the head and errors call it, always the same
	Store ChunkStore
}

// HeadStore changes a small object by compare-and-swap.
type HeadStore interface {
	Read(ctx context.Context, name string) ([]byte, blob.Version, error)
	Swap(ctx context.Context, name string, old blob.Version, data []byte) (blob.Version, error)
}

// State is the durable history that the log no longer holds in memory: it
// answers for everything up to the position last given to Channel.Applied or
// Options.Applied, and may know more. It is safe for concurrent use.
type State interface {
	// NextSeq is the Seq after the last one of the collection that was
	// applied; 0 for one that never had a change.
	NextSeq(ctx context.Context, id schema.Instance) (schema.Seq, error)
	// Answer finds what a batch was answered, if that is still kept.
	Answer(ctx context.Context, key schema.DedupKey) (schema.Answer, bool, error)
}

// Stager is told what the channel sequences. It is called by one goroutine at a
// time, in order, and must not block for long: appends wait for it.
type Stager interface {
	// Stage tells of one batch that was sequenced into the chunk at pos and is
	// not durable: Decide must see it, readers must not. The groups and their
	// records are shared and must not be changed.
	Stage(pos schema.Position, groups []schema.Group)
	// Publish tells that a chunk is durable, before any of its batches is
	// acknowledged. Each position is published exactly once, in order, also
	// those of chunks that hold nothing.
	Publish(c *schema.Chunk)
	// Discard tells that what was staged at from and after it will never be
	// durable. The same positions may be staged again.
	Discard(from schema.Position)
}

type noState struct{}

func (noState) NextSeq(context.Context, schema.Instance) (schema.Seq, error) { return 0, nil }

func (noState) Answer(context.Context, schema.DedupKey) (schema.Answer, bool, error) {
	return schema.Answer{}, false, nil
}

type noStager struct{}

func (noStager) Stage(schema.Position, []schema.Group) {}
func (noStager) Publish(*schema.Chunk)                 {}
func (noStager) Discard(schema.Position)               {}
