package query

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/trinedb/trine/schema"
)

// Limits of a predicate's text.
const (
	MaxTextBytes    = 16 << 10 // of the whole predicate
	MaxDepth        = 64       // of parentheses, and of consecutive nots
	MaxLiterals     = 10_000   // numbers and strings
	MaxPatternBytes = 1 << 10  // of a like pattern; a match costs at most pattern × value
)

// Predicate is a parsed and type-checked `where`. It is immutable and safe for
// concurrent use. A nil *Predicate matches every row.
type Predicate struct {
	root    node
	columns []int
	system  bool
}

// Columns are the top-level fields that the predicate reads, as ascending
// indexes into the schema it was parsed with. The caller must not change them.
func (p *Predicate) Columns() []int {
	if p == nil {
		return nil
	}
	return p.columns
}

// UsesSystem reports whether the predicate reads _seq or _time.
func (p *Predicate) UsesSystem() bool { return p != nil && p.system }

// Match reports whether the predicate is true of one row: one Value for each
// field of the schema it was parsed with, beside the change's seq and time. It
// does not allocate and keeps nothing.
func (p *Predicate) Match(row []schema.Value, seq schema.Seq, timeMicros int64) bool {
	return p == nil || p.root.match(record{row, seq, timeMicros})
}

// Filter clears keep[i] for each row i of the batch of which the predicate is
// not true; len(keep) is the batch's number of rows. Columns are found by name
// and must have the Arrow types that schema.Arrow gives them; a column that
// the batch lacks counts as null in every row. It agrees with Match. An Arrow
// type that cannot hold the column's type is the caller's mistake, and panics.
func (p *Predicate) Filter(batch arrow.RecordBatch, keep []bool) {
	if p != nil {
		p.root.filter(batch, keep)
	}
}

// Bounds tells what is known about the values of some rows: a data file, a row
// group, a chunk.
type Bounds interface {
	// Column tells about a top-level field by its index in the predicate's
	// schema. Every value that is neither null nor NaN lies within lo and hi,
	// which need not occur themselves; a null lo or hi is not known. nulls of
	// the rows are null; -1 is not known. ok false: nothing is known. A column
	// that the rows do not have is known to be null in all of them.
	Column(fieldIndex int) (lo, hi schema.Value, nulls, rows int64, ok bool)
}

// SystemBounds is what Bounds may have beside: the bounds of _seq and _time,
// asked for by those names.
type SystemBounds interface {
	System(column string) (lo, hi schema.Value, nulls, rows int64, ok bool)
}

// NaNBounds is what Bounds may have beside: how many NaNs a float or double
// field has. Without it a float's upper bound prunes nothing, as NaN is
// greater than it.
type NaNBounds interface {
	NaNs(fieldIndex int) (count int64, ok bool)
}

// ValueBounds is what Bounds may have beside: whether the rows may have a value that
// is not null, where there is more to tell than the least and the greatest.
type ValueBounds interface {
	MayHold(fieldIndex int, v schema.Value) bool
}

// MayMatch reports whether the predicate may be true of any row within the
// bounds. It never says no when a row matches.
func (p *Predicate) MayMatch(b Bounds) bool { return p == nil || p.root.may(b) }
