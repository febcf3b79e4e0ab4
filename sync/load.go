package sync

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// LoadSegments brings an index up to a position whose chunks are deleted: segment
// by segment, each sorted by collection as the index is. A load that was cut short
// goes on where it was. Collections that were dropped are passed over.
func LoadSegments(ctx context.Context, index *kvindex.Index, dropped func(schema.Record) (schema.Instance, bool),
	a *segment.Archive, through schema.Position, logger *slog.Logger) error {
	if err := dropArchived(ctx, index, dropped, a); err != nil {
		return err
	}
	for {
		applied, to := index.Applied(), index.Loading()
		if applied.Compare(through) >= 0 && to.IsZero() {
			return nil
		}
		if to.IsZero() {
			to = through
			for _, s := range a.Set().Spans() {
				if s.From <= applied.Chunk+1 && applied.Chunk < s.To {
					to.Chunk = min(s.To, through.Chunk)
				}
			}
		}
		logger.Info("index is built from segments", "from", applied.String(), "to", to.String(), "end", through.String())
		if err := index.Load(ctx, to, loadGroups(a.Sorted(ctx, applied.Chunk+1, to.Chunk))); err != nil {
			return fmt.Errorf("load chunks %v to %v from segments: %w", applied, to, err)
		}
	}
}

func loadGroups(groups iter.Seq2[segment.Group, error]) iter.Seq2[kvindex.LoadGroup, error] {
	return func(yield func(kvindex.LoadGroup, error) bool) {
		for g, err := range groups {
			if !yield(kvindex.LoadGroup{Group: g.Group, TimeMicros: g.TimeMicros}, err) {
				return
			}
		}
	}
}

// dropArchived drops what segments say is dropped, so that it is not loaded.
func dropArchived(ctx context.Context, index *kvindex.Index, dropped func(schema.Record) (schema.Instance, bool), a *segment.Archive) error {
	for g, err := range a.Read(ctx, schema.InstanceCollections, 0) {
		if err != nil {
			return err
		}
		if err := index.Drop(ctx, droppedBy(g.Records, dropped)...); err != nil {
			return err
		}
	}
	return nil
}
