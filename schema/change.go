package schema

// Op says what a change does.
type Op uint8

// The operations as the log holds them. A patch is resolved to OpUpdate with
// the whole row when the log sequences it.
const (
	OpInsert Op = iota + 1 // a new row
	OpUpsert               // a new row, or a new version of the row with its key
	OpUpdate               // a new version of a row that exists
	OpDelete               // the row with this key is gone
)

// String is the operation's name in the API.
func (o Op) String() string {
	switch o {
	case OpInsert:
		return "insert"
	case OpUpsert:
		return "upsert"
	case OpUpdate:
		return "update"
	case OpDelete:
		return "delete"
	default:
		return "unknown"
	}
}

// Ends reports whether the operation puts an end to a row that there was, which
// can be kept as the change's before image.
func (o Op) Ends() bool { return o == OpUpdate || o == OpDelete }

// Record is one change as the log carries it.
type Record struct {
	Op  Op
	Key []byte // the encoded primary key; empty in an append-only collection
	Row []byte // the encoded row; empty for a delete
	// Before is the encoded row that an OpUpdate or OpDelete put an end to, of
	// any schema in the collection's line. It is there only if the collection
	// kept before images when the change was sequenced.
	Before []byte
}

// Bytes is the length of the record's key and rows.
func (r *Record) Bytes() int { return len(r.Key) + len(r.Row) + len(r.Before) }

// Group holds changes of one collection that are neighbours in its log:
// Records[i] has Seq FirstSeq+i.
type Group struct {
	Instance Instance
	FirstSeq Seq
	Records  []Record
}

// NextSeq is the Seq after the group's last record.
func (g Group) NextSeq() Seq { return g.FirstSeq + Seq(len(g.Records)) }

// DedupKey identifies a write that its client may send again: a digest of
// tenant, collection and idempotency key. The zero key means none.
type DedupKey [16]byte

// Answer is what a batch with a DedupKey was answered, kept so that a retry
// gets the same.
type Answer struct {
	Key      DedupKey
	Digest   [16]byte // of the batch's content; a retry with another is refused
	Instance Instance
	FirstSeq Seq
	Count    int
	Position Position
}

// Chunk is the unit of durability in memory: what one immutable object holds.
// It is not changed after it was published; its bytes may be shared.
type Chunk struct {
	Position   Position
	Epoch      Epoch
	TimeMicros int64    // commit time, microseconds since 1970, never going back in a channel
	Groups     []Group  // sorted by Instance, one per collection
	Answers    []Answer // of the batches that asked for one
	Bytes      int      // size as stored
}

// Group finds the group of a collection, or reports that the chunk has none.
func (c *Chunk) Group(id Instance) (Group, bool) {
	lo, hi := 0, len(c.Groups)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if c.Groups[mid].Instance < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(c.Groups) && c.Groups[lo].Instance == id {
		return c.Groups[lo], true
	}
	return Group{}, false
}

// Change is one change as readers of a log meet it.
type Change struct {
	Seq        Seq
	TimeMicros int64 // commit time
	Record
}
