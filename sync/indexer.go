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

// runIndexer gives the index each chunk in order and then tells the log, which
// can forget it, and the flusher, which may find work in it. A full disk is
// waited out; writers meet the log's back-pressure meanwhile.
func (e *Engine) runIndexer(ctx context.Context) {
	follower := e.log.Follow(e.index.Applied())
	for {
		chunk, err := follower.Next(ctx)
		if err != nil {
			e.stopped(ctx, fmt.Errorf("follow log: %w", err))
			return
		}
		if err := e.applyWithRetry(ctx, chunk); err != nil {
			e.stopped(ctx, fmt.Errorf("index chunk %s: %w", chunk.Position, err))
			return
		}
		e.log.Applied(chunk.Position)
		e.appliedMoved.signal()
		e.metrics.applied(chunk, e.opts.Now())
		e.flusher.touch(chunk)
		e.opts.OnIndexed(chunk)
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

func (e *Engine) applyWithRetry(ctx context.Context, chunk *schema.Chunk) error {
	for wait := indexRetryFirst; ; wait = min(2*wait, indexRetryMost) {
		err := e.apply(ctx, chunk)
		if !errors.Is(err, schema.ErrNoSpace) && !errors.Is(err, schema.ErrUnavailable) {
			return err
		}
		e.logger.Warn("index waits", "chunk", chunk.Position, "retry_in", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply gives the index one chunk.
func (e *Engine) apply(ctx context.Context, chunk *schema.Chunk) error {
	return ApplyChunk(ctx, e.index, e.opts.Dropped, chunk)
}

// Applier is the index as chunks are carried to it.
type Applier interface {
	// Drop ends an instance; it may be repeated.
	Drop(ctx context.Context, inst schema.Instance) error
	// Apply takes the next chunk and its position in one atomic write.
	Apply(ctx context.Context, c *schema.Chunk) error
}

// ApplyChunk gives an index the next chunk: the drops that it holds first, so
// that a crash before its position is recorded drops again rather than never.
func ApplyChunk(ctx context.Context, index Applier, dropped func(schema.Record) (schema.Instance, bool), chunk *schema.Chunk) error {
	if g, ok := chunk.Group(schema.InstanceCollections); ok {
		for _, rec := range g.Records {
			inst, gone := dropped(rec)
			if !gone {
				continue
			}
			if err := index.Drop(ctx, inst); err != nil {
				return fmt.Errorf("drop instance %d: %w", inst, err)
			}
		}
	}
	return index.Apply(ctx, chunk)
}
