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
	Tag      string      // the same by the name of a tag
	Resume   *ScanPoint  // from here on, of an earlier scan with the same Columns and Where; AtSeq and Snapshot are not looked at
}

// ScanState is what a scan reads: rows of Snapshot with a seq below LakeTo, as far
// as no change from From to below To supersedes them, and then what these changes
// leave. Whoever reads a state again gets the same rows in the same order.
type ScanState struct {
	Snapshot int64 // of the lake; 0: none
	LakeTo   schema.Seq
	From, To schema.Seq
	Position schema.Position // that the scan was told to be of
}

// ScanPlace is a place in a state's rows: behind so many of the rows that a scan
// yields of a data file, or of what comes after the snapshot.
type ScanPlace struct {
	File uint32
	Tail bool // after the snapshot; File means nothing
	Rows int64
}

// ScanPoint is where a scan can go on.
type ScanPoint struct {
	State ScanState
	Place ScanPlace
}
