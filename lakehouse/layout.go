package lakehouse

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/schema"
)

// layout says which rows share data files, and how these are sorted.
type layout struct {
	spec  *partitionSpec
	order *rowOrder
}

// rowOrder is one of a table's sort orders. After its fields, rows are in the order
// of the key, or of seq.
type rowOrder struct {
	id     int                // 0: none but by seq
	fields []schema.SortField // none: by key, or by seq
}

// layoutFor is how a collection's definition wants its table: by specs and orders
// that the table has, or new ones. meta is nil for a table that is to be made; s is
// the schema that is current when they are added.
func layoutFor(meta table.Metadata, c *schema.Collection, s *iceberg.Schema) (l layout, err error) {
	specs, orders := map[int]*partitionSpec{}, []table.SortOrder(nil)
	if meta != nil {
		if specs, err = specsOf(meta); err != nil {
			return l, err
		}
		orders = meta.SortOrders()
	}
	if l.spec, err = newSpec(specs, c.Options.LakePartition, s); err != nil {
		return l, err
	}
	l.order = &rowOrder{fields: c.Options.LakeSort}
	want := l.order.iceberg(c.Schema)
	if len(want) == 0 {
		return l, nil
	}
	l.order.id = keySortOrder
	for _, o := range orders {
		l.order.id = max(l.order.id, o.OrderID()+1)
	}
	for _, o := range orders {
		if slices.EqualFunc(sortFields(o), want, table.SortField.Equals) {
			l.order.id = o.OrderID()
		}
	}
	return l, nil
}

func sortFields(o table.SortOrder) []table.SortField {
	fields := make([]table.SortField, o.Len())
	for i := range fields {
		fields[i] = o.Field(i)
	}
	return fields
}

// layout is how the table's newest commit wants its files.
func (s *Snapshot) layout(sch *schema.Schema) (layout, error) {
	specs, err := specsOf(s.meta)
	if err != nil {
		return layout{}, err
	}
	l := layout{spec: specs[s.meta.DefaultPartitionSpec()]}
	if l.spec == nil {
		return l, fmt.Errorf("partition spec %d is missing: %w", s.meta.DefaultPartitionSpec(), schema.ErrCorrupt)
	}
	order := s.meta.SortOrder()
	l.order = &rowOrder{id: order.OrderID()}
	fields := sortFields(order)
	if slices.EqualFunc(fields, l.order.iceberg(sch), table.SortField.Equals) {
		return l, nil // by key
	}
	for _, f := range fields {
		l.order.fields = append(l.order.fields, schema.SortField{
			FieldID: f.SourceID(), Desc: f.Direction == table.SortDESC, NullsLast: f.NullOrder == table.NullsLast,
		})
	}
	return l, nil
}

// iceberg are the fields of the order as the metadata has them: those asked for, or
// the key's.
func (o *rowOrder) iceberg(s *schema.Schema) []table.SortField {
	var fields []table.SortField
	add := func(id int, desc, nullsLast bool) {
		f := table.SortField{SourceIDs: []int{id}, Transform: iceberg.IdentityTransform{}, Direction: table.SortASC, NullOrder: table.NullsFirst}
		if desc {
			f.Direction = table.SortDESC
		}
		if nullsLast {
			f.NullOrder = table.NullsLast
		}
		fields = append(fields, f)
	}
	for _, f := range o.fields {
		add(f.FieldID, f.Desc, f.NullsLast)
	}
	if len(o.fields) == 0 {
		for _, k := range s.Key {
			add(s.Fields[k].ID, false, false)
		}
	}
	return fields
}

// apply makes the layout that of the version being built.
func (l layout) apply(b *table.MetadataBuilder, s *schema.Schema, isNew bool) error {
	if err := b.AddPartitionSpec(&l.spec.iceberg, isNew); err != nil {
		return fmt.Errorf("add partition spec: %w", err)
	}
	order := table.UnsortedSortOrder
	if fields := l.order.iceberg(s); len(fields) > 0 {
		var err error
		if order, err = table.NewSortOrder(l.order.id, fields); err != nil {
			return fmt.Errorf("make sort order: %w", err)
		}
	}
	if err := b.AddSortOrder(&order); err != nil {
		return fmt.Errorf("add sort order: %w", err)
	}
	if isNew { // the builder knows no default that this could be
		if err := b.SetDefaultSortOrderID(-1); err != nil {
			return fmt.Errorf("set sort order: %w", err)
		}
		return b.SetDefaultSpecID(-1)
	}
	if err := b.SetDefaultSortOrderID(l.order.id); err != nil {
		return fmt.Errorf("set sort order %d: %w", l.order.id, err)
	}
	return b.SetDefaultSpecID(l.spec.id())
}

// rowLayout is a layout for the rows of one schema.
type rowLayout struct {
	layout
	schema *schema.Schema
	parts  []rowField
	sorts  []rowField
}

// rowField is where a value of a row is found.
type rowField struct {
	column int // in Row.Values, or one of the next two
	typ    schema.Type
}

const (
	seqField  = -1
	timeField = -2
)

func (f rowField) of(row *Row) schema.Value {
	switch f.column {
	case seqField:
		return schema.Int(int64(row.Seq))
	case timeField:
		return schema.Int(row.TimeMicros)
	}
	return row.Values[f.column]
}

func (l layout) of(s *schema.Schema) (*rowLayout, error) {
	r := &rowLayout{layout: l, schema: s}
	for _, f := range l.spec.fields {
		source, err := findField(s, f.FieldID)
		if err != nil {
			return nil, fmt.Errorf("partition by %s: %w", f.Transform, err)
		}
		r.parts = append(r.parts, source)
	}
	for _, f := range l.order.fields {
		source, err := findField(s, f.FieldID)
		if err != nil {
			return nil, fmt.Errorf("sort: %w", err)
		}
		r.sorts = append(r.sorts, source)
	}
	return r, nil
}

func findField(s *schema.Schema, id int) (rowField, error) {
	switch id {
	case schema.SeqColumnID:
		return rowField{seqField, systemFields[0].Type}, nil
	case schema.TimeColumnID:
		return rowField{timeField, systemFields[1].Type}, nil
	}
	if i := s.IndexID(id); i >= 0 {
		return rowField{i, s.Fields[i].Type}, nil
	}
	return rowField{}, fmt.Errorf("field %d is not in schema %d: %w", id, s.ID, schema.ErrConflict)
}

// arranges reports whether rows that come by key, or by seq, have to be brought in
// another order.
func (l *rowLayout) arranges() bool { return len(l.parts)+len(l.sorts) > 0 }

// tuple is a row's partition; it aliases the row's values.
func (l *rowLayout) tuple(row *Row) tuple {
	if len(l.parts) == 0 {
		return nil
	}
	t := make(tuple, len(l.parts))
	for i, f := range l.parts {
		t[i] = TransformValue(l.spec.fields[i].Transform, f.typ, f.of(row))
	}
	return t
}

// appendPartition appends a row's partition so that bytes.Compare tells partitions
// apart.
func (l *rowLayout) appendPartition(dst []byte, row *Row) []byte {
	for i, f := range l.parts {
		x := l.spec.fields[i].Transform
		dst = schema.AppendOrdered(dst, x.Result(f.typ), TransformValue(x, f.typ, f.of(row)), false, false)
	}
	return dst
}

// appendOrder appends a row's place in the order, of rows of one partition.
func (l *rowLayout) appendOrder(dst []byte, row *Row) []byte {
	for i, f := range l.sorts {
		by := l.order.fields[i]
		dst = schema.AppendOrdered(dst, f.typ, f.of(row), by.Desc, by.NullsLast)
	}
	if l.schema.Keyed() {
		return l.schema.AppendKey(dst, row.Values)
	}
	return binary.BigEndian.AppendUint64(dst, uint64(row.Seq))
}

// has reports whether a file is laid out so.
func (l layout) has(e *entry) bool {
	return e.spec.id() == l.spec.id() && e.sortOrder() == l.order.id
}

// sortOrder is the id of the order that a file's rows are in.
func (e *entry) sortOrder() int {
	if by := e.file.SortOrderID(); by != nil {
		return *by
	}
	return 0
}
