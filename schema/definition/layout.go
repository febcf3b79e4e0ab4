package definition

import (
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// PartitionDef is a field that a table is partitioned by, as a file states it:
// {field: ts, transform: day}, or in short day(ts).
type PartitionDef struct {
	Field     string `json:"field"`
	Transform string `json:"transform"` // identity, bucket(n), truncate(n), year, month, day, hour
}

// SortDef is a field that the rows of data files are sorted by, as a file states
// it: {field: delay, desc: true, nulls: last}, or the name alone.
type SortDef struct {
	Field string `json:"field"`
	Desc  bool   `json:"desc,omitempty"`
	Nulls string `json:"nulls,omitempty"` // first or last; default first, last with desc
}

const (
	nullsFirst = "first"
	nullsLast  = "last"
)

// systemFields are those that every table has beside the collection's.
var systemFields = []schema.Field{
	{ID: schema.SeqColumnID, Name: schema.SeqColumn, Type: schema.Type{Kind: schema.KindLong}},
	{ID: schema.TimeColumnID, Name: schema.TimeColumn, Type: schema.Type{Kind: schema.KindTimestamptz}},
}

// layoutOf gives what a valid file says of partitions and order its field ids.
func layoutOf(s *schema.Schema, o OptionsDef) (partition []schema.PartitionField, sort []schema.SortField) {
	for _, d := range o.LakePartition {
		t, _ := schema.ParseTransform(d.Transform)
		partition = append(partition, schema.PartitionField{FieldID: layoutID(s, d.Field), Transform: t})
	}
	for _, d := range o.LakeSort {
		last := d.Desc
		if d.Nulls != "" {
			last = d.Nulls == nullsLast
		}
		sort = append(sort, schema.SortField{FieldID: layoutID(s, d.Field), Desc: d.Desc, NullsLast: last})
	}
	return partition, sort
}

func layoutID(s *schema.Schema, name string) int {
	for _, f := range systemFields {
		if f.Name == name {
			return f.ID
		}
	}
	if i := s.Index(name); i >= 0 {
		return s.Fields[i].ID
	}
	return 0 // the plan is refused
}

func layoutName(s *schema.Schema, id int) string {
	for _, f := range systemFields {
		if f.ID == id {
			return f.Name
		}
	}
	if i := s.IndexID(id); i >= 0 {
		return s.Fields[i].Name
	}
	return fmt.Sprintf("field %d", id)
}

func partitionDefsOf(fields []schema.PartitionField, s *schema.Schema) []PartitionDef {
	var out []PartitionDef
	for _, f := range fields {
		out = append(out, PartitionDef{Field: layoutName(s, f.FieldID), Transform: f.Transform.String()})
	}
	return out
}

func sortDefsOf(fields []schema.SortField, s *schema.Schema) []SortDef {
	var out []SortDef
	for _, f := range fields {
		d := SortDef{Field: layoutName(s, f.FieldID), Desc: f.Desc}
		switch {
		case f.NullsLast == f.Desc: // the default
		case f.NullsLast:
			d.Nulls = nullsLast
		default:
			d.Nulls = nullsFirst
		}
		out = append(out, d)
	}
	return out
}

// partitioned are the fields that the table is or was partitioned by. Files keep
// their partition values, of the type that the field had, until they are rewritten,
// and the table's metadata names the field for good: so it stays as it is.
func (e *evolver) partitioned(cur *schema.Collection, next *schema.Schema, fields []schema.PartitionField) []int {
	for _, id := range cur.Partitioned {
		was, at := cur.Schema.IndexID(id), next.IndexID(id)
		if was < 0 { // a system column
			continue
		}
		f := &cur.Schema.Fields[was]
		const rule = "the table is or was partitioned by this field, and its files and metadata refer to it: "
		switch {
		case at < 0:
			e.refuse(f.Name, "dropped", rule+"keep it, optional if it is no longer written")
		case next.Fields[at].Type.String() != f.Type.String():
			e.refuse(next.Fields[at].Name, fmt.Sprintf("%s to %s", f.Type, next.Fields[at].Type), rule+"add a field of the new type")
		}
	}
	return sourcesOf(cur.Partitioned, fields)
}

// sourcesOf adds the fields that a table is partitioned by to ids, ascending.
func sourcesOf(ids []int, fields []schema.PartitionField) []int {
	ids = slices.Clone(ids)
	for _, f := range fields {
		ids = append(ids, f.FieldID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
