package sync

import "github.com/trinedb/trine/schema"

// Fold reduces changes as a flush and a scan do, as long as it holds less than limit
// bytes. It tells how many changes it took, what is left by key, and how many bytes it
// holds on to.
func Fold(changes []schema.Change, limit int64) (taken int, left []schema.Change, held int64) {
	f := &fold{}
	for more := true; more && taken < len(changes); taken++ {
		f.add(changes[taken])
		more = f.within(limit)
	}
	f.reduce()
	for i, key := range f.keys() {
		l := f.rows[i]
		op := schema.OpUpsert
		if l.deleted {
			op = schema.OpDelete
		}
		left = append(left, schema.Change{Seq: l.seq, TimeMicros: l.micros, Record: schema.Record{Op: op, Key: key, Row: l.row}})
	}
	return taken, left, f.held
}
