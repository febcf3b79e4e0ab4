package lakehouse

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// SchemaCurrent reports whether the table's current schema is the one that a
// commit with s would set: when not, even a commit without rows is worth it.
func (s *Snapshot) SchemaCurrent(sch *schema.Schema) (bool, error) {
	want, err := icebergSchema(sch)
	if err != nil {
		return false, fmt.Errorf("schema of %s: %w", s.table, err)
	}
	return s.meta.CurrentSchema().Equals(want), nil
}
