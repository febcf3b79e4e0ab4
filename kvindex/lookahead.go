package kvindex

import (
	"runtime"
	"sync"
)

// lookahead is what the rows of the next records are before them. Those that are
// not remembered are looked up at once by several goroutines, beside the commit in
// flight: one lookup costs as much as Badger's write of a row. It is good until the
// next commit, for of the rows of one batch in flight it does not tell.
type lookahead struct {
	from    int // the unit of the first record
	rows    []aheadRow
	ask     []*aheadRow // of those: that must be looked up
	workers []rowReader
}

// aheadRow is a row before its record.
type aheadRow struct {
	key   []byte // in the engine; nil: the record has none
	hash  rowHash
	state rowState
	keep  bool // its bytes, for its collection has secondary indexes
}

// Bounds of a lookahead.
const (
	maxLookups    = 4       // goroutines
	minLookups    = 16      // keys of one goroutine
	maxAheadBytes = 1 << 20 // of rows that one goroutine keeps; of others it tells the length
)

// rowReader is one goroutine's part.
type rowReader struct {
	buf  []byte
	kept []byte
	err  error
}

// clear forgets what was looked up.
func (l *lookahead) clear() { l.rows = l.rows[:0] }

// find is the row of a unit, if it was looked up.
func (l *lookahead) find(unit int) *aheadRow {
	i := unit - l.from
	if i < 0 || i >= len(l.rows) || l.rows[i].key == nil {
		return nil
	}
	return &l.rows[i]
}

// lookAhead looks up the rows of the records from one of the chunk's on that the
// batch has room for.
func (a *applier) lookAhead(group, record int) error {
	l := a.ahead
	room := a.room(group, record)
	if cap(l.rows) < room {
		l.rows = make([]aheadRow, 0, room) // which does not move: ask points into it
	}
	l.clear()
	l.from, l.ask = a.unit, l.ask[:0]
	for ; group < len(a.c.Groups) && len(l.rows) < room; group, record = group+1, 0 {
		g := &a.c.Groups[group]
		set, err := a.secondaries(g.Instance)
		if err != nil {
			return err
		}
		for ; record < len(g.Records) && len(l.rows) < room; record++ {
			l.rows = append(l.rows, aheadRow{keep: len(set.list) > 0})
			rec, r := &g.Records[record], &l.rows[len(l.rows)-1]
			if len(rec.Key) == 0 || len(rec.Key) > MaxKeyBytes {
				continue
			}
			r.key = appendKey(a.batch.alloc(prefixLen+len(rec.Key)), spaceRow, g.Instance, rec.Key)
			r.hash = a.x.rows.hash(r.key)
			if !a.remembered(g.Instance, r, r.keep) {
				l.ask = append(l.ask, r)
			}
		}
	}
	a.x.rows.looked += len(l.ask)
	return l.run(a.x.eng)
}

// room is for how many records, from one of the chunk's on, the batch has room.
func (a *applier) room(group, record int) int {
	left, most := -record, maxBatchRecords-a.records
	for ; group < len(a.c.Groups) && left < most; group++ {
		left += len(a.c.Groups[group].Records)
	}
	return min(left, most)
}

// run looks up what is asked.
func (l *lookahead) run(eng engineReader) error {
	if len(l.ask) == 0 {
		return nil
	}
	n := max(1, min(len(l.ask)/minLookups, maxLookups, runtime.GOMAXPROCS(0)))
	if len(l.workers) < n {
		l.workers = make([]rowReader, n)
	}
	var wg sync.WaitGroup
	part := (len(l.ask) + n - 1) / n
	for i := range n {
		ask := l.ask[min(i*part, len(l.ask)):min((i+1)*part, len(l.ask))]
		if i == n-1 {
			l.workers[i].run(eng, ask)
			break
		}
		wg.Go(func() { l.workers[i].run(eng, ask) })
	}
	wg.Wait()
	for i := range n {
		if err := l.workers[i].err; err != nil {
			return err
		}
	}
	return nil
}

func (w *rowReader) run(eng engineReader, ask []*aheadRow) {
	w.kept, w.err = nil, nil
	for _, r := range ask {
		if w.buf, r.state, w.err = readState(eng, w.buf[:0], r.key); w.err != nil {
			return
		}
		row := r.state.row
		r.state.row = nil
		if row != nil && r.keep && len(w.kept)+len(row) <= maxAheadBytes {
			at := len(w.kept)
			w.kept = append(w.kept, row...)
			r.state.row = w.kept[at:len(w.kept):len(w.kept)] // stays when kept moves on
		}
	}
}

// readState reads what a row is as the engine has it; its bytes are in buf.
func readState(eng engineReader, buf, key []byte) ([]byte, rowState, error) {
	val, ok, err := eng.get(latest, buf, key)
	if err != nil {
		return val, rowState{}, corrupt("read row", err)
	}
	if !ok {
		return val, rowState{}, nil
	}
	r, err := decodeRow(val)
	return val, rowState{exists: true, length: r.length, seq: r.Seq, parts: r.num, row: r.Bytes}, err
}
