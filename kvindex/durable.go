package kvindex

import "github.com/trinedb/trine/schema"

// Durable is the position that the index would have after a power failure: the
// one in its tables. What is only in memtables, and in their write-ahead logs,
// is lost then (docs/format/index.md). It costs a look at the list of tables.
func (x *Index) Durable() (schema.Position, error) {
	if err := x.gate.enter(); err != nil {
		return schema.Position{}, err
	}
	defer x.gate.leave()
	ts := x.eng.inTables()
	if ts == 0 {
		return schema.Position{}, nil
	}
	// Tables hold the memtables in order, so what was committed up to the highest
	// timestamp in a table is in tables, the position of then among it.
	val, ok, err := x.eng.get(ts, nil, positionKey)
	if err != nil {
		return schema.Position{}, corrupt("read position in tables", err)
	}
	if !ok {
		return schema.Position{}, nil
	}
	p, err := decodeProgress(val)
	return p.applied, err
}
