package lakehouse

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// Snapshot is one version of a table. It is immutable and safe for concurrent
// use; its files stay readable as long as upkeep does not expire them.
type Snapshot struct {
	lake *Lake
}

// DataFile is a file of rows in a table.
type DataFile struct {
	Ordinal uint32 // dense per table, never given out again
	URI     string // where engines find it
	Rows    int64  // as written
	Deleted int64  // of these, how many are gone
	Bytes   int64
}

// ID is Iceberg's snapshot id.
func (s *Snapshot) ID() int64 { return 0 }

// NextSeq says that the table holds the changes below it.
func (s *Snapshot) NextSeq() schema.Seq { return 0 }

// Position is the log position that NextSeq belongs to.
func (s *Snapshot) Position() schema.Position { return schema.Position{} }

// Files are the table's data files by ascending ordinal.
func (s *Snapshot) Files() []DataFile { return nil }

// Rows is the number of rows: those written less those deleted.
func (s *Snapshot) Rows() int64 { return 0 }

// MetadataLocation is the URI of the version's metadata file.
func (s *Snapshot) MetadataLocation() string { return "" }

// Metadata is the version's metadata file, Iceberg's JSON. The caller must not
// change it.
func (s *Snapshot) Metadata() []byte { return nil }

// ReadOptions say what of a snapshot is read, and as what.
type ReadOptions struct {
	Schema    *schema.Schema      // the reader's schema: columns are found by field id
	Columns   []int               // indexes into Schema.Fields, in the order wanted; nil means all
	System    bool                // also _seq and _time, last
	Where     *query.Predicate    // skips files and row groups that cannot match; rows are not tested
	Hide      map[uint32][]uint32 // data file → rows to leave out beside the deleted ones, ascending
	BatchRows int                 // most rows of a batch; default and bound 65,536
}

// Read yields the rows as record batches of the schema that
// Schema.Arrow(Columns, System) gives: file by file in ordinal order, rows in
// the order written. A batch is released after the loop's body ran; Retain it
// to keep it. The first error ends the loop.
func (s *Snapshot) Read(ctx context.Context, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(nil, schema.ErrUnsupported) }
}

// ReadKeys tells the key of each row of a data file that is not deleted, in
// the order of rows: what is needed to rebuild the places of keys. key is
// valid until fn returns.
func (s *Snapshot) ReadKeys(ctx context.Context, sch *schema.Schema, file uint32, fn func(row uint32, key []schema.Value) error) error {
	return schema.ErrUnsupported
}
