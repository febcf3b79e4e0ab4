package lakehouse

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// DefinitionCurrent reports whether the table's format version, current schema,
// partition spec and sort order are those that a commit for c would set: when not, even a commit without
// rows is worth it.
func (s *Snapshot) DefinitionCurrent(c *schema.Collection) (bool, error) {
	want, err := icebergSchema(c.Schema)
	if err != nil {
		return false, fmt.Errorf("schema of %s: %w", s.table, err)
	}
	if !s.FormatCurrent(c) || !s.meta.CurrentSchema().Equals(want) {
		return false, nil
	}
	l, err := layoutFor(s.meta, c, want)
	if err != nil {
		return false, fmt.Errorf("layout of %s: %w", s.table, err)
	}
	return l.spec.id() == s.meta.DefaultPartitionSpec() && l.order.id == s.meta.DefaultSortOrder(), nil
}
