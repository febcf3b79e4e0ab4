package lakehouse

import (
	"bytes"
	"fmt"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// Row lineage, of format version 3: every row has an id that is the table's alone,
// and the number of the commit that wrote it last. Of new rows neither is in the
// data file: the id is the file's first one plus the row's place, the number that of
// the file's commit. Rows that compaction moves bear both in columns.

// lineageFields are the columns, by Iceberg's specification.
var lineageFields = []schema.Field{
	{ID: 2147483540, Name: "_row_id", Type: schema.Type{Kind: schema.KindLong}},
	{ID: 2147483539, Name: "_last_updated_sequence_number", Type: schema.Type{Kind: schema.KindLong}},
}

// isLineage reports whether a column is one of lineageFields.
func isLineage(id int) bool { return id == lineageFields[0].ID || id == lineageFields[1].ID }

// lineage is a row's, of either Null when it is to be inherited from the data file.
type lineage struct{ id, updated schema.Value }

// inherited is the lineage of a row that its data file says nothing of. A file of a
// snapshot from before the conversion has no first row id, and its rows no ids.
func (e *entry) inherited(row uint32) lineage {
	l := lineage{updated: schema.Int(e.seq)}
	if first := e.file.FirstRowID(); first != nil {
		l.id = schema.Int(*first + int64(row))
	}
	return l
}

// or takes from the second lineage what the first one lacks.
func (l lineage) or(o lineage) lineage {
	if l.id.IsNull() {
		l.id = o.id
	}
	if l.updated.IsNull() {
		l.updated = o.updated
	}
	return l
}

// manifestList encodes a snapshot's manifest list, and says how many row ids it gives
// out, from the first on: to the rows of all data manifests that have none yet, be
// they new, or of a table that is being converted.
func manifestList(format int, snapshot int64, parent *int64, seq, firstRow int64, files []iceberg.ManifestFile) (list []byte, rows int64, err error) {
	var buf bytes.Buffer
	var w *iceberg.ManifestListWriter
	if format >= vectorsVersion {
		w, err = iceberg.NewManifestListWriterV3(&buf, snapshot, seq, firstRow, parent)
	} else {
		w, err = iceberg.NewManifestListWriterV2(&buf, snapshot, seq, parent)
	}
	if err != nil {
		return nil, 0, err
	}
	if err := w.AddManifests(files); err != nil {
		return nil, 0, err
	}
	if err := w.Close(); err != nil {
		return nil, 0, err
	}
	if next := w.NextRowID(); next != nil {
		rows = *next - firstRow
	}
	return buf.Bytes(), rows, nil
}

// sealed is a manifest as readers of the list find it: with the numbers that it and
// its files inherit. m is left as it is, for it may be the base's.
func (m *manifest) sealed(file iceberg.ManifestFile) (*manifest, error) {
	sealed := &manifest{file: file, entries: m.entries}
	first := file.FirstRowID()
	if first == nil {
		return sealed, nil
	}
	sealed.entries = make([]*entry, len(m.entries))
	next := *first
	for i, e := range m.entries {
		sealed.entries[i] = e
		if e.file.FirstRowID() != nil {
			continue
		}
		named, err := e.withFirstRow(next)
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", e.file.FilePath(), err)
		}
		next += e.file.Count()
		sealed.entries[i] = &entry{
			file: named, spec: e.spec, part: e.part, ordinal: e.ordinal, firstSeq: e.firstSeq, snapshot: e.snapshot, seq: e.seq, fileSeq: e.fileSeq,
		}
	}
	return sealed, nil
}

// withFirstRow is a data file that has its first row id, as it must be written from
// then on: who left it out would have the rows get new ones.
func (e *entry) withFirstRow(first int64) (iceberg.DataFile, error) {
	f := e.file
	b, err := iceberg.NewDataFileBuilder(e.spec.iceberg, f.ContentType(), f.FilePath(), f.FileFormat(),
		e.spec.values(e.part), nil, nil, f.Count(), f.FileSizeBytes())
	if err != nil {
		return nil, err
	}
	b.ColumnSizes(f.ColumnSizes()).ValueCounts(f.ValueCounts()).NullValueCounts(f.NullValueCounts()).
		NaNValueCounts(f.NaNValueCounts()).LowerBoundValues(f.LowerBoundValues()).UpperBoundValues(f.UpperBoundValues()).
		FirstRowID(first)
	if offsets := f.SplitOffsets(); offsets != nil {
		b.SplitOffsets(offsets)
	}
	if order := f.SortOrderID(); order != nil {
		b.SortOrderID(*order)
	}
	return b.Build(), nil
}
