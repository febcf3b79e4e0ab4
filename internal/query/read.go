package query

import "github.com/trinedb/trine/schema"

// Scan asks for a whole collection, or the part of it that a predicate and a
// projection leave, as of one position.
type Scan struct {
	Columns  []string    // top-level columns, also _seq and _time; nil means all fields
	Where    string      // SQL predicate; empty means every row
	Limit    int64       // most rows; 0 means no limit
	AtSeq    *schema.Seq // as of the change with this seq, which is seen; nil means now
	Snapshot int64       // a lake snapshot by id, without the tail; 0 means none in particular
}
