package kvindex

import (
	"reflect"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/trinedb/trine/schema"
)

// AwaitReclaim waits until nothing is left to reclaim.
func (x *Index) AwaitReclaim(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); x.dropped.Load().Len() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("reclaim does not end")
		}
		time.Sleep(time.Millisecond)
	}
}

// CountKeys counts the keys in the engine that belong to a collection.
func (x *Index) CountKeys(inst schema.Instance) (n int) {
	for s := spaceStats; s <= spaceEntry; s++ {
		if s == spaceAnswer {
			continue
		}
		c := x.eng.iterate(latest, instanceKey(s, inst), false)
		for c.seek(instanceKey(s, inst)); c.valid(); c.next() {
			n++
		}
		c.close()
	}
	return n
}

// CountParts counts the parts of long rows that a collection has.
func (x *Index) CountParts(inst schema.Instance) (n int) {
	c := x.eng.iterate(latest, instanceKey(spacePart, inst), false)
	defer c.close()
	for c.seek(instanceKey(spacePart, inst)); c.valid(); c.next() {
		n++
	}
	return n
}

// PartBytes is the length from which a row is stored in parts.
const PartBytes = partBytes

// CheckDecoders runs every decoder on val; none may panic, and what they take
// must encode to what they decode again.
func CheckDecoders(t testing.TB, val []byte) {
	if r, err := decodeRow(val); err == nil && r.num == 0 {
		if again, err := decodeRow(appendRow(nil, r.Row)); err != nil || string(again.Bytes) != string(r.Bytes) || again.Seq != r.Seq {
			t.Errorf("row %x: %v", val, err)
		}
	}
	if p, err := decodeProgress(val); err == nil {
		if again, err := decodeProgress(appendProgress(nil, p)); err != nil || again != p {
			t.Errorf("progress %x: %v", val, err)
		}
	}
	if s, err := decodeTally(val); err == nil {
		if again, err := decodeTally(appendTally(nil, s)); err != nil || again != s {
			t.Errorf("tally %x: %v", val, err)
		}
	}
	if l, err := decodeLocation(val); err == nil {
		if again, err := decodeLocation(appendLocation(nil, l)); err != nil || again != l {
			t.Errorf("location %x: %v", val, err)
		}
	}
	if g, before, err := decodeGroup(appendGroupKey(nil, 16, 7), val); err == nil {
		if again, b, err := decodeGroup(appendGroupKey(nil, 16, 7), appendGroup(nil, g, before)); err != nil || again != g || b != before {
			t.Errorf("group %x: %v", val, err)
		}
	}
	if s, err := decodeSecondaries(val); err == nil {
		if again, err := decodeSecondaries(appendSecondaries(nil, s)); err != nil || !reflect.DeepEqual(again.list, s.list) {
			t.Errorf("secondaries %x: %v", val, err)
		}
	}
	if fields, key, null, err := splitEntry([]byte("fields and key"), val); err == nil {
		e := entry{fields: len(fields), null: null}
		if again, _, _, err := splitEntry([]byte("fields and key"), e.value(nil)); err != nil || len(again) != len(fields) || len(key) == 0 {
			t.Errorf("entry %x: %v", val, err)
		}
	}
	if a, at, err := decodeAnswer(schema.DedupKey{1}, val); err == nil {
		if again, b, err := decodeAnswer(schema.DedupKey{1}, appendAnswer(nil, a, at)); err != nil || again != a || b != at {
			t.Errorf("answer %x: %v", val, err)
		}
	}
}

// Golden is every key and value of the format, for comparison with the bytes of
// the format's version.
func Golden() map[string][]byte {
	pos := schema.Position{Generation: 1, Chunk: 300}
	row := Row{Seq: 300, TimeMicros: 1_700_000_000_000_000, Bytes: []byte("row")}
	long := Row{Seq: 300, TimeMicros: -1, Bytes: make([]byte, 600<<10)}
	group := GroupRef{FirstSeq: 7, Count: 2, Position: pos, TimeMicros: 1_700_000_000_000_000, Bytes: 500}
	stats := tally{nextSeq: 300, rows: 2, bytes: 1000, logBytes: 5000, lakeSeq: 200,
		lakeSnapshot: -12345, lakeBytes: 4000, tailSince: 1_700_000_000_000_000}
	whole, begun := stats, stats
	whole.last = lastGroup{before: 4500, GroupRef: GroupRef{FirstSeq: 298, Count: 2, Position: pos, TimeMicros: 1_700_000_000_000_000, Bytes: 500}}
	begun.last = lastGroup{before: 4800, GroupRef: GroupRef{FirstSeq: 298, Count: 700, Position: pos, TimeMicros: 1_700_000_000_000_007, Bytes: 90_000}}
	answer := schema.Answer{Digest: [16]byte{9, 8, 7}, Instance: 16, FirstSeq: 300, Count: 2, Position: pos}
	return map[string][]byte{
		"key answer":   answerKey(schema.DedupKey{1, 2, 3}),
		"key dirty":    instanceKey(spaceDirty, 16),
		"key dropped":  instanceKey(spaceDropped, 16),
		"key group":    appendGroupKey(nil, 16, 7),
		"key location": appendKey(nil, spaceLocation, 16, []byte("key")),
		"key pointers": ungroupedKey,
		"key part":     appendPartKey(nil, 16, 300, 2),
		"key position": positionKey,
		"key reclaim":  instanceKey(spaceReclaim, 16),
		"key row":      appendKey(nil, spaceRow, 16, []byte("key")),
		"key stats":    instanceKey(spaceStats, 16),

		"key secondaries": instanceKey(spaceSecondaries, 16),
		"key build":       secondaryKey(spaceBuild, 16, 7),
		"key sweep":       secondaryKey(spaceSweep, 16, 7),
		"key entry":       appendEntryKey(nil, 16, 7, []byte("\x01city\x00\x01key")),
		"entry":           (&entry{fields: 7}).value(nil),
		"entry with null": (&entry{fields: 1, null: true}).value(nil),
		"secondaries": appendSecondaries(nil, newSecondaries([]secondary{
			{id: 1, name: "by_city", fields: []int{2, 3}, state: SecondaryReady, rows: 300},
			{id: 7, name: "by_n", fields: []int{300}, unique: true, state: SecondaryBuilding, rows: 500, note: []byte("key")},
		})),
		"answer":             appendAnswer(nil, answer, 1_700_000_000_000_000),
		"group":              appendGroup(nil, group, 1000),
		"location":           appendLocation(nil, Location{File: 3, Row: 70_000}),
		"position":           appendProgress(nil, progress{applied: pos, partial: pos.Next(), units: 4000}),
		"row":                appendRow(nil, row),
		"row in parts":       appendPartedRow(nil, long, 3),
		"stats":              appendTally(nil, stats),
		"stats with a group": appendTally(nil, whole),
		"stats with part":    appendTally(nil, begun),
		"pointers dropped":   appendUngrouped(nil, pos),
	}
}

// FailCommit makes the n-th commit from now on, and only that, fail.
func (x *Index) FailCommit(n int, err error) {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.eng = &failing{engine: x.eng, left: n, err: err}
}

type failing struct {
	engine
	left int
	err  error
}

func (f *failing) commit(b *batch, ts uint64, done func(error)) {
	if f.left--; f.left == 0 {
		go done(f.err)
		return
	}
	f.engine.commit(b, ts, done)
}

// Compact merges all tables, so that versions nobody may read are gone.
func (x *Index) Compact(t testing.TB) {
	t.Helper()
	if err := x.eng.(*badgerEngine).db.Flatten(2); err != nil {
		t.Fatal(err)
	}
}

// Versions counts the versions of rows that are stored.
func (x *Index) Versions(inst schema.Instance) (n int) {
	txn := x.eng.(*badgerEngine).db.NewTransactionAt(latest, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: instanceKey(spaceRow, inst), AllVersions: true})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		n++
	}
	return n
}

// AwaitBuilds waits until no secondary index is being built, or to be swept.
func (x *Index) AwaitBuilds(t testing.TB) {
	t.Helper()
	queued := func() int { return len(x.queuedWhole(spaceBuild)) + len(x.queuedWhole(spaceSweep)) }
	for deadline := time.Now().Add(20 * time.Second); queued() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("builds do not end")
		}
		time.Sleep(time.Millisecond)
	}
}

// SetBuildBatch makes steps of builds smaller. It comes before Build.
func (x *Index) SetBuildBatch(rows int) { x.build.batch = rows }

// SetMaxRetired is how many versions of applied rows the overlay may keep. It comes
// before the first Apply.
func (x *Index) SetMaxRetired(versions int) { x.overlay.retired.most = versions }

// KeyFilter is a filter of keys.
type KeyFilter struct{ f keyFilter }

func (k *KeyFilter) Add(hash uint64)          { k.f.add(hash) }
func (k *KeyFilter) MayHave(hash uint64) bool { return k.f.mayHave(hash) }
func (k *KeyFilter) Bytes() int               { return k.f.bytes() }

// Filtered is how many bytes filters take, and how many a count of them gives.
func (x *Index) Filtered() (bytes, counted int) {
	x.writing.Lock()
	defer x.writing.Unlock()
	for _, f := range x.rows.filters.Values() {
		counted += f.bytes()
	}
	return x.rows.filterBytes, counted
}

// Looked is how many rows Apply has looked up in the engine so far.
func (x *Index) Looked() int { return x.rows.looked }

// CountEntries counts the entries that a collection has in all secondary
// indexes, those of indexes that are gone included.
func (x *Index) CountEntries(inst schema.Instance) (n int) {
	c := x.eng.iterate(latest, instanceKey(spaceEntry, inst), false)
	defer c.close()
	for c.seek(instanceKey(spaceEntry, inst)); c.valid(); c.next() {
		n++
	}
	return n
}

// StagedDefinitions counts the collections whose indexes the overlay knows of.
func (x *Index) StagedDefinitions() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.overlay.defined) + x.overlay.entries.Len()
}

// Content is all that is committed, but for what a Load does not bring: answers,
// pointers to chunks, the position, and how far builds of secondary indexes are.
func (x *Index) Content() map[string][]byte {
	all := map[string][]byte{}
	for s := spaceStats; s <= spaceEntry; s++ {
		switch s {
		case spaceAnswer, spaceGroup, spaceSecondaries:
			continue
		}
		c := x.eng.iterate(latest, []byte{byte(s)}, false)
		for c.seek([]byte{byte(s)}); c.valid(); c.next() {
			val, err := c.value()
			if err != nil {
				panic(err)
			}
			if s == spaceStats {
				t, err := decodeTally(val)
				if err != nil {
					panic(err)
				}
				t.last = lastGroup{} // a pointer
				val = appendTally(nil, t)
			}
			all[string(c.key())] = append([]byte(nil), val...)
		}
		c.close()
	}
	return all
}

// piecemeal commits the place of an index in the sweep's queue before the rest of
// its batch, and has the sweep look in between, as a reader of the newest may.
type piecemeal struct {
	engine
	x       *Index
	swept   chan struct{} // a sweep reads entries
	patient time.Duration // waits so long for it
}

// CommitSweepsFirst tears batches that queue an index to be swept.
func (x *Index) CommitSweepsFirst(patient time.Duration) {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.eng = &piecemeal{engine: x.eng, x: x, swept: make(chan struct{}, 1), patient: patient}
}

func (e *piecemeal) iterate(ts uint64, prefix []byte, reverse bool) cursor {
	if prefix[0] == byte(spaceEntry) {
		select {
		case e.swept <- struct{}{}:
		default:
		}
	}
	return e.engine.iterate(ts, prefix, reverse)
}

func (e *piecemeal) commit(b *batch, ts uint64, done func(error)) {
	first, rest := new(batch), new(batch)
	for _, op := range b.ops {
		if op.key[0] == byte(spaceSweep) && !op.del {
			first.add(op)
		} else {
			rest.add(op)
		}
	}
	if len(first.ops) == 0 {
		e.engine.commit(b, ts, done)
		return
	}
	e.engine.commit(first, ts, func(err error) {
		if err != nil {
			done(err)
			return
		}
		e.x.reclaim.wakeUp()
		select {
		case <-e.swept:
		case <-time.After(e.patient):
		}
		e.engine.commit(rest, ts, done)
	})
}

// ShortRows has memtables of less than the least, of which a transaction takes a
// tenth: there are no longer rows.
func (o Options) ShortRows(memTableBytes int64) Options {
	o.MemTableBytes, o.shortRows = memTableBytes, true
	return o
}
