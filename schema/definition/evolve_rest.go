package definition

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trinedb/trine/schema"
)

const keyRule = "a collection's key never changes, since it is what its rows are found and merged by: " +
	"make a collection with the new key and write the rows there"

// keptKey looks for a key field that fields drop or make optional. It goes first:
// what else is said may be wrong only because of that.
func (e *evolver) keptKey(cur *schema.Schema, fields []FieldDef) {
	for _, i := range cur.Key {
		name := cur.Fields[i].Name
		at := slices.IndexFunc(fields, func(f FieldDef) bool { return f.Name == name })
		if at < 0 {
			at = slices.IndexFunc(fields, func(f FieldDef) bool { return f.Was == name })
		}
		switch {
		case at < 0:
			e.refuse(name, "dropped", "it is part of the key, and "+keyRule)
		case !fields[at].Required:
			e.refuse(fields[at].Name, "required to optional", "it is part of the key, and Iceberg's identifier fields are never null: keep required: true")
		}
	}
}

// sameKey demands that the key is of the same fields in the same order. Their
// types may widen: an int and a long, or a decimal of more digits at the same
// scale, have one encoding in keys (docs/format/key.md).
func (e *evolver) sameKey(cur, next *schema.Schema) {
	names := func(s *schema.Schema) string {
		var out []string
		for _, i := range s.Key {
			out = append(out, s.Fields[i].Name)
		}
		if out == nil {
			return "none"
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	same := slices.EqualFunc(cur.Key, next.Key, func(i, j int) bool { return cur.Fields[i].ID == next.Fields[j].ID })
	if !same {
		e.refuse("key", cut(names(cur)+" to "+names(next)), keyRule)
	}
}

// indexes compares the indexes by name; one that keeps its name keeps its
// fields and its id.
func (e *evolver) indexes(cur *schema.Collection, next *schema.Schema, specs []schema.IndexSpec) ([]schema.IndexSpec, schema.IndexID) {
	for _, x := range specs {
		at := slices.IndexFunc(cur.Indexes, func(y schema.IndexSpec) bool { return y.Name == x.Name })
		if at < 0 {
			detail := "on " + strings.Join(x.Fields, ", ")
			if x.Unique {
				detail += ", unique"
			}
			e.step(StepAddIndex, x.Name, "%s, built in the background", detail)
			continue
		}
		y := cur.Indexes[at]
		same := y.Unique == x.Unique && slices.EqualFunc(y.Fields, x.Fields, func(a, b string) bool {
			i, j := cur.Schema.Index(a), next.Index(b)
			return i >= 0 && j >= 0 && cur.Schema.Fields[i].ID == next.Fields[j].ID
		})
		if !same {
			e.refuse("indexes."+x.Name, cut(fmt.Sprintf("[%s] to [%s]", strings.Join(y.Fields, ", "), strings.Join(x.Fields, ", "))),
				"an index keeps its fields: give the new one another name, and remove this one")
		}
	}
	for _, y := range cur.Indexes {
		if !slices.ContainsFunc(specs, func(x schema.IndexSpec) bool { return x.Name == y.Name }) {
			e.step(StepDropIndex, y.Name, "on %s", strings.Join(y.Fields, ", "))
		}
	}
	return numberIndexes(cur.Indexes, cur.LastIndexID, next, specs)
}

// numberIndexes gives indexes their ids: those of cur by name, and new ones
// above all that were given before.
func numberIndexes(cur []schema.IndexSpec, last schema.IndexID, s *schema.Schema, specs []schema.IndexSpec) ([]schema.IndexSpec, schema.IndexID) {
	for _, y := range cur {
		last = max(last, y.ID)
	}
	out := slices.Clone(specs)
	for i := range out {
		x := &out[i]
		at := slices.IndexFunc(cur, func(y schema.IndexSpec) bool { return y.Name == x.Name })
		if at >= 0 && cur[at].ID != 0 {
			x.ID = cur[at].ID
		} else {
			last++
			x.ID = last
		}
		x.FieldIDs = make([]int, 0, len(x.Fields))
		for _, name := range x.Fields {
			if f := s.Index(name); f >= 0 { // else the plan is refused
				x.FieldIDs = append(x.FieldIDs, s.Fields[f].ID)
			}
		}
	}
	return out, last
}

// options compares the options in force with those asked for.
func (e *evolver) options(c *schema.Collection, s *schema.Schema, next schema.Options) {
	cur := c.Options
	if next.LakeFormat < cur.LakeFormat {
		e.refuse("options.lake_format", fmt.Sprintf("%d to %d", cur.LakeFormat, next.LakeFormat), fmt.Sprintf(
			"Iceberg never lowers a table's format version: state lake_format: %d", cur.LakeFormat))
	}
	was, now := optionsDefOf(cur, c.Schema), optionsDefOf(next, s)
	for _, o := range []struct{ name, was, now string }{
		{"log_retention", was.LogRetention, now.LogRetention},
		{"log_retention_bytes", cmp.Or(was.LogRetentionBytes, "none"), cmp.Or(now.LogRetentionBytes, "none")},
		{"lake", string(was.Lake), string(now.Lake)},
		{"lake_freshness", was.LakeFreshness, now.LakeFreshness},
		{"lake_format", fmt.Sprint(was.LakeFormat), fmt.Sprint(now.LakeFormat)},
		{"before_images", fmt.Sprint(was.BeforeImages), fmt.Sprint(now.BeforeImages)},
	} {
		if o.was != o.now {
			e.step(StepOption, o.name, "%s to %s", o.was, o.now)
		}
	}
	if !slices.Equal(cur.LakePartition, next.LakePartition) {
		e.step(StepOption, "lake_partition", "%s to %s, files are rewritten in the background",
			layoutText(PartitionText(cur.LakePartition, c.Schema)), layoutText(PartitionText(next.LakePartition, s)))
	}
	if !slices.Equal(cur.LakeSort, next.LakeSort) {
		e.step(StepOption, "lake_sort", "%s to %s",
			layoutText(SortText(cur.LakeSort, c.Schema)), layoutText(SortText(next.LakeSort, s)))
	}
}
