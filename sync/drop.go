package sync

import (
	"context"

	"github.com/trinedb/trine/schema"
)

// Drop has end end the collection c in the log, and lets its table go; the index's
// space comes back by itself, as the end is in the log. A collection that never had
// a table, as most, costs one request of the lake's store and leaves nothing to do.
func (e *Engine) Drop(ctx context.Context, c *schema.Collection, end func(context.Context) error) error {
	lock := e.tables.acquire(c.Instance)
	defer e.tables.release(c.Instance)
	// A commit under way may be making the table: then there is one to remove.
	if lock.commit.TryAcquire(1) {
		// While it is held no commit begins, and none that begins after the end
		// finds the collection.
		untouched, err := e.lake.Untouched(ctx, c)
		if err == nil && untouched {
			err = end(ctx)
		}
		lock.commit.Release(1)
		if err != nil || untouched {
			return err
		}
	}
	// The mark first: a crash between the end and the removal leaves files that
	// upkeep finds by it.
	if err := e.MarkTable(ctx, c); err != nil {
		return err
	}
	if err := end(ctx); err != nil {
		return err
	}
	// Who goes away now has dropped it all the same.
	if err := e.lake.Drop(context.WithoutCancel(ctx), c); err != nil {
		e.logger.Warn("table of a dropped collection is left to upkeep", "collection", c.String(), "error", err)
	}
	e.upkeep.schedule(c.Instance, c.String(), e.opts.Now().Add(flushRetry))
	return nil
}
