package sync

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// flushBatch is one commit's worth of changes.
type flushBatch struct {
	as      *schema.Collection // as which it is committed
	to      border
	since   time.Time // log's time of the oldest change; zero if there is none
	rows    iter.Seq2[lakehouse.Row, error]
	deletes map[uint32][]uint32 // rows of the base that are superseded or deleted
	written [][]byte            // keyed: the keys of rows, in the order of rows
	gone    [][]byte            // keyed: keys that no longer have a row
	close   func()              // lets go of what rows come from
}

func (e *Engine) prepareFlush(ctx context.Context, c *schema.Collection, base *lakehouse.Snapshot, goal border) (*flushBatch, error) {
	from, err := e.flushFrom(ctx, c, base)
	if err != nil {
		return nil, err
	}
	if from > 0 && base == nil && c.Schema.Keyed() {
		return e.rowsOfIndex(ctx, c)
	}
	b := &flushBatch{as: c, close: func() {}}
	if b.to, b.since, err = e.stretch(ctx, c, from, goal); err != nil {
		return nil, err
	}
	if !c.Schema.Keyed() {
		b.rows = e.appendRows(ctx, c, from, b.to.next)
		return b, nil
	}
	f, err := e.foldChanges(ctx, c.Instance, from, b.to.next, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	b.written = make([][]byte, 0, len(f.rows))
	for i := range f.rows {
		if l := &f.rows[i]; l.deleted {
			b.gone = append(b.gone, l.key)
		} else {
			b.written = append(b.written, l.key)
		}
	}
	b.rows = e.foldedRows(ctx, c, f)
	if base != nil {
		b.deletes, err = e.locate(ctx, c, base, f.keys(), nil)
	}
	return b, err
}

// appendOnlyShare is how many times FoldBytes one commit takes of a collection
// that is not folded: its rows pass through, so that the bound is for the time
// that others wait, and for what is done again after a crash.
const appendOnlyShare = 8

// stretch says how far from goal the next commit goes, at most about FoldBytes,
// and the log's time of its first change, zero if there is none. It ends where
// a chunk's group does: a batch lies within one, so that no version of a table
// holds a part of a batch.
func (e *Engine) stretch(ctx context.Context, c *schema.Collection, from schema.Seq, goal border) (border, time.Time, error) {
	to, since := goal, time.Time{}
	if from >= goal.next {
		to.next = from
		return to, since, nil
	}
	limit := e.opts.FoldBytes
	if !c.Schema.Keyed() {
		limit *= appendOnlyShare
	}
	s := stretch{limit: limit, goal: goal.next}
	next, err := e.stretchSegments(ctx, c.Instance, from, &s)
	if err == nil && !s.full {
		err = e.index.Groups(ctx, c.Instance, next, func(g kvindex.GroupRef) (bool, error) {
			return s.add(border{g.NextSeq(), g.Position}, g.TimeMicros, g.Bytes, g.Count), nil
		})
	}
	if err != nil {
		return to, since, fmt.Errorf("measure the changes from seq %d: %w", from, err)
	}
	if s.full {
		to = s.to
	}
	return to, s.since, nil
}

// appendRows streams the changes of an append-only collection.
func (e *Engine) appendRows(ctx context.Context, c *schema.Collection, from, to schema.Seq) iter.Seq2[lakehouse.Row, error] {
	return func(yield func(lakehouse.Row, error) bool) {
		reader, open := newRowReader(e.catalog, c.Schema), true
		next, err := e.changes(ctx, c.Instance, from, to, func(ch schema.Change) (bool, error) {
			values, err := reader.decode(ctx, ch.Row)
			if err != nil {
				return false, fmt.Errorf("row at seq %d: %w", ch.Seq, err)
			}
			open = yield(lakehouse.Row{Values: values, Seq: ch.Seq, TimeMicros: ch.TimeMicros}, nil)
			return open, nil
		})
		if !open {
			return
		}
		if err == nil && next < to {
			err = fmt.Errorf("log of %s ends at seq %d, want %d: %w", c, next, to, schema.ErrCorrupt)
		}
		if err != nil {
			yield(lakehouse.Row{}, err)
		}
	}
}

// foldedRows yields the rows that a fold leaves.
func (e *Engine) foldedRows(ctx context.Context, c *schema.Collection, f *fold) iter.Seq2[lakehouse.Row, error] {
	return func(yield func(lakehouse.Row, error) bool) {
		reader := newRowReader(e.catalog, c.Schema)
		for i := range f.rows {
			l := &f.rows[i]
			if l.deleted {
				continue
			}
			values, err := reader.decode(ctx, l.row)
			if err != nil {
				yield(lakehouse.Row{}, fmt.Errorf("row at seq %d: %w", l.seq, err))
				return
			}
			if !yield(lakehouse.Row{Values: values, Seq: l.seq, TimeMicros: l.micros}, nil) {
				return
			}
		}
	}
}

// locate finds where snap holds the rows of keys: rows by file, sorted. Places
// in files that the table has let go are stale and mean no row. fw may be nil.
func (e *Engine) locate(ctx context.Context, c *schema.Collection, snap *lakehouse.Snapshot, keys [][]byte, fw *forward) (map[uint32][]uint32, error) {
	live := map[uint32]bool{}
	for _, f := range snap.Files() {
		live[f.Ordinal] = true
	}
	places := map[uint32][]uint32{}
	err := e.index.Locate(ctx, c.Instance, keys, func(_ int, loc kvindex.Location, ok bool) {
		if loc = fw.place(loc); ok && live[loc.File] {
			places[loc.File] = append(places[loc.File], loc.Row)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("locate rows in the lake: %w", err)
	}
	for _, rows := range places {
		slices.Sort(rows)
	}
	return places, nil
}

// placed pairs keys with their rows' places: rows went to the written files in the
// order of the keys, or as the files tell.
func placed(keys [][]byte, files []lakehouse.Written) iter.Seq2[[]byte, kvindex.Location] {
	return func(yield func([]byte, kvindex.Location) bool) {
		if len(keys) == 0 {
			return
		}
		i := 0
		for _, f := range files {
			for row := range f.Rows {
				key := keys[i]
				if f.Order != nil {
					key = keys[f.Order[row]]
				}
				if !yield(key, kvindex.Location{File: f.File, Row: uint32(row)}) {
					return
				}
				i++
			}
		}
	}
}
