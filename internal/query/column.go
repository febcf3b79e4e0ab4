package query

import (
	"fmt"
	"strings"

	"github.com/trinedb/trine/schema"
)

// The system columns, where a field's index is wanted.
const (
	seqIndex  = -1
	timeIndex = -2
)

// column is a column or nested field that a predicate reads.
type column struct {
	name  string   // as the user wrote it, for errors
	names []string // from the top-level column down
	index int      // of the top-level field, or seqIndex, timeIndex
	path  []int    // ordinals of struct fields below it
	typ   schema.Type
}

// value reads the column in a row. A struct that is null has null fields.
func (c *column) value(r record) schema.Value {
	switch c.index {
	case seqIndex:
		return schema.Int(int64(r.seq))
	case timeIndex:
		return schema.Int(r.time)
	}
	v := r.row[c.index]
	for _, at := range c.path {
		if v.IsNull() {
			return schema.Null
		}
		v = v.Elems()[at]
	}
	return v
}

// column finds the column that an operand names.
func (b *binder) column(o *operand) (column, error) {
	names := make([]string, len(o.Name))
	for i, part := range o.Name {
		names[i] = unquoteName(part)
	}
	col := column{name: strings.Join(names, "."), names: names}
	switch names[0] {
	case schema.SeqColumn:
		col.index, col.typ = seqIndex, schema.Type{Kind: schema.KindLong}
	case schema.TimeColumn:
		col.index, col.typ = timeIndex, schema.Type{Kind: schema.KindTimestamptz}
	default:
		col.index = b.schema.Index(names[0])
		if col.index < 0 {
			return column{}, unknownColumn(o, names[0], "", b.schema.Fields, len(names) == 1)
		}
		col.typ = b.schema.Fields[col.index].Type
	}
	b.read[col.index] = true
	for i, name := range names[1:] {
		above := strings.Join(names[:i+1], ".")
		if col.typ.Kind != schema.KindStruct {
			return column{}, fail(o.Pos.Offset, col.name, "", fmt.Sprintf(
				"%s is a %s and has no fields; only structs are reached into by dot", above, col.typ))
		}
		at := fieldIndex(col.typ.Fields, name)
		if at < 0 {
			return column{}, unknownColumn(o, col.name, above, col.typ.Fields, false)
		}
		col.path = append(col.path, at)
		col.typ = col.typ.Fields[at].Type
	}
	return col, nil
}

func fieldIndex(fields []schema.Field, name string) int {
	for i := range fields {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}

// unknownColumn says that there is no such column, and which was meant.
func unknownColumn(o *operand, name, above string, fields []schema.Field, bare bool) error {
	rule := "there is no such column"
	if above != "" {
		rule = above + " has no such field"
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if near := nearest(last, fields); near != "" {
		rule += fmt.Sprintf("; did you mean %s?", near)
	} else if bare && !strings.HasPrefix(o.Name[0], `"`) {
		rule += fmt.Sprintf("; a string is written '%s'", cut(name))
	}
	return fail(o.Pos.Offset, cut(name), "", rule)
}

// nearest is the field whose name is closest to a misspelt one, or "".
func nearest(name string, fields []schema.Field) string {
	const longest = 128 // of a field name; keeps the distance cheap
	if len(name) > longest {
		return ""
	}
	best, least := "", max(1, (len(name)+1)/3)+1
	for i := range fields {
		d := distance(strings.ToLower(name), strings.ToLower(fields[i].Name))
		if d < least && d < len(name) {
			best, least = fields[i].Name, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two names, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func unquoteName(s string) string {
	if strings.HasPrefix(s, `"`) {
		return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
	}
	return s
}

func isWord(s, word string) bool { return strings.EqualFold(s, word) }
