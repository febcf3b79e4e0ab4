package sync

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// pinTrimmed settles a pin whose tail begins in what was trimmed, and reports
// whether nothing is left to be done. The rows of a keyed collection that no table
// holds are those of the index, which has them as they are now and not as of an
// earlier seq. An append-only collection has what the log keeps.
func (e *Engine) pinTrimmed(ctx context.Context, c *schema.Collection, p *scanPin, next schema.Seq, limit int64) (bool, error) {
	first, err := e.firstSeq(ctx, c.Instance)
	if err != nil || p.from >= first {
		return false, err
	}
	switch {
	case p.snap != nil && p.lakeTo == seqEnd:
		// The table lost its newest versions, and the log what would make them anew.
		return false, &TrimmedError{From: p.from, First: first}
	case p.snap != nil:
		return false, nil // cut by seq: nothing is read from the log
	case p.to <= first && p.to < next:
		return false, &TrimmedError{From: p.to - 1, First: first}
	case !c.Schema.Keyed():
		p.from = first
		return false, nil
	case p.to < next:
		return false, &TrimmedError{From: p.from, First: first}
	}
	p.passing = true
	p.tail, p.position, err = e.foldIndex(ctx, c.Instance, limit)
	p.to = p.tail.next
	if p.tail.bytes >= limit {
		p.tail.next = 0 // not all of it
	}
	return true, err
}

// foldIndex is the rows that the index has of a keyed collection, and their
// position. It stops once it holds limit bytes.
func (e *Engine) foldIndex(ctx context.Context, inst schema.Instance, limit int64) (*fold, schema.Position, error) {
	f := &fold{}
	rows, end, err := e.pinRows(ctx, inst)
	if err != nil {
		return f, end.position, err
	}
	defer rows.Close()
	f.next = end.next
	err = rows.Rows(ctx, func(key []byte, row kvindex.Row) (bool, error) {
		f.add(schema.Change{Seq: row.Seq, TimeMicros: row.TimeMicros, Record: schema.Record{Op: schema.OpUpsert, Key: key, Row: row.Bytes}})
		return f.within(limit), nil
	})
	f.reduce()
	if err != nil {
		return f, end.position, fmt.Errorf("rows of instance %d in the index: %w", inst, err)
	}
	return f, end.position, nil
}

// pinRows pins the rows of a collection in the index, and tells which changes are
// in them. The caller closes them.
func (e *Engine) pinRows(ctx context.Context, inst schema.Instance) (*kvindex.Pinned, border, error) {
	for {
		rows, err := e.index.Pin(inst)
		if err != nil {
			return nil, border{}, err
		}
		position, next, err := e.nextSeqAt(ctx, inst)
		if err == nil && position == rows.Position() {
			return rows, border{next, position}, nil
		}
		rows.Close() // a chunk came between
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, border{}, err
		}
	}
}

// flushFrom is the first change that the next commit takes. A table begins where
// the log does; one that exists and ends before that cannot go on.
func (e *Engine) flushFrom(ctx context.Context, c *schema.Collection, base *lakehouse.Snapshot) (schema.Seq, error) {
	first, err := e.firstSeq(ctx, c.Instance)
	if err != nil || base == nil {
		return first, err
	}
	from := base.NextSeq()
	if from < first {
		return 0, fmt.Errorf("table ends before seq %d, its newest versions are lost: restore them, or remove the table to have it begin anew: %w", from, &TrimmedError{From: from, First: first})
	}
	return from, nil
}

// rowsOfIndex is the first commit of a keyed collection whose log is trimmed: the
// rows that the index has, which pass through in key order.
func (e *Engine) rowsOfIndex(ctx context.Context, c *schema.Collection) (*flushBatch, error) {
	pinned, end, err := e.pinRows(ctx, c.Instance)
	if err != nil {
		return nil, err
	}
	b := &flushBatch{to: end, since: c.Created, close: pinned.Close}
	// As in flushGoal: places are recorded below what is applied, and no row is of
	// a newer schema than the commit's.
	if err = e.waitApplied(ctx, end.position); err == nil {
		b.as, err = e.catalog.ByInstance(ctx, c.Instance)
	}
	if err != nil {
		pinned.Close()
		return nil, err
	}
	b.rows = func(yield func(lakehouse.Row, error) bool) {
		reader := newRowReader(e.catalog, b.as.Schema)
		b.written = b.written[:0]
		err := pinned.Rows(ctx, func(key []byte, row kvindex.Row) (bool, error) {
			values, err := reader.decode(ctx, row.Bytes)
			if err != nil {
				return false, fmt.Errorf("row at seq %d: %w", row.Seq, err)
			}
			b.written = append(b.written, append([]byte(nil), key...))
			return yield(lakehouse.Row{Values: values, Seq: row.Seq, TimeMicros: row.TimeMicros}, nil), nil
		})
		if err != nil {
			yield(lakehouse.Row{}, err)
		}
	}
	return b, nil
}
