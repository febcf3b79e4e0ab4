package log

import (
	"context"

	"github.com/trinedb/trine/schema"
)

// Follower reads the chunks of a channel in order. It is used by one goroutine,
// needs no closing, and never delays the writer: what has left memory it reads
// from the store.
type Follower struct {
	c    *Channel
	next schema.Position
}

// Follow reads chunks in order, beginning after a position; the zero Position
// is before all.
func (c *Channel) Follow(after schema.Position) *Follower {
	if after.IsZero() {
		after = c.at(0)
	}
	return &Follower{c: c, next: after.Next()}
}

// Next waits for the next chunk to be durable and gives it; it must not be
// changed. Chunks that hold nothing, such as fences, are given too. It fails as
// Wait and Chunk do; after an error the same chunk is tried again.
func (f *Follower) Next(ctx context.Context) (*schema.Chunk, error) {
	if err := f.c.Wait(ctx, f.next); err != nil {
		return nil, err
	}
	ck, err := f.c.Chunk(ctx, f.next)
	if err != nil {
		return nil, err
	}
	f.next = f.next.Next()
	return ck, nil
}
