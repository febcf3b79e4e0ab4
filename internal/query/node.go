package query

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/schema"
)

// record is one row as a predicate sees it.
type record struct {
	row  []schema.Value
	seq  schema.Seq
	time int64
}

// node is a part of a predicate in negation normal form.
type node interface {
	match(r record) bool
	filter(batch arrow.RecordBatch, keep []bool)
	may(b Bounds) bool
}
