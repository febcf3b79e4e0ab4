package definition

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trinedb/trine/schema"
)

const partitionRule = "lake_partition takes a field, identity(f), bucket(n, f), truncate(n, f), year(f), month(f), day(f) or hour(f)"

// partition checks what the table is to be partitioned by.
func (c *checker) partition(d Definition) {
	defs, at, path := d.Options.LakePartition, c.at.options+"/lake_partition", "options.lake_partition"
	if len(defs) > MaxLayout {
		c.add(at, path, fmt.Sprint(len(defs)), fmt.Sprintf("a table is partitioned by at most %d fields", MaxLayout))
		return
	}
	temporal := map[string]string{}
	decimal := "" // what a decimal partitions by as it is or truncated
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
		case t.Result(f.Type).Kind != schema.KindDecimal:
		case decimal != "":
			c.add(at, path, quote(short), fmt.Sprintf("a manifest has the values of one decimal, which is %s: use bucket(n, %s)", decimal, def.Field))
		default:
			decimal = short
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
