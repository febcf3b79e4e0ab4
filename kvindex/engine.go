package kvindex

import (
	"io"

	"github.com/trinedb/trine/schema"
)

// engine is the ordered key-value store under the index. It keeps versions:
// every batch has a timestamp above those of all batches before it, and a
// reader asks for the state as of one. Badger implements it; Pebble could.
type engine interface {
	engineReader
	engineWriter
	io.Closer
}

// latest asks a reader for the newest committed version.
const latest = ^uint64(0)

// engineReader reads. It is safe for concurrent use.
type engineReader interface {
	// get appends the value of key as of ts to dst. With latest it may see a
	// batch that is still being committed, key by key.
	get(ts uint64, dst, key []byte) (val []byte, ok bool, err error)
	// iterate opens a cursor over the keys with prefix as of ts. It stays as it
	// was opened, whatever is written or discarded after.
	iterate(ts uint64, prefix []byte, reverse bool) cursor
	// verify reads all that is on disk and compares checksums.
	verify() error
	// inTables is the highest timestamp of what is in tables, which are durable:
	// all that was committed up to it is. 0: there are none.
	inTables() uint64
	// tableBytes is how much the tables take on disk.
	tableBytes() int64
	// pinTables keeps the tables as they are, and what is in memory as of ts. No
	// commit may be under way. errMoving: try again.
	pinTables(ts uint64) (tablePin, error)
}

// engineWriter writes. One goroutine at a time may call it.
type engineWriter interface {
	// commit writes b atomically at ts and calls done from a goroutine of the
	// engine's own; when done is told of ts, all batches below ts are in. b and
	// its bytes belong to the engine until then.
	commit(b *batch, ts uint64, done func(error))
	// discard allows versions that a newer one at or below ts hides to go.
	discard(ts uint64)
	// last is the highest timestamp that the store holds.
	last() uint64
}

// cursor walks keys in order. It is used by one goroutine, and must be closed.
type cursor interface {
	seek(key []byte) // to the first key at or after key; in reverse at or before
	valid() bool
	next()
	key() []byte            // until next or seek
	value() ([]byte, error) // until next or seek
	close()
}

// batch collects operations for one atomic commit. The last operation on a
// key counts. Keys and values are kept, not copied: see alloc.
type batch struct {
	ops   []batchOp
	bytes int
	arena []byte
	// defines are the collections whose secondary indexes the batch changes.
	defines []schema.Instance
	// rows are what the rows that it touches are after it, by key: for as long as
	// the engine does not tell.
	rows map[string]rowState
}

type batchOp struct {
	key, val []byte
	expires  int64 // Unix seconds; 0: never
	del      bool
}

// opOverheadBytes is what the engine adds to an operation, for the size bound.
const opOverheadBytes = 32

func (b *batch) put(key, val []byte) { b.add(batchOp{key: key, val: val}) }

func (b *batch) putExpiring(key, val []byte, unixSeconds int64) {
	b.add(batchOp{key: key, val: val, expires: unixSeconds})
}

func (b *batch) delete(key []byte) { b.add(batchOp{key: key, del: true}) }

func (b *batch) add(op batchOp) {
	b.ops = append(b.ops, op)
	b.bytes += len(op.key) + len(op.val) + opOverheadBytes
}

// alloc is an empty slice with room for n bytes that stays put until the
// batch is done. Growing it past n is an error of the caller, but a safe one.
func (b *batch) alloc(n int) []byte {
	const block = 64 << 10
	if cap(b.arena)-len(b.arena) < n {
		b.arena = make([]byte, 0, max(block, n))
	}
	at := len(b.arena)
	b.arena = b.arena[:at+n]
	return b.arena[at : at : at+n]
}

// reset empties b for another commit; the engine must be done with it.
func (b *batch) reset() {
	clear(b.ops)
	b.ops, b.bytes, b.arena, b.defines = b.ops[:0], 0, b.arena[:0], nil
	clear(b.rows)
}
