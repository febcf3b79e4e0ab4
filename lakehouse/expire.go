package lakehouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/iceberg-go/table"

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
	raw, err := t.withoutSnapshots(overdue)
	if err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	next := &Snapshot{
		lake: l, table: t.path, version: t.version(), id: base.id, time: base.time,
		progress: base.progress, manifests: base.manifests,
	}
	next.raw = raw
	if next.meta, err = table.ParseMetadataBytes(raw); err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	if err := next.index(); err != nil {
		return nil, err
	}
	return next, t.makeCurrent(ctx, next, nil)
}

// withoutSnapshots is the base's metadata that no longer names some snapshots, the
// oldest. It is edited as JSON, since a builder would stamp it with the time of
// now: the next snapshot has to be younger than its base, and must not be younger
// than the changes that it adds (see Commit.Since).
func (t *commitTask) withoutSnapshots(overdue []int64) ([]byte, error) {
	var all map[string]json.RawMessage
	var part struct {
		Snapshots []json.RawMessage `json:"snapshots"`
		Log       []json.RawMessage `json:"snapshot-log"`
		Files     []json.RawMessage `json:"metadata-log"`
		Props     map[string]string `json:"properties"`
	}
	if err := errors.Join(json.Unmarshal(t.base.raw, &all), json.Unmarshal(t.base.raw, &part)); err != nil {
		return nil, err
	}
	file, err := json.Marshal(table.MetadataLogEntry{MetadataFile: t.base.MetadataLocation(), TimestampMs: t.base.meta.LastUpdatedMillis()})
	if err != nil {
		return nil, err
	}
	part.Files = append(part.Files, file)
	part.Files = part.Files[max(0, len(part.Files)-metadataLogLength):]
	maps.Copy(part.Props, t.committed())
	for name, list := range map[string]*[]json.RawMessage{"snapshots": &part.Snapshots, "snapshot-log": &part.Log} {
		if *list, err = notNaming(*list, overdue); err != nil {
			return nil, err
		}
		if all[name], err = json.Marshal(*list); err != nil {
			return nil, err
		}
	}
	var err1, err2 error
	all["metadata-log"], err1 = json.Marshal(part.Files)
	all["properties"], err2 = json.Marshal(part.Props)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// notNaming are the objects whose snapshot-id is none of ids.
func notNaming(list []json.RawMessage, ids []int64) (rest []json.RawMessage, err error) {
	for _, raw := range list {
		var named struct {
			ID int64 `json:"snapshot-id"`
		}
		if err := json.Unmarshal(raw, &named); err != nil {
			return nil, err
		}
		if !slices.Contains(ids, named.ID) {
			rest = append(rest, raw)
		}
	}
	return rest, nil
}
