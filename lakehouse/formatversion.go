package lakehouse

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// The format versions of Iceberg that tables are written in.
const (
	minFormatVersion = 2
	maxFormatVersion = 3
	// vectorsVersion is the first one that has deletion vectors and row lineage, and
	// from which on no other position deletes may be added.
	vectorsVersion = 3
)

// checkFormat refuses a format version that cannot be written.
func checkFormat(c *schema.Collection) error {
	if v := c.Options.LakeFormat; v > maxFormatVersion {
		return fmt.Errorf("lake_format %d: tables are written in Iceberg format versions %d and %d: %w", v, minFormatVersion, maxFormatVersion, schema.ErrUnsupported)
	}
	return nil
}

// format is the format version of the version being made. It never falls. A table
// is converted by a commit, and never by what only moves rows, so that what moved
// is in the format that it was read in, nor by an engine's.
func (t *commitTask) format() int {
	switch {
	case t.base == nil:
		return max(minFormatVersion, t.collection.Options.LakeFormat)
	case t.rewrites || t.asked:
		return t.base.FormatVersion()
	default:
		return max(t.base.FormatVersion(), t.collection.Options.LakeFormat)
	}
}

// FormatVersion is the table's Iceberg format version.
func (s *Snapshot) FormatVersion() int { return s.meta.Version() }

// FormatCurrent reports whether the table is in the format version that a commit
// for c would set: when not, even a commit without rows is worth it.
func (s *Snapshot) FormatCurrent(c *schema.Collection) bool {
	return s.FormatVersion() >= c.Options.LakeFormat
}
