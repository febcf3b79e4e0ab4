package schema

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
)

// ArrowMatch is how the columns of Arrow data find their fields.
type ArrowMatch uint8

// The ways to match columns, and the fields of structs.
const (
	// MatchNames matches them by name.
	MatchNames ArrowMatch = iota
	// MatchIDs matches them by the id that their metadata has under FieldIDKey,
	// whatever they are called.
	MatchIDs
)

// find is the field that a column is of, or the rule that it breaks.
func (m ArrowMatch) find(fields []Field, column arrow.Field) (at int, rule string) {
	if m == MatchNames {
		if at = fieldIndex(fields, column.Name); at < 0 {
			return 0, "there is no such field: leave the column out, or add the field"
		}
		return at, ""
	}
	text, ok := column.Metadata.GetValue(FieldIDKey)
	if !ok {
		return 0, "to be matched by id the column needs one in its metadata, under " + FieldIDKey
	}
	id, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Sprintf("its %s is %q, which is not a number", FieldIDKey, cut(text))
	}
	if at = fieldIndexID(fields, id); at < 0 {
		return 0, fmt.Sprintf("there is no field of id %d here: leave the column out, or match by name", id)
	}
	return at, ""
}

// twice is the rule that a second column of one field breaks.
func (m ArrowMatch) twice() string {
	if m == MatchIDs {
		return "there are two columns of this id"
	}
	return "there are two columns of this name"
}
