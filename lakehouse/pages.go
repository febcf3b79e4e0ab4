package lakehouse

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/trinedb/trine/schema"
)

// rowSpan is a stretch of rows: from ≤ row < to.
type rowSpan struct{ from, to int64 }

// minRowGap is how many rows that need not be read are worth a jump over them.
const minRowGap = 4096

// spans are the rows of a row group that may match, by its page index; all of them
// where it says nothing.
func (r *fileReader) spans(g int) ([]rowSpan, error) {
	rows := r.parquet.MetaData().RowGroup(g).NumRows()
	all := []rowSpan{{0, rows}}
	if r.opts.Where == nil || r.pageIndex == nil {
		return all, nil
	}
	b, err := r.pageBounds(g)
	if err != nil || len(b.pages) == 0 {
		return all, err
	}
	var spans []rowSpan
	cuts := b.cuts()
	for i, from := range cuts {
		to := rows
		if i+1 < len(cuts) {
			to = cuts[i+1]
		}
		b.at, b.rows = from, to-from
		switch last := len(spans) - 1; {
		case !r.opts.Where.MayMatch(b):
		case last >= 0 && from-spans[last].to < minRowGap:
			spans[last].to = to
		default:
			spans = append(spans, rowSpan{from, to})
		}
	}
	return spans, nil
}

// pageBounds are the bounds of a stretch of rows of a row group for which each column
// is in one page. Of columns without an index they are the group's.
type pageBounds struct {
	*groupBounds
	pages map[int]*columnPages // by field id
	at    int64                // row that the stretch begins with
	rows  int64                // of the stretch
}

// columnPages is the page index of one column.
type columnPages struct {
	first []int64 // row that a page begins with
	index metadata.ColumnIndex
}

// pageBounds reads the page indexes of the predicate's columns.
func (r *fileReader) pageBounds(g int) (*pageBounds, error) {
	b := &pageBounds{
		groupBounds: newGroupBounds(r.opts.Schema, r.parquet.MetaData(), g, r.file.data.file.NaNValueCounts()),
		pages:       map[int]*columnPages{},
	}
	reader, err := r.pageIndex.RowGroup(g)
	if err != nil || reader == nil {
		return b, err
	}
	fields := make([]schema.Field, 0, len(systemFields)+len(r.opts.Where.Columns()))
	for _, c := range r.opts.Where.Columns() {
		fields = append(fields, r.opts.Schema.Fields[c])
	}
	if r.opts.Where.UsesSystem() {
		fields = append(fields, systemFields...)
	}
	for _, f := range fields {
		leaf, ok := b.leaves[f.ID]
		if !ok || !b.trusted(leaf) {
			continue
		}
		pages, err := readColumnPages(reader, leaf, b.group.NumRows())
		if err != nil {
			return nil, fmt.Errorf("page index of %s: %w", f.Name, err)
		}
		if pages != nil {
			b.pages[f.ID] = pages
		}
	}
	return b, nil
}

// trusted reports whether the bounds of a leaf are in an order that is known, as
// those of the group are.
func (b *groupBounds) trusted(leaf int) bool {
	chunk, err := b.group.ColumnChunk(leaf)
	if err != nil {
		return false
	}
	stats, err := chunk.Statistics()
	return err == nil && stats != nil
}

// readColumnPages is nil for a column that has no index, or one that does not add up:
// some writers leave pages without values out of it.
func readColumnPages(reader *metadata.RowGroupPageIndexReader, leaf int, rows int64) (*columnPages, error) {
	offsets, err := reader.GetOffsetIndex(leaf)
	if err != nil || offsets == nil {
		return nil, unlessInvalid(err)
	}
	index, err := reader.GetColumnIndex(leaf)
	if err != nil || index == nil {
		return nil, unlessInvalid(err)
	}
	locations := offsets.GetPageLocations()
	p := &columnPages{index: index, first: make([]int64, len(locations))}
	for i, at := range locations {
		p.first[i] = at.FirstRowIndex
		if i == 0 && at.FirstRowIndex != 0 || i > 0 && at.FirstRowIndex <= p.first[i-1] || at.FirstRowIndex >= rows {
			return nil, nil
		}
	}
	n := len(p.first)
	if n == 0 || len(index.GetNullPages()) != n || len(index.GetMinValues()) != n || len(index.GetMaxValues()) != n ||
		index.IsSetNullCounts() && len(index.GetNullCounts()) != n {
		return nil, nil
	}
	return p, nil
}

// unlessInvalid is an error of reading, not of what was read.
func unlessInvalid(err error) error {
	if errors.Is(err, arrow.ErrInvalid) {
		return nil
	}
	return err
}

// cuts are the rows that pages of any of the columns begin with, ascending.
func (b *pageBounds) cuts() []int64 {
	var cuts []int64
	for _, p := range b.pages {
		cuts = append(cuts, p.first...)
	}
	slices.Sort(cuts)
	return slices.Compact(cuts)
}

func (b *pageBounds) Column(i int) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	return b.bound(b.schema.Fields[i])
}

func (b *pageBounds) System(column string) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	f, ok := systemField(column)
	if !ok {
		return schema.Null, schema.Null, 0, 0, false
	}
	return b.bound(f)
}

func (b *pageBounds) bound(f schema.Field) (lo, hi schema.Value, nulls, rows int64, ok bool) {
	p := b.pages[f.ID]
	if p == nil {
		// The group's nulls are not those of the stretch, unless there are none, or
		// nothing else.
		lo, hi, nulls, rows, ok = b.groupBounds.bound(f)
		switch {
		case nulls == rows:
			nulls = b.rows
		case nulls > 0:
			nulls = -1
		}
		return lo, hi, nulls, b.rows, ok
	}
	page := sort.Search(len(p.first), func(i int) bool { return p.first[i] > b.at }) - 1
	if p.index.GetNullPages()[page] {
		return schema.Null, schema.Null, b.rows, b.rows, true
	}
	nulls = -1
	if p.index.IsSetNullCounts() && p.index.GetNullCounts()[page] == 0 {
		nulls = 0
	}
	lo, _ = parquetValue(f.Type, p.index.GetMinValues()[page])
	if max := p.index.GetMaxValues()[page]; !cutShort(f.Type, max) {
		hi, _ = parquetValue(f.Type, max)
	}
	return lo, hi, nulls, b.rows, true
}

// cutShort reports whether an upper bound may be one that was cut without being made
// larger, because it cannot be: all its bytes are the greatest.
func cutShort(t schema.Type, max []byte) bool {
	switch t.Kind {
	case schema.KindString, schema.KindJSON, schema.KindBinary:
		return len(bytes.Trim(max, "\xff")) == 0
	}
	return false
}
