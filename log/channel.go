package log

import (
	"context"

	"github.com/trinedb/trine/schema"
)

// Channel is an open channel, owned by this process until another takes it
// over or it is closed. It is safe for concurrent use.
type Channel struct{}

// Open takes the channel over, replays what the index has not applied, and
// starts to serve. The writer that had it before can no longer write.
func Open(ctx context.Context, o Options) (*Channel, error) { panic("not built yet") }

// Append sequences a batch and returns when it is durable.
func (c *Channel) Append(ctx context.Context, a Append) (Ack, error) { panic("not built yet") }

// Durable is the position of the last durable chunk.
func (c *Channel) Durable() schema.Position { panic("not built yet") }

// Wait returns when pos is durable.
func (c *Channel) Wait(ctx context.Context, pos schema.Position) error { panic("not built yet") }

// Chunk reads a durable chunk.
func (c *Channel) Chunk(ctx context.Context, pos schema.Position) (*schema.Chunk, error) {
	panic("not built yet")
}

// Group reads one collection's group of a durable chunk, and its commit time.
func (c *Channel) Group(ctx context.Context, pos schema.Position, id schema.Instance) (schema.Group, int64, error) {
	panic("not built yet")
}

// Follow reads chunks in order, beginning after a position.
func (c *Channel) Follow(after schema.Position) *Follower { panic("not built yet") }

// Follower reads the chunks of a channel in order. It is used by one goroutine.
type Follower struct{}

// Next waits for the next chunk.
func (f *Follower) Next(ctx context.Context) (*schema.Chunk, error) { panic("not built yet") }

// NextSeq is the Seq after the last durable one of a collection.
func (c *Channel) NextSeq(ctx context.Context, id schema.Instance) (schema.Seq, error) {
	panic("not built yet")
}

// Applied tells that State answers for everything up to pos.
func (c *Channel) Applied(pos schema.Position) { panic("not built yet") }

// Check reads all chunks from a position on from the store, in order.
func (c *Channel) Check(ctx context.Context, from schema.Position, fn func(*schema.Chunk) error) error {
	panic("not built yet")
}

// Close refuses new batches, makes the queued ones durable and ends.
func (c *Channel) Close(ctx context.Context) error { panic("not built yet") }
