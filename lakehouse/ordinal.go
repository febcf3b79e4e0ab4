package lakehouse

import (
	"fmt"
	"maps"
	"math"

	"github.com/apache/iceberg-go"

	"github.com/trinedb/trine/schema"
)

// ordinalID is the field id under which an entry's column sizes hold the ordinal of
// a data file that an engine named. No column has it, and readers pass over sizes
// of columns that a schema lacks, since those of dropped columns are such.
const ordinalID = schema.TimeColumnID + 1

// ordinalOf is the ordinal of a data file, or of the one that a position-delete file
// is of.
func ordinalOf(f iceberg.DataFile) (uint32, error) {
	n, ok := f.ColumnSizes()[ordinalID]
	if !ok || f.ContentType() != iceberg.EntryContentData {
		return parseOrdinal(f.FilePath())
	}
	if n < 0 || n > math.MaxUint32 {
		return 0, fmt.Errorf("data file %s: ordinal %d: %w", f.FilePath(), n, schema.ErrCorrupt)
	}
	return uint32(n), nil
}

// withOrdinal are column sizes that tell an ordinal too.
func withOrdinal(sizes map[int]int64, ordinal uint32) map[int]int64 {
	out := maps.Clone(sizes)
	if out == nil {
		out = map[int]int64{}
	}
	out[ordinalID] = int64(ordinal)
	return out
}
