package node

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// segments say how the log's chunks become segments, and when they go.
func (n *Node) segments() log.SegmentOptions {
	return log.SegmentOptions{
		Store: n.stores.segs, Chunks: n.stores.folder,
		TargetBytes: n.opts.SegmentBytes, MaxAge: n.opts.SegmentAge, Grace: n.opts.SegmentGrace,
		AnswersKept: n.opts.AnswersKept,
		Indexed:     n.indexed, Archived: n.archived,
		Retainer: retains{n}, RetainAfter: n.opts.RetainEvery,
	}
}

// indexed is what the index would still hold after a power failure, or where
// snapshots are taken all the time, after the loss of the disk: so the log keeps what a restored
// index lacks, answers to idempotent writes with it.
func (n *Node) indexed() schema.Position {
	if n.snapshots != nil && !n.stores.indexOnDemand {
		return n.snapshots.lastPosition()
	}
	pos, err := n.index.Durable()
	if err != nil {
		n.opts.Logger.Warn("no chunk is deleted: how far the index is durable is not known", "error", err)
		return schema.Position{}
	}
	return pos
}

// archived lets the index's pointers go to chunks that readers find in segments.
func (n *Node) archived(ctx context.Context, through schema.Position, held iter.Seq2[schema.Instance, error]) error {
	if err := n.index.Wait(ctx, through); err != nil {
		return fmt.Errorf("wait for the index, to let pointers to chunks go: %w", err)
	}
	dropped, err := n.index.DropGroups(ctx, through, held)
	if err != nil {
		return err
	}
	n.opts.Logger.Debug("pointers to chunks dropped", "through", through.String(), "pointers", dropped)
	return nil
}

// load builds the index up to a position whose chunks are gone.
func (n *Node) load(ctx context.Context, a *segment.Archive, through schema.Position) error {
	if err := sync.LoadSegments(ctx, n.index, registry.DroppedInstance, a, through, n.opts.Logger); err != nil {
		return fmt.Errorf("build index from segments: %w", err)
	}
	return nil
}

// retains is the engine as the log sees it, which is open before the engine is.
type retains struct{ n *Node }

func (r retains) Retain(ctx context.Context, a *segment.Archive, s segment.Span) (log.Retained, error) {
	engine := r.n.retaining.Load()
	if engine == nil {
		return log.Retained{Again: time.Now().Add(time.Second)}, nil
	}
	return engine.Retain(ctx, a, s)
}

func (r retains) Kept(ctx context.Context, a *segment.Archive, through uint64) (func(schema.Instance) schema.Seq, error) {
	engine := r.n.retaining.Load()
	if engine == nil {
		return nil, nil
	}
	return engine.Kept(ctx, a, through)
}
