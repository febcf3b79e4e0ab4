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
	firsts, err := archivedTrims(ctx, a)
	if err != nil {
		return err
	}
	o := kvindex.LoadOptions{FirstSeq: func(inst schema.Instance) schema.Seq { return firsts[inst] }}
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
		if err := index.Load(ctx, to, loadGroups(a.Sorted(ctx, applied.Chunk+1, to.Chunk)), o); err != nil {
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
		if err := index.Drop(ctx, g.TimeMicros, droppedBy(g.Records, dropped)...); err != nil {
			return err
		}
	}
	return nil
}

// archivedTrims are the trim points that segments hold: nothing was left out of a
// segment for a later one.
func archivedTrims(ctx context.Context, a *segment.Archive) (map[schema.Instance]schema.Seq, error) {
	firsts := map[schema.Instance]schema.Seq{}
	for g, err := range a.Read(ctx, schema.InstanceTrims, 0) {
		if err != nil {
			return nil, fmt.Errorf("read trim points: %w", err)
		}
		for _, rec := range g.Records {
			inst, ok := schema.TrimmedInstance(rec.Key)
			if !ok {
				return nil, fmt.Errorf("trim point under key %.100x: %w", rec.Key, schema.ErrCorrupt)
			}
			if rec.Op == schema.OpDelete {
				delete(firsts, inst)
				continue
			}
			if firsts[inst], err = DecodeTrimPoint(rec.Row); err != nil {
				return nil, err
			}
		}
	}
	return firsts, nil
}
