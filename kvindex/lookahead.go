package kvindex

import (
	"runtime"
	"sync"
)

// lookahead is what the rows of the next records are before them. They are
// looked up at once by several goroutines, beside the commit in flight: one
// lookup costs as much as Badger's write of a row. It is good until the next
// commit, for of the rows of one batch in flight it does not tell.
type lookahead struct {
	from    int      // the unit of the first record
	keys    [][]byte // in the engine; nil: the record has none
	states  []rowState
	keepRow []bool // its collection has secondary indexes
	workers []rowReader
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
func (l *lookahead) clear() { l.keys = l.keys[:0] }

// find is the key of a unit's row, and what that is, if it was looked up.
func (l *lookahead) find(unit int) (key []byte, s rowState, ok bool) {
	i := unit - l.from
	if i < 0 || i >= len(l.keys) || l.keys[i] == nil {
		return nil, s, false
	}
	return l.keys[i], l.states[i], true
}

// lookAhead looks up the rows of the records from one of the chunk's on that the
// batch has room for.
func (a *applier) lookAhead(group, record int) error {
	l := &a.ahead
	l.clear()
	l.from, l.keepRow = a.unit, l.keepRow[:0]
	room := maxBatchRecords - a.records
	for ; group < len(a.c.Groups) && len(l.keys) < room; group, record = group+1, 0 {
		g := &a.c.Groups[group]
		set, err := a.secondaries(g.Instance)
		if err != nil {
			return err
		}
		for ; record < len(g.Records) && len(l.keys) < room; record++ {
			var key []byte
			if r := &g.Records[record]; len(r.Key) > 0 && len(r.Key) <= MaxKeyBytes {
				key = appendKey(a.batch.alloc(prefixLen+len(r.Key)), spaceRow, g.Instance, r.Key)
			}
			l.keys, l.keepRow = append(l.keys, key), append(l.keepRow, len(set.list) > 0)
		}
	}
	if cap(l.states) < len(l.keys) {
		l.states = make([]rowState, maxBatchRecords)
	}
	l.states = l.states[:len(l.keys)]
	return l.run(a.x.eng)
}

// run looks the keys up.
func (l *lookahead) run(eng engineReader) error {
	n := max(1, min(len(l.keys)/minLookups, maxLookups, runtime.GOMAXPROCS(0)))
	if len(l.workers) < n {
		l.workers = make([]rowReader, n)
	}
	var wg sync.WaitGroup
	part := (len(l.keys) + n - 1) / n
	for i := range n {
		first, end := min(i*part, len(l.keys)), min((i+1)*part, len(l.keys))
		if i == n-1 {
			l.workers[i].run(eng, l, first, end)
			break
		}
		wg.Go(func() { l.workers[i].run(eng, l, first, end) })
	}
	wg.Wait()
	for i := range n {
		if err := l.workers[i].err; err != nil {
			return err
		}
	}
	return nil
}

func (w *rowReader) run(eng engineReader, l *lookahead, first, end int) {
	w.kept, w.err = nil, nil
	for i := first; i < end && w.err == nil; i++ {
		if l.keys[i] == nil {
			continue
		}
		if w.buf, l.states[i], w.err = readState(eng, w.buf[:0], l.keys[i]); w.err != nil {
			return
		}
		s := &l.states[i]
		keep := s.row
		s.row = nil
		if keep != nil && l.keepRow[i] && len(w.kept)+len(keep) <= maxAheadBytes {
			at := len(w.kept)
			w.kept = append(w.kept, keep...)
			s.row = w.kept[at:len(w.kept):len(w.kept)] // stays when kept moves on
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
