package lakehouse

import (
	"context"
	"iter"

	"github.com/trinedb/trine/schema"
)

// Row is one row to be written. Values are in the order of the collection's
// schema and need only be valid until the next Row is asked for.
type Row struct {
	Values     []schema.Value
	Seq        schema.Seq
	TimeMicros int64
}

// Commit is the change from one version of a table to the next.
type Commit struct {
	Collection *schema.Collection
	Base       *Snapshot             // the version that this one follows; nil creates the table
	NextSeq    schema.Seq            // changes below it are in the table
	Position   schema.Position       // the log position that NextSeq belongs to
	Rows       iter.Seq2[Row, error] // new rows, in key order where there is a key; nil means none
	Deletes    map[uint32][]uint32   // data file → rows of it that are gone; any order
}

// Written tells where rows went: the first Rows rows to the first File, the
// next ones to the next.
type Written struct {
	File uint32
	Rows int
}

// Commit writes the rows and deletes and makes them the table's next version.
// When Base is not the newest version, or another committer was faster, it
// fails with schema.ErrConflict and has no effect. schema.ErrUnknownOutcome
// means that the store did not say; Current tells, once it answers again.
func (l *Lake) Commit(ctx context.Context, commit Commit) (*Snapshot, []Written, error) {
	return nil, nil, schema.ErrUnsupported
}
