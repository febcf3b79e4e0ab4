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

// node is a part of a predicate, without nots: see binder.
type node interface {
	// match reports whether the node is true of a row.
	match(r record) bool
	// filter clears keep[i] where the node is not true of the batch's row i.
	filter(batch arrow.RecordBatch, keep []bool)
	// may reports whether the node may be true of a row within bounds.
	may(b Bounds) bool
}

// constant is true or false of every row.
type constant bool

func (c constant) match(record) bool { return bool(c) }
func (c constant) may(Bounds) bool   { return bool(c) }
func (c constant) filter(_ arrow.RecordBatch, keep []bool) {
	if !c {
		clear(keep)
	}
}

// allOf is the conjunction of its nodes.
type allOf []node

func (a allOf) match(r record) bool {
	for _, n := range a {
		if !n.match(r) {
			return false
		}
	}
	return true
}

func (a allOf) filter(batch arrow.RecordBatch, keep []bool) {
	for _, n := range a {
		n.filter(batch, keep)
	}
}

func (a allOf) may(b Bounds) bool {
	for _, n := range a {
		if !n.may(b) {
			return false
		}
	}
	return true
}

// anyOf is the disjunction of its nodes.
type anyOf []node

func (a anyOf) match(r record) bool {
	for _, n := range a {
		if n.match(r) {
			return true
		}
	}
	return false
}

// filter lets each node narrow what the nodes before it did not keep.
func (a anyOf) filter(batch arrow.RecordBatch, keep []bool) {
	kept := make([]bool, len(keep))
	rest := make([]bool, len(keep))
	for _, n := range a {
		for i, k := range keep {
			rest[i] = k && !kept[i]
		}
		n.filter(batch, rest)
		for i, r := range rest {
			kept[i] = kept[i] || r
		}
	}
	copy(keep, kept)
}

func (a anyOf) may(b Bounds) bool {
	for _, n := range a {
		if n.may(b) {
			return true
		}
	}
	return false
}
