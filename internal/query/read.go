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
}

// Range asks for keyed rows in key order. Prefix, From and To are leading key
// parts, of the key's types.
type Range struct {
	Prefix  []schema.Value // only keys that begin with these parts
	From    []schema.Value // inclusive; nil means from the first
	To      []schema.Value // exclusive; nil means to the last
	Reverse bool           // from the last key to the first
	Limit   int            // most rows; 0 means the reader's default
	After   []byte         // an encoded key: resume past it, in the direction of reading
	Where   *Predicate     // nil means every row
}
