package ingest

import (
	"context"
	"io"

	"github.com/trinedb/trine/schema"
)

// Op is what a write does with its records.
type Op string

// The operations of a write.
const (
	OpDefault Op = ""       // upsert; insert in an append-only collection
	OpInsert  Op = "insert" // new rows; schema.ErrConflict when a key is there already
	OpUpsert  Op = "upsert" // new rows, or new versions of rows
	OpDelete  Op = "delete" // records name at least the key; a key that is not there is no error
	OpPatch   Op = "patch"  // fields that are given replace those of a row; schema.ErrNotFound without one
)

// Request is one batch for one collection.
type Request struct {
	Tenant     string
	Collection string
	Op         Op
	Format     string // the body's media type, parameters allowed
	Encoding   string // the body's content encoding: "", identity, gzip or zstd
	Body       io.Reader
	// Size is the body's length if it is known, else 0 or less. It lets the
	// batch take its share of the memory at once.
	Size int64
	// IdempotencyKey, if any, gets a retry the answer of the first try.
	IdempotencyKey string
	// IfSeq, if any, must be the collection's next seq.
	IfSeq *schema.Seq
	// IfRow, if any, is a condition on the row that the batch's one record
	// replaces. A record of NDJSON or JSON may have its own, as "_if_seq".
	IfRow *IfRow
	// Fence, if any, must be the collection's fencing token, or the batch is
	// refused with a FenceError.
	Fence string
	// Producer, if any, names a source that numbers its batches: one whose
	// ProducerSeq is not above the source's last is acknowledged and not written.
	Producer    string
	ProducerSeq uint64
	// SkipBad writes the good records of a batch that has bad ones.
	SkipBad bool
	// Match is how columns of Arrow find their fields.
	Match schema.ArrowMatch
}

// IfRow is a condition on the row with a record's key when the batch is
// sequenced: that there is none, or that Seq is of the change that made it.
type IfRow struct {
	Absent bool
	Seq    schema.Seq
}

// Result answers a Request whose batch is durable.
type Result struct {
	FirstSeq schema.Seq // 0 when Count is
	LastSeq  schema.Seq
	Count    int
	Position schema.Position
	// Replayed tells that nothing was written: an earlier try with the same key
	// was answered this, or the producer was at this seq before; then Count is 0.
	Replayed bool

	Skipped      schema.FieldErrors // what is wrong with records that were left out
	SkippedCount int                // how many were left out; Skipped may not tell of all
}

// ManyRequest is one batch over many collections of a tenant, of NDJSON lines
// {"collection":…,"op":…,"record":{…}}; op may be left out.
type ManyRequest struct {
	Tenant         string
	Format         string // "" means NDJSON
	Encoding       string
	Body           io.Reader
	Size           int64
	IdempotencyKey string
	SkipBad        bool
}

// ManyResult answers a ManyRequest whose batch is durable.
type ManyResult struct {
	Collections []CollectionResult // in the order in which the batch first names them
	Count       int
	Position    schema.Position
	Replayed    bool

	Skipped      schema.FieldErrors // as Result's
	SkippedCount int
}

// CollectionResult tells the seqs that one collection's records were given.
type CollectionResult struct {
	Collection string
	FirstSeq   schema.Seq
	LastSeq    schema.Seq
	Count      int
}

// Registry finds collections and schemas. Its methods are called from many
// goroutines, and Get and Schema also from the log's, so they answer from
// memory when they can.
type Registry interface {
	// Get finds a collection as it stands; schema.ErrNotFound without one.
	Get(ctx context.Context, tenant, name string) (*schema.Collection, error)
	// Schema finds a schema by its number.
	Schema(ctx context.Context, id schema.SchemaID) (*schema.Schema, error)
}

// KeyReader reads rows as they are at the point where a batch is sequenced.
type KeyReader interface {
	// GetSequenced is the latest row of a key and its seq, with all that was
	// sequenced before, durable or not. The row is the caller's to keep.
	GetSequenced(inst schema.Instance, key []byte) (row []byte, seq schema.Seq, ok bool, err error)
	// Collisions finds the records that break a unique index of their collection,
	// each once, given all that was sequenced before and the batch as a whole.
	// records have each key once. It fails with schema.ErrUnavailable while it
	// cannot tell.
	Collisions(inst schema.Instance, records []schema.Record) ([]schema.Collision, error)
}

// Appender is the log.
type Appender interface {
	// Append writes the batch, whole or not at all, and returns when it is
	// durable. It keeps the records' keys and rows.
	Append(ctx context.Context, b Batch) (Ack, error)
}

// Batch is one atomic append.
type Batch struct {
	Groups []Group
	Dedup  schema.DedupKey
	Digest [16]byte
	IfSeq  *IfSeq
	// Decide, if any, is called once the batch's place is known and everything
	// before it can be read; it may rewrite the batch or refuse it. It does not
	// change what it is given, and may be called again.
	Decide func([]Group) ([]Group, error)
}

// Group holds the records of one collection, in order.
type Group struct {
	Instance schema.Instance
	Records  []schema.Record
}

// IfSeq demands that a collection's next seq be Seq.
type IfSeq struct {
	Instance schema.Instance
	Seq      schema.Seq
}

// Ack answers a batch that is durable.
type Ack struct {
	Groups   []AckGroup // of the groups that had records
	Position schema.Position
	Replayed bool
}

// AckGroup tells the seqs that one collection's records were given.
type AckGroup struct {
	Instance schema.Instance
	FirstSeq schema.Seq
	Count    int
}
