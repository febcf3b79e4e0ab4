package sync

import (
	"context"
	"fmt"
	"iter"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// reconcile makes the index's places of rows those of the table's newest
// snapshot. They differ when a crash came between the two, or when the index,
// the table, or the table's newest version was lost; lock.pin is held
// exclusively. The lake is right about what it holds, the index about nothing
// of it: all places are forgotten, and read from the key columns of the live
// files.
func (e *Engine) reconcile(ctx context.Context, c *schema.Collection, snap *lakehouse.Snapshot) error {
	stats, err := e.index.Stats(ctx, c.Instance)
	if err != nil {
		return fmt.Errorf("read index state: %w", err)
	}
	if snap == nil {
		if stats.LakeSnapshot == 0 {
			return nil
		}
		e.logger.Warn("table is gone; it is made again from the log", "collection", c.String())
		return e.index.RecordFlush(ctx, c.Instance, kvindex.Flush{Anew: true, Between: e.between(c.Instance)})
	}
	if stats.LakeSnapshot == snap.ID() && stats.LakeSeq == snap.NextSeq() {
		return nil
	}
	flush := kvindex.Flush{
		LakeSeq: snap.NextSeq(), Snapshot: snap.ID(), Anew: true, Between: e.between(c.Instance), Upkeep: upkeepNote(c),
	}
	if !c.Schema.Keyed() {
		return e.index.RecordFlush(ctx, c.Instance, flush)
	}
	e.logger.Info("places of rows are read from the table", "collection", c.String(), "snapshot", snap.ID())
	var readErr error
	var files []uint32
	for _, f := range snap.Files() {
		files = append(files, f.Ordinal)
	}
	flush.Set = placesIn(ctx, c, snap, files, &readErr)
	flush.Err = func() error { return readErr }
	if err := e.index.RecordFlush(ctx, c.Instance, flush); err != nil {
		return fmt.Errorf("record the places of rows: %w", err)
	}
	return nil
}

// placesIn yields the key and place of each live row of some files of snap. An
// error ends it early and is left in failed.
func placesIn(ctx context.Context, c *schema.Collection, snap *lakehouse.Snapshot, files []uint32, failed *error) iter.Seq2[[]byte, kvindex.Location] {
	return func(yield func([]byte, kvindex.Location) bool) {
		var key []byte
		for _, file := range files {
			err := snap.ReadKeys(ctx, c.Schema, file, func(row uint32, parts []schema.Value) error {
				key = c.Schema.AppendKeyParts(key[:0], parts)
				if !yield(key, kvindex.Location{File: file, Row: row}) {
					return context.Canceled
				}
				return nil
			})
			if err != nil {
				*failed = fmt.Errorf("read keys of data file %d: %w", file, err)
				return
			}
		}
	}
}
