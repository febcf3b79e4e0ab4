package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// Waits between tries of a chunk that the index did not take.
const (
	indexRetryFirst = 50 * time.Millisecond
	indexRetryMost  = 5 * time.Second
)

// What the index is given at once when it is behind: enough to keep it busy, and
// little enough that the log soon lets go of it.
const (
	maxIndexChunks = 16
	maxIndexBytes  = 8 << 20
)

// runIndexer gives the index the chunks in order and then tells the log, which
// can forget it, and the flusher, which may find work in it. A full disk is
// waited out; writers meet the log's back-pressure meanwhile.
func (e *Engine) runIndexer(ctx context.Context) {
	follower := e.log.Follow(e.index.Applied())
	for {
		chunks, err := follower.NextFew(ctx, maxIndexChunks, maxIndexBytes)
		if err != nil {
			e.stopped(ctx, fmt.Errorf("follow log: %w", err))
			return
		}
		last := chunks[len(chunks)-1].Position
		if err := e.applyWithRetry(ctx, chunks); err != nil {
			e.stopped(ctx, fmt.Errorf("index chunks through %s: %w", last, err))
			return
		}
		e.log.Applied(last)
		e.appliedMoved.signal()
		for _, chunk := range chunks {
			e.metrics.applied(chunk, e.opts.Now())
			e.flusher.touch(chunk)
			e.opts.OnIndexed(chunk)
		}
	}
}

// stopped tells those who wait for the index why they wait in vain.
func (e *Engine) stopped(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, schema.ErrClosed) {
		e.fail(schema.ErrClosed)
		return
	}
	e.logger.Error("fan-out stopped", "error", err)
	e.fail(err)
}

func (e *Engine) applyWithRetry(ctx context.Context, chunks []*schema.Chunk) error {
	for wait := indexRetryFirst; ; wait = min(2*wait, indexRetryMost) {
		err := e.apply(ctx, chunks)
		if !errors.Is(err, schema.ErrNoSpace) && !errors.Is(err, schema.ErrUnavailable) {
			return err
		}
		e.logger.Warn("index waits", "chunk", chunks[0].Position, "retry_in", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply gives the index the next chunks.
func (e *Engine) apply(ctx context.Context, chunks []*schema.Chunk) error {
	return ApplyChunks(ctx, e.index, e.opts.Dropped, chunks...)
}

// Applier is the index as chunks are carried to it.
type Applier interface {
	// Drop ends instances; it may be repeated.
	Drop(ctx context.Context, timeMicros int64, insts ...schema.Instance) error
	// Apply takes the next chunks, and each one's position in the atomic write
	// that ends it. After an error some may be in; those may be given again.
	Apply(ctx context.Context, chunks ...*schema.Chunk) error
}

// ApplyChunks gives an index the next chunks: the drops that one holds before it,
// so that a crash before its position is recorded drops again rather than never,
// and after those before it.
func ApplyChunks(ctx context.Context, index Applier, dropped func(schema.Record) (schema.Instance, bool), chunks ...*schema.Chunk) error {
	first := 0
	for i, c := range chunks {
		g, ok := c.Group(schema.InstanceCollections)
		if !ok {
			continue
		}
		gone := droppedBy(g.Records, dropped)
		if len(gone) == 0 {
			continue
		}
		if err := index.Apply(ctx, chunks[first:i]...); err != nil {
			return err
		}
		first = i
		if err := index.Drop(ctx, c.TimeMicros, gone...); err != nil {
			return err
		}
	}
	return index.Apply(ctx, chunks[first:]...)
}

// droppedBy are the instances that records of the registry end.
func droppedBy(records []schema.Record, dropped func(schema.Record) (schema.Instance, bool)) (insts []schema.Instance) {
	for _, rec := range records {
		if inst, gone := dropped(rec); gone {
			insts = append(insts, inst)
		}
	}
	return insts
}
