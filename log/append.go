package log

import (
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Append is one batch: all of it becomes durable together, or none.
type Append struct {
	// Groups are the records by collection. The log keeps Keys and Rows, which
	// must not be changed any more. A batch that Decide empties, or that is
	// empty to begin with, is answered once all that was sequenced before it
	// is durable.
	Groups []AppendGroup
	// Dedup, when not zero, makes a retry with the same key get the first's
	// answer, and one with another Digest schema.ErrConflict.
	Dedup  schema.DedupKey
	Digest [16]byte
	// IfSeq, when set, refuses the batch with schema.ErrPrecondition unless the
	// collection's next Seq is the stated one when the batch is sequenced. An
	// owner that was replaced and does not know it yet may refuse by an older one.
	IfSeq *IfSeq
	// Decide, when set, may rewrite or refuse the batch when it is sequenced.
	// It runs in the writer goroutine and sees, through the Stager, everything
	// sequenced before it. A refusal is answered, as it is, when what it may
	// have been based on is durable.
	Decide func(groups []AppendGroup) ([]AppendGroup, error)
}

// AppendGroup holds a batch's records of one collection, in order.
type AppendGroup struct {
	Instance schema.Instance
	Records  []schema.Record
}

// IfSeq is a condition on the next Seq of a collection.
type IfSeq struct {
	Instance schema.Instance
	Seq      schema.Seq
}

// Ack is what a durable batch was given.
type Ack struct {
	Groups     []AckGroup      // one for each of the batch's groups that has records
	Position   schema.Position // of the chunk that holds the batch
	TimeMicros int64           // its commit time; 0 in a replayed answer that left memory
	Replayed   bool            // an earlier batch with the same Dedup was answered this
}

// AckGroup tells the Seqs that one collection's records were given.
type AckGroup struct {
	Instance schema.Instance
	FirstSeq schema.Seq
	Count    int
}

// SeqError refuses a batch whose IfSeq does not hold. It is a
// schema.ErrPrecondition.
type SeqError struct {
	Instance     schema.Instance
	Want, Actual schema.Seq
}

// Error tells the actual Seq.
func (e *SeqError) Error() string {
	return fmt.Sprintf("next seq is %d, not %d", e.Actual, e.Want)
}

// NextSeq is the Seq that a condition would have to name.
func (e *SeqError) NextSeq() schema.Seq { return e.Actual }

// Is makes a SeqError an ErrPrecondition.
func (e *SeqError) Is(target error) bool { return target == schema.ErrPrecondition }
