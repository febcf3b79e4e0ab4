package lakehouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// writeVersion makes the next version from the files written: its manifests,
// manifest list and metadata. All but the metadata file are durable when it
// returns.
func (t *commitTask) writeVersion(ctx context.Context) (*Snapshot, error) {
	builder, err := t.builder()
	if err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	next := &Snapshot{
		lake: t.lake, table: t.path, version: t.version(),
		id: t.snapshot, time: t.since(), progress: t.progress,
	}
	if next.id == 0 {
		next.id = rand.Int64N(1<<62) + 1
	}
	seq, parent := int64(1), (*int64)(nil)
	if t.base != nil {
		seq, parent = t.base.meta.LastSequenceNumber()+1, &t.base.id
	}
	current := builder.CurrentSchema()
	// The version's metadata names all of these, so they need no order among
	// themselves.
	group, gctx := errgroup.WithContext(ctx)
	put := func(name string, data []byte) {
		group.Go(func() error { return t.put(gctx, name, data) })
	}
	firstRow := builder.NextRowID()
	list, addedRows, err := t.encodeLists(next, current, parent, seq, firstRow, put)
	if perr := group.Wait(); err == nil {
		err = perr
	}
	if err != nil {
		return nil, err
	}
	snap := &table.Snapshot{
		SnapshotID: next.id, ParentSnapshotID: parent, SequenceNumber: seq, TimestampMs: next.time.UnixMilli(),
		ManifestList: t.lake.uri(list), SchemaID: &current.ID,
		Summary: &table.Summary{Operation: t.operation(), Properties: t.summary()},
	}
	if t.format() >= vectorsVersion {
		snap.FirstRowID, snap.AddedRows = &firstRow, &addedRows
	}
	if err := t.finish(builder, snap); err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	if next.meta, err = builder.Build(); err != nil {
		return nil, fmt.Errorf("build metadata: %w", err)
	}
	if next.raw, err = json.Marshal(next.meta); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return next, next.index()
}

// encodeLists makes the changed manifests and the manifest list, and returns
// the latter's name and how many row ids it gives out.
func (t *commitTask) encodeLists(next *Snapshot, s *iceberg.Schema, parent *int64, seq, firstRow int64, put func(name string, data []byte)) (name string, rows int64, err error) {
	manifests, err := t.manifests(s, next.id, seq, put)
	if err != nil {
		return "", 0, err
	}
	files := make([]iceberg.ManifestFile, len(manifests))
	for i, m := range manifests {
		files[i] = m.file
	}
	list, rows, err := manifestList(t.format(), next.id, parent, seq, firstRow, files)
	if err != nil {
		return "", 0, fmt.Errorf("encode manifest list: %w", err)
	}
	name = t.path.manifestList(next.id, t.id)
	put(name, list)
	// What readers would have manifests and files inherit from the list, the next
	// commit has to write down: it is taken from the list as they take it.
	if files, err = iceberg.ReadManifestList(bytes.NewReader(list)); err != nil {
		return "", 0, fmt.Errorf("read the manifest list back: %w", err)
	}
	next.manifests = make([]*manifest, len(files))
	for i, f := range files {
		if next.manifests[i], err = manifests[i].sealed(f); err != nil {
			return "", 0, err
		}
	}
	return name, rows, nil
}

// builder starts the version's metadata: that of the base, or a new table's,
// with the collection's schema as the current one.
func (t *commitTask) builder() (*table.MetadataBuilder, error) {
	s, err := icebergSchema(t.collection.Schema)
	if err != nil {
		return nil, err
	}
	if t.base != nil {
		b, err := table.MetadataBuilderFromBase(t.base.meta, t.base.MetadataLocation())
		if err == nil {
			err = errors.Join(b.SetFormatVersion(t.format()), t.edit.apply(b, t.committed()))
		}
		if err != nil || t.rewrites || t.asked {
			return b, err
		}
		if !b.CurrentSchema().Equals(s) {
			err = errors.Join(b.AddSchema(s), b.SetCurrentSchemaID(-1))
		}
		return b, errors.Join(err, t.layout.apply(b, t.collection.Schema, false))
	}
	b, err := table.NewMetadataBuilder(t.format())
	if err != nil {
		return nil, err
	}
	return b, errors.Join(
		b.SetUUID(uuid.New()),
		b.AddSchema(s), b.SetCurrentSchemaID(-1),
		t.layout.apply(b, t.collection.Schema, true),
		b.SetLoc(t.lake.uri(string(t.path))),
		b.SetProperties(t.properties()),
		b.SetProperties(t.committed()),
	)
}

// committed is when the version was made, by this committer's clock: files live
// on for a while after the last version that names them.
func (t *commitTask) committed() iceberg.Properties {
	return iceberg.Properties{propCommitted: strconv.FormatInt(t.lake.opts.Now().UnixMilli(), 10)}
}

// since is the time of the snapshot: see Commit.Since. The first one is as old
// as its collection, so that a statement that knows the collection finds a
// table. Times rise, since DuckDB does not tell apart snapshots of one time.
func (t *commitTask) since() time.Time {
	if t.base == nil && t.collection.Created.IsZero() {
		return t.lake.opts.Now()
	}
	if t.base == nil {
		return t.collection.Created.Truncate(time.Millisecond)
	}
	least := time.UnixMilli(t.base.meta.LastUpdatedMillis()).Add(time.Millisecond)
	if since := t.time.Truncate(time.Millisecond); since.After(least) {
		return since
	}
	return least
}

// metadataLogLength is how many older metadata files the metadata names.
const metadataLogLength = 10

func (t *commitTask) properties() iceberg.Properties {
	return iceberg.Properties{
		propCollection:                         t.collection.String(),
		propInstance:                           fmt.Sprintf("%016x", uint64(t.collection.Instance)),
		"gc.enabled":                           "false", // the files are Trine's to delete, not an engine's
		"write.metadata.previous-versions-max": strconv.Itoa(metadataLogLength),
		"write.metadata.delete-after-commit.enabled": "false",
		"write.delete.mode":                          "merge-on-read",
		"write.update.mode":                          "merge-on-read",
		"write.merge.mode":                           "merge-on-read",
		"write.format.default":                       "parquet",
		"write.parquet.compression-codec":            "zstd",
	}
}

// finish adds the snapshot, makes it the current one, and takes away those past
// the bounds.
func (t *commitTask) finish(b *table.MetadataBuilder, snap *table.Snapshot) error {
	if err := b.AddSnapshot(snap); err != nil {
		return err
	}
	if err := b.SetSnapshotRef(table.MainBranch, snap.SnapshotID, table.BranchRef); err != nil {
		return err
	}
	if t.base == nil {
		return nil
	}
	if err := t.edit.applyTags(b); err != nil {
		return err
	}
	// A statement that began before this commit may need the base.
	remove := t.lake.overdue(t.base.meta.Snapshots(), t.tags(), t.lake.opts.SnapshotsKept-1)
	if len(remove) == 0 {
		return nil
	}
	return b.RemoveSnapshots(remove, false)
}

// tags are the base's, with what this version changes of them.
func (t *commitTask) tags() map[string]table.SnapshotRef {
	tags := tagsOf(t.base.meta)
	for name, ref := range t.edit.tags {
		if ref != nil {
			tags[name] = *ref
		}
	}
	return tags
}
