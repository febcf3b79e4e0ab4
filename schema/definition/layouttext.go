package definition

import (
	"strings"

	"github.com/trinedb/trine/schema"
)

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
