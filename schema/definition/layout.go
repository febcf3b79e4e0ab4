package definition

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

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

// partitionDefs reads a list of them. The items of [bucket(16, origin)] are two to
// YAML, "bucket(16" and "origin)", and one to everyone else.
func (p *parser) partitionDefs(n *yaml.Node, at, path string) []PartitionDef {
	var out []PartitionDef
	p.items(joined(n), at, path, func(i int, n *yaml.Node, at string) {
		path := fmt.Sprintf("%s[%d]", path, i)
		if n.Kind == yaml.ScalarNode {
			out = append(out, shortPartition(p.text(n, at, path)))
			return
		}
		d := PartitionDef{Transform: schema.Transform{Kind: schema.TransformIdentity}.String()}
		if p.mapping(n, path, "a partition field") {
			p.each(n, path, at, func(key string, v *yaml.Node, vat string) bool {
				switch key {
				case "field":
					d.Field = p.text(v, vat, path+".field")
				case "transform":
					d.Transform = p.text(v, vat, path+".transform")
				default:
					return false
				}
				return true
			}, "field", "transform")
		}
		out = append(out, d)
	})
	return out
}

// joined mends items that a comma in parentheses has split.
func joined(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.SequenceNode || n.Style&yaml.FlowStyle == 0 {
		return n
	}
	out := *n
	out.Content = nil
	for _, item := range n.Content {
		if last := len(out.Content) - 1; last >= 0 && splits(out.Content[last]) && item.Kind == yaml.ScalarNode && strings.HasSuffix(item.Value, ")") {
			whole := *out.Content[last]
			whole.Value += ", " + item.Value
			out.Content[last] = &whole
			continue
		}
		out.Content = append(out.Content, item)
	}
	return &out
}

func splits(n *yaml.Node) bool {
	open := strings.HasPrefix(n.Value, "bucket(") || strings.HasPrefix(n.Value, "truncate(")
	return n.Kind == yaml.ScalarNode && open && !strings.Contains(n.Value, ")")
}

// shortPartition reads transform(field), transform(width, field) or a field. A
// field whose name looks like the first two needs the long form.
func shortPartition(s string) PartitionDef {
	name, inside, open := strings.Cut(s, "(")
	inside, closed := strings.CutSuffix(inside, ")")
	if !open || !closed || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" || name == "" {
		return PartitionDef{Field: s, Transform: schema.Transform{Kind: schema.TransformIdentity}.String()}
	}
	if width, field, two := strings.Cut(inside, ","); two {
		return PartitionDef{Field: strings.TrimSpace(field), Transform: name + "(" + strings.TrimSpace(width) + ")"}
	}
	return PartitionDef{Field: strings.TrimSpace(inside), Transform: name}
}

func (p *parser) sortDefs(n *yaml.Node, at, path string) []SortDef {
	var out []SortDef
	p.items(n, at, path, func(i int, n *yaml.Node, at string) {
		path := fmt.Sprintf("%s[%d]", path, i)
		if n.Kind == yaml.ScalarNode {
			out = append(out, SortDef{Field: p.text(n, at, path)})
			return
		}
		var d SortDef
		if p.mapping(n, path, "a sort field") {
			p.each(n, path, at, func(key string, v *yaml.Node, vat string) bool {
				switch key {
				case "field":
					d.Field = p.text(v, vat, path+".field")
				case "desc":
					d.Desc = p.boolean(v, path+".desc")
				case "nulls":
					d.Nulls = p.text(v, vat, path+".nulls")
				default:
					return false
				}
				return true
			}, "field", "desc", "nulls")
		}
		out = append(out, d)
	})
	return out
}

const partitionRule = "lake_partition takes a field, identity(f), bucket(n, f), truncate(n, f), year(f), month(f), day(f) or hour(f)"

// partition checks what the table is to be partitioned by.
func (c *checker) partition(d Definition) {
	defs, at, path := d.Options.LakePartition, c.at.options+"/lake_partition", "options.lake_partition"
	if len(defs) > MaxLayout {
		c.add(at, path, fmt.Sprint(len(defs)), fmt.Sprintf("a table is partitioned by at most %d fields", MaxLayout))
		return
	}
	temporal := map[string]string{}
	for i, def := range defs {
		at, path := fmt.Sprintf("%s/%d", at, i), fmt.Sprintf("%s[%d]", path, i)
		f := c.layoutField(d, at, path, def.Field)
		t, ok := schema.ParseTransform(def.Transform)
		if !ok {
			c.add(at, path, quote(def.Transform), fmt.Sprintf("%s; n of bucket is 1 to %d, of truncate 1 to %d",
				partitionRule, schema.MaxBuckets, schema.MaxTruncateWidth))
			continue
		}
		switch short := t.Of(def.Field); {
		case f == nil:
		case !t.Takes(f.Type):
			c.add(at, path, quote(short), fmt.Sprintf("a %s cannot be partitioned by %s: %s", f.Type.Kind, t, transformsFor(f.Type)))
		case slices.Contains(defs[:i], def):
			c.add(at, path, quote(short), "it is named twice: remove one")
		case t.Temporal() && temporal[def.Field] != "":
			c.add(at, path, quote(short), "one field is cut by time once, since the finer cut has the coarser one: remove "+temporal[def.Field]+" or this")
		case t.Temporal():
			temporal[def.Field] = short
		}
	}
}

// transformsFor says what a type can be partitioned by.
func transformsFor(t schema.Type) string {
	var names []string
	for _, x := range []schema.Transform{
		{Kind: schema.TransformIdentity}, {Kind: schema.TransformBucket, Width: 16}, {Kind: schema.TransformTruncate, Width: 4},
		{Kind: schema.TransformYear}, {Kind: schema.TransformMonth}, {Kind: schema.TransformDay}, {Kind: schema.TransformHour},
	} {
		if x.Takes(t) {
			names = append(names, x.String())
		}
	}
	if names == nil {
		return "partition by another field"
	}
	return "use " + strings.Join(names, ", ")
}

// sort checks what data files are to be sorted by.
func (c *checker) sort(d Definition) {
	defs, at, path := d.Options.LakeSort, c.at.options+"/lake_sort", "options.lake_sort"
	if len(defs) > MaxLayout {
		c.add(at, path, fmt.Sprint(len(defs)), fmt.Sprintf("data files are sorted by at most %d fields", MaxLayout))
		return
	}
	for i, def := range defs {
		at, path := fmt.Sprintf("%s/%d", at, i), fmt.Sprintf("%s[%d]", path, i)
		f := c.layoutField(d, at, path, def.Field)
		switch {
		case f == nil:
		case f.Type.Nested() || f.Type.Kind == schema.KindJSON:
			c.add(at, path, quote(def.Field), fmt.Sprintf("rows have no order by a %s: sort by another field", f.Type.Kind))
		case slices.ContainsFunc(defs[:i], func(x SortDef) bool { return x.Field == def.Field }):
			c.add(at, path, quote(def.Field), "the order names this field twice: remove one")
		}
		if def.Nulls != "" && def.Nulls != nullsFirst && def.Nulls != nullsLast {
			c.add(at, path+".nulls", quote(def.Nulls), "nulls are first or last")
		}
	}
}

// layoutField is the top-level field by a name, or a system column.
func (c *checker) layoutField(d Definition, at, path, name string) *schema.Field {
	for i := range systemFields {
		if systemFields[i].Name == name {
			return &systemFields[i]
		}
	}
	def := c.topField(d, at, path, name)
	if def == nil {
		return nil
	}
	return &schema.Field{Name: def.Name, Type: typeOf(def.Type)}
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

// PartitionText is what a table is partitioned by, for people: day(ts), origin.
func PartitionText(fields []schema.PartitionField, s *schema.Schema) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.Transform.Of(layoutName(s, f.FieldID))
	}
	return out
}

// SortText is what data files are sorted by, for people: origin, delay desc.
func SortText(fields []schema.SortField, s *schema.Schema) []string {
	out := make([]string, len(fields))
	for i, d := range sortDefsOf(fields, s) {
		out[i] = d.Field
		if d.Desc {
			out[i] += " desc"
		}
		if d.Nulls != "" {
			out[i] += " nulls " + d.Nulls
		}
	}
	return out
}

// layoutText is either on a line.
func layoutText(fields []string) string {
	if len(fields) == 0 {
		return "none"
	}
	return cut("[" + strings.Join(fields, ", ") + "]")
}

// yamlLayout is the lines of partition and order in a collection file.
func yamlLayout(o OptionsDef) string {
	var b strings.Builder
	for i, d := range o.LakePartition {
		if i == 0 {
			b.WriteString("  lake_partition:\n")
		}
		b.WriteString("    - {field: " + yamlString(d.Field) + ", transform: " + yamlString(d.Transform) + "}\n")
	}
	for i, d := range o.LakeSort {
		if i == 0 {
			b.WriteString("  lake_sort:\n")
		}
		b.WriteString("    - {field: " + yamlString(d.Field))
		if d.Desc {
			b.WriteString(", desc: true")
		}
		if d.Nulls != "" {
			b.WriteString(", nulls: " + d.Nulls)
		}
		b.WriteString("}\n")
	}
	return b.String()
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
