package query

import (
	"errors"

	"github.com/trinedb/trine/schema"
)

// ParseWhere parses a predicate and checks its columns, types and literals
// against a schema. The empty text is the nil Predicate. Every error is a
// *schema.FieldError, and so an ErrInvalid, that names the column or literal
// and the byte offset in src.
func ParseWhere(src string, s *schema.Schema) (*Predicate, error) {
	if src == "" {
		return nil, nil
	}
	return nil, errors.New("not built yet")
}
