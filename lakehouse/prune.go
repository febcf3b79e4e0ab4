package lakehouse

import (
	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/trinedb/trine/schema"
)

// fileBounds are the bounds of a data file, from its manifest entry: they
// spare opening it. They implement query.Bounds and its extensions.
type fileBounds struct {
	schema       *schema.Schema
	spec         *partitionSpec
	part         tuple
	rows         int64
	lower, upper map[int][]byte
	nulls, nans  map[int]int64
	values       map[int]int64
}

// mayMatchFile reports whether a data file may hold rows that match.
func mayMatchFile(opts *ReadOptions, f *tableFile) bool {
	if opts.Where == nil {
		return true
	}
	d := f.data.file
	return opts.Where.MayMatch(&fileBounds{
		schema: opts.Schema, spec: f.data.spec, part: f.data.part, rows: f.rows(), lower: d.LowerBoundValues(), upper: d.UpperBoundValues(),
		nulls: d.NullValueCounts(), nans: d.NaNValueCounts(), values: d.ValueCounts(),
	})
}

func (b *fileBounds) Column(i int) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	return b.bound(b.schema.Fields[i])
}

func (b *fileBounds) System(column string) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	f, ok := systemField(column)
	if !ok {
		return schema.Null, schema.Null, 0, 0, false
	}
	return b.bound(f)
}

func (b *fileBounds) NaNs(i int) (int64, bool) {
	n, ok := b.nans[b.schema.Fields[i].ID]
	return n, ok
}

func (b *fileBounds) bound(f schema.Field) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	if f.Type.Nested() {
		return schema.Null, schema.Null, -1, b.rows, false
	}
	if _, has := b.values[f.ID]; !has {
		// Every column of a file has a value count, so the file is older than
		// the field.
		return schema.Null, schema.Null, b.rows, b.rows, len(b.values) > 0
	}
	nulls, known := b.nulls[f.ID]
	if !known {
		nulls = -1
	}
	lo, _ = decodeBound(f.Type, b.lower[f.ID])
	hi, _ = decodeBound(f.Type, b.upper[f.ID])
	if first, last := b.partitionBounds(f); !first.IsNull() {
		if lo.IsNull() || schema.Compare(f.Type, first, lo) > 0 {
			lo = first
		}
		if hi.IsNull() || schema.Compare(f.Type, last, hi) < 0 {
			hi = last
		}
	}
	return lo, hi, nulls, b.rows, true
}

// groupBounds are the bounds of a row group, from the file's footer.
type groupBounds struct {
	schema *schema.Schema
	group  *metadata.RowGroupMetaData
	leaves map[int]int   // field id of a top-level column that is no group → leaf
	all    map[int]bool  // field ids of all top-level columns
	nans   map[int]int64 // of the whole file, by field id
}

func newGroupBounds(s *schema.Schema, meta *metadata.FileMetaData, g int, nans map[int]int64) *groupBounds {
	b := &groupBounds{schema: s, group: meta.RowGroup(g), leaves: map[int]int{}, all: map[int]bool{}, nans: nans}
	for i := range meta.Schema.Root().NumFields() {
		b.all[int(meta.Schema.Root().Field(i).FieldID())] = true
	}
	for leaf := range meta.Schema.NumColumns() {
		if c := meta.Schema.Column(leaf); c.SchemaNode() == meta.Schema.ColumnRoot(leaf) {
			b.leaves[int(c.SchemaNode().FieldID())] = leaf
		}
	}
	return b
}

func (b *groupBounds) Column(i int) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	return b.bound(b.schema.Fields[i])
}

func (b *groupBounds) System(column string) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	f, ok := systemField(column)
	if !ok {
		return schema.Null, schema.Null, 0, 0, false
	}
	return b.bound(f)
}

// NaNs is known when the whole file has none; Parquet does not count them.
func (b *groupBounds) NaNs(i int) (int64, bool) {
	n, ok := b.nans[b.schema.Fields[i].ID]
	return 0, ok && n == 0
}

func (b *groupBounds) bound(f schema.Field) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	rows = b.group.NumRows()
	if !b.all[f.ID] {
		return schema.Null, schema.Null, rows, rows, true
	}
	leaf, isLeaf := b.leaves[f.ID]
	if !isLeaf {
		return schema.Null, schema.Null, -1, rows, false
	}
	chunk, err := b.group.ColumnChunk(leaf)
	if err != nil {
		return schema.Null, schema.Null, -1, rows, false
	}
	stats, err := chunk.Statistics()
	if err != nil || stats == nil {
		return schema.Null, schema.Null, -1, rows, false
	}
	nulls = -1
	if stats.HasNullCount() {
		nulls = stats.NullCount()
	}
	if stats.HasMinMax() {
		lo, _ = parquetValue(f.Type, stats.EncodeMin())
		hi, _ = parquetValue(f.Type, stats.EncodeMax())
	}
	return lo, hi, nulls, rows, true
}
