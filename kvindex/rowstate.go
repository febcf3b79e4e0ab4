package kvindex

import "github.com/trinedb/trine/schema"

// rowState is what a key has, as far as the counts care.
type rowState struct {
	exists bool
	length int // of the row's bytes
	seq    schema.Seq
	parts  int
	row    []byte // nil when it must be read from the engine, if it is asked for
}

// rowState is the key in the engine of the next record's row, and what that is
// before the record.
func (a *applier) rowState(inst schema.Instance, rowKey []byte) (key []byte, s rowState, err error) {
	key, s, found := a.ahead.find(a.unit)
	if !found {
		key = appendKey(a.batch.alloc(prefixLen+len(rowKey)), spaceRow, inst, rowKey)
	}
	if s, ok := a.seen[string(key)]; ok {
		return key, s, nil
	}
	if s, ok := a.seenBefore[string(key)]; ok {
		return key, s, nil
	}
	if !found {
		a.buf, s, err = readState(a.x.eng, a.buf[:0], key)
	}
	return key, s, err
}
