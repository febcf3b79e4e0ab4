package sync

import (
	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
)

// forward leads from the places of rows that the index has as of one snapshot to
// those as of the next, in which a rewrite moved some. So scans need not wait
// while the index is told of millions of new places. A nil one leads nowhere.
type forward struct {
	from, to int64 // snapshots
	moves    *lakehouse.Rewrite
}

func (f *forward) leads(from, to int64) bool {
	return f != nil && f.from == from && f.to == to
}

// place is where the row lies that the index has at loc, which may be the old
// place or already the new one.
func (f *forward) place(loc kvindex.Location) kvindex.Location {
	if f == nil {
		return loc
	}
	if file, row, ok := f.moves.Moved(loc.File, loc.Row); ok {
		return kvindex.Location{File: file, Row: row}
	}
	return loc
}
