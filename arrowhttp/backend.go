package arrowhttp

import (
	"context"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Backend is what the HTTP surface serves. Every member is needed.
//
// All methods are safe for concurrent use, honour ctx, and fail with errors
// that wrap the sentinels of package schema.
type Backend struct {
	Collections Collections
	Named       NamedSchemas
	Schemas     Schemas
	Writer      Writer
	Reader      Reader
	Changes     Changes
	Trimmer     Trimmer
	Scanner     Scanner
	Describer   Describer
	Positions   Positions
	Verifier    Verifier
	Upkeep      Upkeep
	Tags        Tags
}

// Collections names, lists, changes and drops collections.
type Collections interface {
	// Get finds a collection; schema.ErrNotFound when there is none.
	Get(ctx context.Context, tenant, name string) (*schema.Collection, error)
	// List gives a tenant's collections whose names begin with prefix and sort
	// after after, sorted by name, at most limit of them. A tenant that does
	// not exist has none.
	List(ctx context.Context, tenant, prefix, after string, limit int) ([]*schema.Collection, error)
	// Apply creates or evolves collections, all or none of them, durably when it
	// returns, and tells what each definition came to, in their order. With
	// dryRun it only plans.
	Apply(ctx context.Context, defs []definition.Definition, dryRun bool) ([]Applied, error)
	// Drop removes a collection; schema.ErrNotFound when there is none.
	Drop(ctx context.Context, tenant, name string) error
}

// Applied is what a definition came to, or would come to.
type Applied struct {
	Plan       definition.Plan
	Collection *schema.Collection // as it is then
}

// Schemas finds the schema that an encoded row names.
type Schemas interface {
	Schema(ctx context.Context, id schema.SchemaID) (*schema.Schema, error)
}

// Writer makes batches durable.
type Writer interface {
	// Write decodes, checks and appends one atomic batch to one collection. It
	// reads the body to its end unless it fails, and returns once the batch is
	// durable. Bad records are schema.FieldErrors.
	Write(ctx context.Context, req WriteRequest) (WriteResult, error)
	// WriteEach writes each record batch of an Arrow stream as a batch of its own.
	// With an error the result tells which are durable all the same.
	WriteEach(ctx context.Context, req WriteRequest) (WriteEachResult, error)
	// WriteMany is Write for one atomic batch over many collections of a tenant.
	WriteMany(ctx context.Context, req WriteManyRequest) (WriteManyResult, error)
	// Fence sets a collection's fencing token in order with the writes to it, and
	// returns once that is durable.
	Fence(ctx context.Context, req FenceRequest) (schema.Position, error)
}

// FenceRequest sets a fencing token.
type FenceRequest struct {
	Tenant     string
	Collection string
	Token      string  // "" is none
	IfToken    *string // the token until now must be this, or schema.ErrPrecondition
}

// WriteRequest is one batch for one collection, not yet decoded.
type WriteRequest struct {
	Tenant         string
	Collection     string
	Op             string      // "insert", "upsert", "delete", "patch"; "" is the collection's default
	ContentType    string      // media type in lower case, without parameters
	Encoding       string      // "", "gzip" or "zstd"
	Size           int64       // of the body as sent; -1 when it is not known
	Body           io.Reader   // at most Options.MaxBodyBytes; past it, reads fail with schema.ErrTooLarge
	IdempotencyKey string      // "" is none; at most MaxIdempotencyKeyBytes
	IfSeq          *schema.Seq // the collection's next seq must be this, or schema.ErrPrecondition
	IfRow          *IfRow      // a condition on the row that the one record replaces, or schema.ErrPrecondition
	Fence          string      // "" is none; else the collection's fencing token, or schema.ErrPrecondition
	Producer       string      // "" is none; else a batch at or below its last ProducerSeq is not written again
	ProducerSeq    uint64
	SkipBad        bool              // on_error=skip: write the good records, report the bad
	Match          schema.ArrowMatch // how columns of Arrow find their fields
}

// IfRow demands that a record's key has no row, or one of this seq.
type IfRow struct {
	Absent bool
	Seq    schema.Seq
}

// WriteResult is what a durable batch was given.
type WriteResult struct {
	FirstSeq schema.Seq // of Count neighbours; means nothing when Count is 0
	Count    int
	Position schema.Position
	Replayed bool               // nothing was written: an earlier batch with the same key, or of the producer, was answered again
	Skipped  schema.FieldErrors // with SkipBad: the records that were not written
}

// WriteEachResult is what the durable batches of a stream were given: FirstSeq is of
// the first, LastSeq and Position of the last.
type WriteEachResult struct {
	WriteResult
	LastSeq schema.Seq // means nothing when Count is 0
	Batches int
}

// WriteManyRequest is one batch of lines {"collection","op","record"}.
type WriteManyRequest struct {
	Tenant         string
	ContentType    string
	Encoding       string
	Size           int64 // of the body as sent; -1 when it is not known
	Body           io.Reader
	IdempotencyKey string
	SkipBad        bool
}

// WriteManyResult is what a durable batch over many collections was given.
type WriteManyResult struct {
	Collections []CollectionWrite // in order of first mention in the batch
	Position    schema.Position
	Replayed    bool
	Skipped     schema.FieldErrors
}

// CollectionWrite is one collection's part of a WriteManyResult.
type CollectionWrite struct {
	Collection string
	FirstSeq   schema.Seq
	Count      int
}

// Reader reads rows by key. Keys and rows are in package schema's encodings;
// rows that a callback gets are valid until it returns. Reads by an index that
// is not ready fail with schema.ErrUnavailable while it is built and
// schema.ErrConflict once it failed.
type Reader interface {
	// Get reads the latest row of one key.
	Get(ctx context.Context, c *schema.Collection, key []byte) (row Row, ok bool, err error)
	// Lookup reads many keys from one state and calls fn for each that exists,
	// with its place in keys, in any order. An error of fn ends it. With an index
	// a key is all of its fields, and of several rows one is read.
	Lookup(ctx context.Context, c *schema.Collection, by *schema.IndexSpec, keys [][]byte, fn func(i int, row Row) error) error
	// Range visits rows in key order, or by an index in the order of its fields
	// and then of the key, from one consistent view, until fn returns false or an
	// error. at is what r's bounds are of.
	Range(ctx context.Context, c *schema.Collection, by *schema.IndexSpec, r KeyRange, fn func(at []byte, row Row) (more bool, err error)) error
}

// Row is a version of a row.
type Row struct {
	Seq        schema.Seq // of the change that made it
	TimeMicros int64      // its commit time
	Bytes      []byte
}

// KeyRange is a stretch of encoded keys: From inclusive, To exclusive, nil
// meaning no bound. With Reverse it is walked from its end.
type KeyRange struct {
	From, To []byte
	Reverse  bool
}

// Changes reads a collection's log.
type Changes interface {
	// Read yields changes in seq order, or from the newest with Descending.
	// With Follow it does not end but waits for more, until ctx ends. Bytes of
	// a change are valid until the next. It yields at most one error, last;
	// schema.ErrTrimmed when From lies before what is kept.
	Read(ctx context.Context, c *schema.Collection, req ChangesRequest) iter.Seq2[schema.Change, error]
	// SeqAt is the first Seq committed at or after that time, or NextSeq.
	SeqAt(ctx context.Context, c *schema.Collection, timeMicros int64) (schema.Seq, error)
	// NextSeq is the Seq after the newest durable change.
	NextSeq(ctx context.Context, c *schema.Collection) (schema.Seq, error)
	// Extent tells how much log lies in [from, to), without reading it.
	Extent(ctx context.Context, c *schema.Collection, from, to schema.Seq) (LogExtent, error)
}

// Trimmer forgets the beginning of a collection's log. Rows stay in index and lake.
type Trimmer interface {
	// FirstSeq is the Seq of the first change that is kept, 0 if all are.
	FirstSeq(ctx context.Context, c *schema.Collection) (schema.Seq, error)
	// Trim forgets the changes below before, durably when it returns, and tells the
	// first that is kept, which is later if more was forgotten already. A before
	// above NextSeq is a schema.FieldError.
	Trim(ctx context.Context, c *schema.Collection, before schema.Seq) (Trimmed, error)
}

// Trimmed is what a trim came to.
type Trimmed struct {
	First    schema.Seq
	Position schema.Position
}

// LogExtent is how much log lies between two seqs.
type LogExtent struct {
	Bytes      int64 // of keys and rows, about
	LastMicros int64 // commit time of the collection's newest change; 0: there is none
}

// ChangesRequest says which changes, and in which order.
type ChangesRequest struct {
	From       schema.Seq // inclusive
	To         schema.Seq // exclusive; not looked at with Follow
	Descending bool       // from To-1 down to From; never with Follow
	Follow     bool
}

// Scanner reads a whole collection as of one position.
type Scanner interface {
	// Scan pins what it reads and returns before it reads much, so that an
	// unknown column or a bad predicate fails here. The caller calls Close.
	Scan(ctx context.Context, c *schema.Collection, req query.Scan) (*ScanStream, error)
}

// ScanStream is a scan under way. Batches are already projected, filtered and
// limited, and valid until the next is asked for; at most one error comes,
// last. Batches is ranged over at most once.
type ScanStream struct {
	Schema     *arrow.Schema
	Position   schema.Position // the scan sees exactly the changes up to here
	SnapshotID int64           // of the lake; 0 when none was read
	Batches    iter.Seq2[arrow.RecordBatch, error]
	State      *query.ScanState       // what is read, to be read again; nil if it cannot be
	Place      func() query.ScanPlace // where the batch that was yielded last begins; with State alone
	Close      func() error           // releases what is pinned; may be called twice
}

// Describer tells how a collection stands in each store.
type Describer interface {
	Describe(ctx context.Context, c *schema.Collection) (Status, error)
}

// Status is how a collection stands.
type Status struct {
	Rows     int64      // live rows, exact
	FirstSeq schema.Seq // of the log: changes below are forgotten
	NextSeq  schema.Seq
	Position schema.Position // up to which the rest is told
	Log      StoreStatus
	Index    StoreStatus
	Lake     LakeStatus
	Indexes  []IndexStatus // secondary ones
}

// IndexStatus is how far a secondary index is.
type IndexStatus struct {
	Name     string
	State    string // building, ready or failed
	RowsDone int64  // that its build has read
	Rows     int64  // that there are
	Reason   string // why it failed
}

// StoreStatus is how far one store has come and how much it holds.
type StoreStatus struct {
	NextSeq   schema.Seq // it holds the changes below
	Bytes     int64
	LagMicros int64 // age of the oldest change that it lacks; 0 when it lacks none
}

// LakeStatus is the lake's StoreStatus and where its table is.
type LakeStatus struct {
	StoreStatus
	Location   string // of the table; "" while there is none
	SnapshotID int64  // 0 while there is none
	Files      int64
}

// Positions tells how far a tenant's channel is readable.
type Positions interface {
	// Current is a position that every read begun from now on sees.
	Current(tenant string) schema.Position
	// Wait returns once Current is at least pos, or with ctx's error.
	Wait(ctx context.Context, tenant string, pos schema.Position) error
}
