package lakehouse_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	iceberg_table "github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// misplace has the first data file that an engine added be of another partition, by
// what its manifest says.
func (f *fixture) misplace(snap *lakehouse.Snapshot, list string) {
	f.Helper()
	ctx, name := f.Context(), func(uri string) string { return strings.TrimPrefix(uri, "file://"+f.dir+"/") }
	must := func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	}
	meta, err := iceberg_table.ParseMetadataBytes(snap.Metadata())
	must(err)
	raw, err := f.objects.Get(ctx, name(list))
	must(err)
	manifests, err := iceberg.ReadManifestList(bytes.NewReader(raw))
	must(err)
	for _, m := range manifests {
		if m.AddedDataFiles() == 0 || m.ManifestContent() != iceberg.ManifestContentData {
			continue
		}
		raw, err := f.objects.Get(ctx, name(m.FilePath()))
		must(err)
		entries, err := iceberg.ReadManifest(m, bytes.NewReader(raw), true)
		must(err)
		spec := meta.PartitionSpec()
		var out bytes.Buffer
		w, err := iceberg.NewManifestWriter(2, &out, spec, meta.CurrentSchema(), m.SnapshotID())
		must(err)
		for i, e := range entries {
			file := e.DataFile()
			part := file.Partition()
			if i == 0 {
				part[1000] = (part[1000].(int32) + 1) % 4
			}
			b, err := iceberg.NewDataFileBuilder(spec, iceberg.EntryContentData, file.FilePath(), file.FileFormat(), part, nil, nil, file.Count(), file.FileSizeBytes())
			must(err)
			id := m.SnapshotID()
			must(w.Add(iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &id, nil, nil, b.Build())))
		}
		must(w.Close())
		must(errors.Join(f.objects.Delete(ctx, name(m.FilePath())), f.objects.PutIfAbsent(ctx, name(m.FilePath()), out.Bytes())))
		return
	}
	f.Fatal("the engine added no file")
}

// What an engine appends to a partitioned table is of its partitions; but it is not
// taken when an entry says another partition than its rows are of: a predicate would
// pass them over.
func TestEngineAppendsToPartitions(t *testing.T) {
	f := newDirFixture(t)
	c := collection(unkeyed())
	c.Options.LakePartition = []schema.PartitionField{{FieldID: 1, Transform: schema.Transform{Kind: schema.TransformBucket, Width: 4}}}
	tbl := newTable(f, c)
	tbl.commit(simpleRows(0, 20), nil)
	for _, honest := range []bool{false, true} {
		ask := tbl.askAppend(simpleRows(1000, 30))
		if !honest {
			f.misplace(tbl.snap, ask.Snapshot.ManifestList)
		}
		next, added, err := tbl.obey(ask)
		if !honest {
			if !errors.Is(err, schema.ErrInvalid) || !strings.Contains(err.Error(), "not of the partition that its entry says") {
				t.Fatalf("a file of another partition: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, err := next.Layout(c.Schema); err != nil || len(added) != 4 || s.Partitions != 4 || s.OldFiles != 0 || next.Rows() != 50 {
			t.Errorf("%d files, %+v, %d rows, %v", len(added), s, next.Rows(), err)
		}
		where, err := query.ParseWhere("id = 1007", c.Schema)
		if err != nil {
			t.Fatal(err)
		}
		rows := read(t, next, lakehouse.ReadOptions{Schema: c.Schema, Where: where})
		if len(rows) >= 50 || !slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, "1007|") }) {
			t.Errorf("where id = 1007 reads %q", rows)
		}
	}
}
