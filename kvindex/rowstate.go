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

// row is the next record's row as it is before the record. It is good until the
// next call.
func (a *applier) row(inst schema.Instance, rowKey []byte) (*aheadRow, error) {
	r := a.ahead.find(a.unit)
	found := r != nil
	if !found {
		key := appendKey(a.batch.alloc(prefixLen+len(rowKey)), spaceRow, inst, rowKey)
		a.alone = aheadRow{key: key, hash: a.x.rows.hash(key)}
		r = &a.alone
	}
	for _, b := range [...]*batch{a.batch, a.spare} {
		if s, ok := b.rows[string(r.key)]; ok {
			r.state = s
			return r, nil
		}
	}
	if found {
		return r, nil
	}
	set, err := a.secondaries(inst)
	if err != nil {
		return nil, err
	}
	if a.remembered(inst, r, len(set.list) > 0) {
		return r, nil
	}
	a.x.rows.looked++
	a.buf, r.state, err = readState(a.x.eng, a.buf[:0], r.key)
	return r, err
}

// remembered fills in what is known of a row without looking it up. The bytes of
// one are not, which secondary indexes ask for.
func (a *applier) remembered(inst schema.Instance, r *aheadRow, indexed bool) bool {
	s, known := a.x.rows.get(inst, r.hash)
	if !known || s.exists && indexed {
		return false
	}
	r.state = s
	return true
}

// see notes what a record leaves of its row.
func (a *applier) see(inst schema.Instance, r *aheadRow, s rowState) {
	if a.batch.rows == nil {
		a.batch.rows = make(map[string]rowState, maxBatchRecords)
	}
	a.batch.rows[string(r.key)] = s
	a.x.rows.put(inst, r.hash, r.state, s)
}
