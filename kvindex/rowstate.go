package kvindex

import "github.com/trinedb/trine/schema"

// rowState is what a key has, as far as the counts care.
type rowState struct {
	exists bool
	length int // of the row's bytes
	seq    schema.Seq
	parts  int
	row    []byte // nil when it has several parts and is in the engine
}

// rowState is what the row under an engine key is before the next change.
func (a *applier) rowState(key []byte) (rowState, error) {
	if s, ok := a.seen[string(key)]; ok {
		return s, nil
	}
	if s, ok := a.seenBefore[string(key)]; ok {
		return s, nil
	}
	val, ok, err := a.x.eng.get(latest, a.buf[:0], key)
	a.buf = val
	if err != nil {
		return rowState{}, corrupt("read row", err)
	}
	if !ok {
		return rowState{}, nil
	}
	r, err := decodeRow(val)
	return rowState{exists: true, length: r.length, seq: r.Seq, parts: r.num, row: r.Bytes}, err
}
