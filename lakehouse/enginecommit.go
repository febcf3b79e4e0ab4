package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/schema"
)

// EngineCommit is what an engine asks of a table through the catalog.
type EngineCommit struct {
	// Require must hold of the newest version.
	Require table.Requirements
	// Snapshot is to follow the current one; nil: none. Its manifest list names the
	// data files of the table as the engine wants them.
	Snapshot *table.Snapshot
	// Set and Unset change properties of the table.
	Set   iceberg.Properties
	Unset []string
	// Tags are set, or removed where nil.
	Tags map[string]*table.SnapshotRef
}

// EngineChange is an EngineCommit to a version of a collection's table.
type EngineChange struct {
	Collection *schema.Collection
	Base       *Snapshot // the newest version
	Commit     EngineCommit
	// BeforePublish is as Commit's.
	BeforePublish func()
}

// CommitByEngine makes the next version as an engine asks for it, and tells the
// ordinals of the data files that it brings. Nothing of what the engine sent gets
// into the table unseen: from its manifests is read which data files it adds and
// takes away, and the manifests, the summary and the metadata of the version are
// Trine's. The table's NextSeq and Position stay what they are.
//
// An engine may append rows to a table without a key, and exchange data files of
// any table for others with the same rows (operation replace). Rows that it
// appends have no seq. It may change properties that are not Trine's, and tags.
//
// Errors are as Commit's. ErrConflict: a requirement does not hold, or the engine
// was overtaken, and may try again on the newest version. ErrInvalid: what it sent
// is wrong; ErrUnsupported: Trine does not take such a change, and the message says
// what to do instead.
func (l *Lake) CommitByEngine(ctx context.Context, ch EngineChange) (*Snapshot, []uint32, error) {
	next, added, err := l.commitByEngine(ctx, ch)
	if err != nil {
		return nil, nil, fmt.Errorf("commit by an engine to the table of %s: %w", ch.Collection, err)
	}
	return next, added, nil
}

func (l *Lake) commitByEngine(ctx context.Context, ch EngineChange) (*Snapshot, []uint32, error) {
	meta, ask := ch.Base.meta, ch.Commit
	for _, r := range ask.Require {
		if err := r.Validate(meta); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", schema.ErrConflict, err)
		}
	}
	if err := errors.Join(checkProperties(ask), checkTags(meta, ask.Tags, ask.Snapshot)); err != nil {
		return nil, nil, err
	}
	t := l.newTask(ch.Collection, ch.Base)
	t.asked = true
	t.edit = edit{set: ask.Set, unset: ask.Unset, tags: ask.Tags}
	if ask.Snapshot == nil {
		if t.edit.empty() {
			return ch.Base, nil, nil
		}
		next, err := t.follow(ctx, t.edit, ch.BeforePublish)
		return next, nil, err
	}
	defer func() { t.cleanUp(ctx) }()
	if err := t.checkBase(); err != nil {
		return nil, nil, err
	}
	if err := t.checkFree(ctx); err != nil {
		return nil, nil, err
	}
	d, err := t.adopt(ctx, ask.Snapshot)
	if err != nil {
		return nil, nil, err
	}
	next, err := t.finishVersion(ctx, ch.BeforePublish)
	if err != nil {
		return nil, nil, err
	}
	d.discard(ctx)
	added := make([]uint32, len(t.added))
	for i, e := range t.added {
		added[i] = e.ordinal
	}
	return next, added, nil
}

// adopt takes over what an engine's snapshot changes.
func (t *commitTask) adopt(ctx context.Context, snap *table.Snapshot) (*delta, error) {
	if err := t.checkSnapshot(snap); err != nil {
		return nil, err
	}
	d, err := t.delta(ctx, snap)
	if err != nil {
		return nil, err
	}
	t.progress, t.snapshot = t.base.progress, snap.SnapshotID
	t.extra = engineSummary(snap.Summary.Properties)
	// The engine's clock may be ahead: no later snapshot could be younger.
	t.time = time.UnixMilli(min(snap.TimestampMs, t.lake.opts.Now().UnixMilli()))
	switch op := snap.Summary.Operation; {
	case op == table.OpReplace:
		t.rewrites = true
		err = t.adoptReplace(ctx, d)
	case op == table.OpAppend && len(d.removed) == 0:
		err = t.adoptAppend(ctx, d)
	default:
		err = refused("the rows of %s come from its log, so that an engine cannot change or delete them (operation %s): "+
			"write, delete and drop through Trine's own API (/v1/tenants/…)", t.collection, op)
	}
	return d, err
}

// checkSnapshot refuses a snapshot that cannot follow the base.
func (t *commitTask) checkSnapshot(snap *table.Snapshot) error {
	switch meta := t.base.meta; {
	case snap.SnapshotID <= 0:
		return fmt.Errorf("snapshot id %d: want a positive number: %w", snap.SnapshotID, schema.ErrInvalid)
	case meta.SnapshotByID(snap.SnapshotID) != nil:
		return fmt.Errorf("snapshot %d is in the table already: %w", snap.SnapshotID, schema.ErrConflict)
	case snap.Summary == nil:
		return fmt.Errorf("snapshot %d has no summary with an operation: %w", snap.SnapshotID, schema.ErrInvalid)
	case snap.ManifestList == "":
		return fmt.Errorf("snapshot %d has no manifest list: %w", snap.SnapshotID, schema.ErrInvalid)
	case snap.ParentSnapshotID == nil || *snap.ParentSnapshotID != t.base.id:
		return fmt.Errorf("snapshot %d does not follow the current one, %d: %w", snap.SnapshotID, t.base.id, schema.ErrConflict)
	case snap.SchemaID != nil && *snap.SchemaID != meta.CurrentSchema().ID:
		return fmt.Errorf("snapshot %d is of schema %d, the table's is %d: %w", snap.SnapshotID, *snap.SchemaID, meta.CurrentSchema().ID, schema.ErrConflict)
	}
	return nil
}

// refused is an error for what Trine does not take from an engine.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", schema.ErrUnsupported, fmt.Sprintf(format, args...))
}

// reservedProperties are the table's properties that are Trine's, by their
// beginnings: what its files and their removal rest on.
var reservedProperties = []string{
	"trine.", "gc.enabled", "format-version", "write.metadata.", "write.data.path", "write.folder-storage.path",
	"write.object-storage.", "write.format.default", "write.delete.", "write.update.", "write.merge.",
	"write.location-provider.", "history.expire.", "commit.manifest", "encryption.",
}

// Limits of what an engine may add to every version's metadata.
const (
	maxProperties    = 200
	maxPropertyBytes = 32 << 10
)

// checkProperties refuses changes of reserved properties, and too many.
func checkProperties(ask EngineCommit) error {
	if len(ask.Set)+len(ask.Unset) > maxProperties {
		return fmt.Errorf("%d properties in one commit, at most %d: %w", len(ask.Set)+len(ask.Unset), maxProperties, schema.ErrTooLarge)
	}
	names := append([]string(nil), ask.Unset...)
	for name, value := range ask.Set {
		if len(name)+len(value) > maxPropertyBytes {
			return fmt.Errorf("property %.40q has %d bytes, at most %d: %w", name, len(name)+len(value), maxPropertyBytes, schema.ErrTooLarge)
		}
		names = append(names, name)
	}
	for _, name := range names {
		if ReservedProperty(name) {
			return refused("property %.128q is Trine's own; options of the collection are changed by trine apply", name)
		}
	}
	return nil
}

// ReservedProperty reports whether a table's property is Trine's, and not an
// engine's to change.
func ReservedProperty(name string) bool {
	return slices.ContainsFunc(reservedProperties, func(reserved string) bool { return strings.HasPrefix(name, reserved) })
}

// Limits of what an engine may tell of itself in a snapshot's summary.
const (
	maxSummary      = 50
	maxSummaryBytes = 512
)

// counted are the beginnings of summary properties that Trine writes itself.
var counted = []string{"trine.", "added-", "deleted-", "removed-", "total-", "changed-partition-count", "operation"}

// engineSummary is what an engine's summary tells beside counts, such as which
// engine it was.
func engineSummary(all iceberg.Properties) iceberg.Properties {
	kept := iceberg.Properties{}
next:
	for name, value := range all {
		for _, c := range counted {
			if strings.HasPrefix(name, c) {
				continue next
			}
		}
		if len(name)+len(value) <= maxSummaryBytes && len(kept) < maxSummary {
			kept[name] = value
		}
	}
	return kept
}
