package sync

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// CommitByEngine makes the next version of a collection's table as an SQL engine
// asks for it through the catalog, and answers it; errors are the lake's. It is a
// commit as a flush is: of the two the first wins, and the engine's finds by its
// requirements that it was overtaken.
func (e *Engine) CommitByEngine(ctx context.Context, c *schema.Collection, ask lakehouse.EngineCommit) (*lakehouse.Snapshot, error) {
	return e.changeTable(ctx, c.Instance, func(ctx context.Context, ch lakehouse.EngineChange) (*lakehouse.Snapshot, []uint32, error) {
		ch.Commit = ask
		return e.lake.CommitByEngine(ctx, ch)
	})
}

// changeTable has change make the next version of a table, as the table's one
// committer. If that moved rows of a keyed table, scans of it wait from the
// publication until the index has their new places.
func (e *Engine) changeTable(ctx context.Context, inst schema.Instance,
	change func(context.Context, lakehouse.EngineChange) (*lakehouse.Snapshot, []uint32, error)) (*lakehouse.Snapshot, error) {
	lock := e.tables.acquire(inst)
	defer e.tables.release(inst)
	unlock, err := lock.lockCommit(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := e.catalog.ByInstance(ctx, inst)
	if err != nil {
		return nil, err
	}
	if c.Options.Lake == schema.LakeOff {
		return nil, fmt.Errorf("%s: option lake is off: %w", c, schema.ErrUnsupported)
	}
	base, err := e.baseInStep(ctx, c, lock)
	if err == nil && base == nil {
		err = fmt.Errorf("%s has no table: %w", c, schema.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	release := func() {}
	defer func() { release() }()
	next, files, err := change(ctx, lakehouse.EngineChange{Collection: c, Base: base, BeforePublish: func() {
		// When ctx ends here, nothing is published.
		if u, err := lock.pinAlone(ctx); err == nil {
			release = u
		}
	}})
	if err != nil || next == base {
		return next, err
	}
	if err := e.dropIfGone(ctx, c); err != nil {
		return nil, err
	}
	if next.ID() != base.ID() {
		e.recordPlaces(context.WithoutCancel(ctx), c, next, files)
	} else if err := e.MarkTable(ctx, c); err != nil {
		e.logger.Warn("table is not marked for upkeep", "collection", c.String(), "error", err)
	}
	e.upkeep.committed(c, next)
	return next, nil
}

// recordPlaces tells the index of a version that an engine made, and where the rows
// of its new files are. The version is there whether that succeeds or not; if not,
// whoever comes next finds the two apart, and reconciles them.
func (e *Engine) recordPlaces(ctx context.Context, c *schema.Collection, snap *lakehouse.Snapshot, files []uint32) {
	flush := kvindex.Flush{LakeSeq: snap.NextSeq(), Snapshot: snap.ID(), Between: e.between(c.Instance), Upkeep: upkeepNote(c)}
	var readErr error
	if c.Schema.Keyed() {
		flush.Set = placesIn(ctx, c, snap, files, &readErr)
		flush.Err = func() error { return readErr }
	}
	if err := e.index.RecordFlush(ctx, c.Instance, flush); err != nil {
		e.logger.Warn("places of rows that an engine moved are read again later", "collection", c.String(), "error", err)
	}
}
