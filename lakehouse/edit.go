package lakehouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// edit is a change of a version's metadata that brings no snapshot.
type edit struct {
	drop  []int64                       // snapshots that are no longer named
	set   iceberg.Properties            // of the table
	unset []string                      // properties that go
	tags  map[string]*table.SnapshotRef // by name; nil: the tag goes
}

func (e *edit) empty() bool {
	return len(e.drop)+len(e.set)+len(e.unset)+len(e.tags) == 0
}

// apply makes the change of properties on a version that does bring one; more is
// set as well.
func (e *edit) apply(b *table.MetadataBuilder, more iceberg.Properties) error {
	set := maps.Clone(more)
	maps.Copy(set, e.set)
	if len(e.unset) > 0 {
		if err := b.RemoveProperties(e.unset); err != nil {
			return err
		}
	}
	return b.SetProperties(set)
}

// applyTags makes the change of tags on a version that brings a snapshot.
func (e *edit) applyTags(b *table.MetadataBuilder) error {
	for name, ref := range e.tags {
		err := error(nil)
		switch {
		case ref == nil:
			err = b.RemoveSnapshotRef(name)
		case ref.MaxRefAgeMs != nil:
			err = b.SetSnapshotRef(name, ref.SnapshotID, table.TagRef, table.WithMaxRefAgeMs(*ref.MaxRefAgeMs))
		default:
			err = b.SetSnapshotRef(name, ref.SnapshotID, table.TagRef)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// follow makes the version that e makes of the base, with the base's snapshot.
func (t *commitTask) follow(ctx context.Context, e edit, beforePublish func()) (*Snapshot, error) {
	if err := t.checkBase(); err != nil {
		return nil, err
	}
	base := t.base
	next := &Snapshot{
		lake: t.lake, table: t.path, version: t.version(), id: base.id, time: base.time,
		progress: base.progress, manifests: base.manifests,
	}
	var err error
	if next.raw, err = t.edited(e); err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	if next.meta, err = table.ParseMetadataBytes(next.raw); err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	next.gone = withdraws(next.meta)
	if err := next.index(); err != nil {
		return nil, err
	}
	return next, t.makeCurrent(ctx, next, beforePublish)
}

// edited is the base's metadata with e made of it. It is edited as JSON, since a
// builder would stamp it with the time of now: the next snapshot has to be younger
// than its base, and must not be younger than the changes that it adds (see
// Commit.Since).
func (t *commitTask) edited(e edit) ([]byte, error) {
	var all map[string]json.RawMessage
	var part struct {
		Snapshots []json.RawMessage          `json:"snapshots"`
		Log       []json.RawMessage          `json:"snapshot-log"`
		Files     []json.RawMessage          `json:"metadata-log"`
		Props     map[string]string          `json:"properties"`
		Refs      map[string]json.RawMessage `json:"refs"`
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
	maps.Copy(part.Props, e.set)
	for _, name := range e.unset {
		delete(part.Props, name)
	}
	maps.Copy(part.Props, t.committed())
	for name, ref := range e.tags {
		delete(part.Refs, name)
		if ref != nil {
			if part.Refs[name], err = json.Marshal(ref); err != nil {
				return nil, err
			}
		}
	}
	if part.Snapshots, err = notNaming(part.Snapshots, e.drop); err != nil {
		return nil, err
	}
	if part.Log, err = afterNaming(part.Log, e.drop); err != nil {
		return nil, err
	}
	for name, v := range map[string]any{
		"snapshots": part.Snapshots, "snapshot-log": part.Log, "metadata-log": part.Files,
		"properties": part.Props, "refs": part.Refs,
	} {
		if all[name], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	return json.Marshal(all)
}

// namedSnapshot is the snapshot-id of an object.
func namedSnapshot(raw json.RawMessage) (int64, error) {
	var named struct {
		ID int64 `json:"snapshot-id"`
	}
	err := json.Unmarshal(raw, &named)
	return named.ID, err
}

// notNaming are the objects whose snapshot-id is none of ids.
func notNaming(list []json.RawMessage, ids []int64) (rest []json.RawMessage, err error) {
	for _, raw := range list {
		id, err := namedSnapshot(raw)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			rest = append(rest, raw)
		}
	}
	return rest, nil
}

// afterNaming are the objects behind the last one whose snapshot-id is one of ids:
// a history with a gap would tell a wrong snapshot for the times in it.
func afterNaming(list []json.RawMessage, ids []int64) (rest []json.RawMessage, err error) {
	for _, raw := range list {
		id, err := namedSnapshot(raw)
		if err != nil {
			return nil, err
		}
		rest = append(rest, raw)
		if slices.Contains(ids, id) {
			rest = nil
		}
	}
	return rest, nil
}
