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
	return f.take(ctx)
}

// NextFew is Next, and gives the chunks behind it too that are durable by then:
// at most n of them in all, and none behind the one that brings their size to
// maxBytes. It may give some and fail only at the next call.
func (f *Follower) NextFew(ctx context.Context, n, maxBytes int) ([]*schema.Chunk, error) {
	ck, err := f.Next(ctx)
	if err != nil {
		return nil, err
	}
	few, size, durable := []*schema.Chunk{ck}, ck.Bytes, f.c.Durable()
	for len(few) < n && size < maxBytes && f.next.Compare(durable) <= 0 {
		if ck, err = f.take(ctx); err != nil {
			break
		}
		few, size = append(few, ck), size+ck.Bytes
	}
	return few, nil
}

// take gives the next chunk, which is durable.
func (f *Follower) take(ctx context.Context) (*schema.Chunk, error) {
	ck, err := f.c.Chunk(ctx, f.next)
	if err != nil {
		return nil, err
	}
	f.next = f.next.Next()
	return ck, nil
}
