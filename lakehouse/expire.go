package lakehouse

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Expire makes a version that no longer names snapshots older than
// Options.SnapshotAge or more than Options.SnapshotsKept, if base names such: a
// table that is not written to any more would name them for ever. The current
// snapshot stays what it is. Errors are as Commit's. It reports whether it made a
// version; without one, the snapshot is base.
//
// The files stay where they are until Clean.
func (l *Lake) Expire(ctx context.Context, c *schema.Collection, base *Snapshot) (*Snapshot, bool, error) {
	overdue := l.overdue(base.meta.Snapshots(), l.opts.SnapshotsKept, 1)
	if len(overdue) == 0 {
		return base, false, nil
	}
	next, err := l.expire(ctx, c, base, overdue)
	if err != nil {
		return nil, false, fmt.Errorf("expire %d snapshots of %s: %w", len(overdue), c, err)
	}
	return next, true, nil
}

func (l *Lake) expire(ctx context.Context, c *schema.Collection, base *Snapshot, overdue []int64) (*Snapshot, error) {
	t := l.newTask(c, base)
	t.rewrites = true
	if err := t.checkBase(); err != nil {
		return nil, err
	}
	builder, err := t.builder()
	if err == nil {
		err = builder.RemoveSnapshots(overdue, false)
	}
	if err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	next := &Snapshot{
		lake: l, table: t.path, version: t.version(), id: base.id, time: base.time,
		progress: base.progress, manifests: base.manifests,
	}
	if next.meta, err = builder.Build(); err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	if next.raw, err = json.Marshal(next.meta); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	if err := next.index(); err != nil {
		return nil, err
	}
	return next, t.makeCurrent(ctx, next, nil)
}
