package kvindex

import (
	"context"
	"fmt"
	"iter"

	"github.com/trinedb/trine/schema"
)

// LoadGroup is some of a collection's changes, which were committed at one time.
type LoadGroup struct {
	schema.Group
	TimeMicros int64
}

// Loading is the position of a Load that was cut short, and must be done again
// to that position; the zero Position if there is none. It can be that of a
// chunk, too, whose Apply was cut short.
func (x *Index) Loading() schema.Position {
	x.writing.Lock()
	defer x.writing.Unlock()
	return x.progress.partial
}

// LoadOptions say what a Load may do without.
type LoadOptions struct {
	// FirstSeq is the first change that a collection's log keeps. Some or all
	// before it may be missing. nil: none is.
	FirstSeq func(schema.Instance) schema.Seq
}

// Load brings the changes of all chunks after Applied up to a position into
// Badger at once, without their answers, and without pointers to the chunks, for
// they are gone. Groups are sorted by collection, then seq; a Load that was cut
// short is done again, and goes on where it was left, though fewer changes may
// come than did. When it returns nil, Applied is at the position. A group's bytes
// may change when the next one is asked for.
//
// Of an append-only collection that was trimmed the missing changes are counted. Of
// a keyed one they would be rows: that is schema.ErrTrimmed.
func (x *Index) Load(ctx context.Context, through schema.Position, groups iter.Seq2[LoadGroup, error], o LoadOptions) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	x.writing.Lock()
	defer x.writing.Unlock()
	if through.Compare(x.progress.applied) <= 0 {
		return nil
	}
	if err := x.loadAll(ctx, through, groups, o); err != nil {
		return fmt.Errorf("load up to %s: %w", through, err)
	}
	return nil
}

func (x *Index) loadAll(ctx context.Context, through schema.Position, groups iter.Seq2[LoadGroup, error], o LoadOptions) error {
	if x.failed != nil {
		return x.failed
	}
	a := newApplier(x)
	a.loads = true
	if err := a.begin(&schema.Chunk{Position: through}); err != nil {
		return err
	}
	l := &loader{applier: a, o: o}
	err := l.run(ctx, groups)
	if werr := a.wait(); err == nil {
		err = werr
	}
	if err != nil {
		x.unlearn()
	}
	return err
}

// loader brings collections into the engine, one after the other. A unit is a
// change; what is in already is known by each collection's next seq, for changes
// can be trimmed between one try and the next.
type loader struct {
	*applier
	o    LoadOptions
	inst schema.Instance // at hand
	was  tally           // its stats before the first change taken
	t    tally           // the same as of the last one
	open bool            // t is not in the batch
	set  *secondaries    // its indexes, as of then
	gone bool            // it was dropped: its changes are passed over
}

func (l *loader) run(ctx context.Context, groups iter.Seq2[LoadGroup, error]) error {
	for g, err := range groups {
		if err != nil {
			return err
		}
		if g.Instance < l.inst {
			return fmt.Errorf("instance %d after %d: %w", g.Instance, l.inst, schema.ErrCorrupt)
		}
		if err := l.group(ctx, &g); err != nil {
			return fmt.Errorf("instance %d: %w", g.Instance, err)
		}
	}
	l.close()
	return l.commit(ctx, progress{applied: l.c.Position})
}

// begin turns to a collection.
func (l *loader) begin(ctx context.Context, inst schema.Instance) (err error) {
	l.close()
	if l.inst < schema.FirstUserInstance && inst >= schema.FirstUserInstance {
		// Rows that are indexed are read by schemas that this Load brings.
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	l.inst, l.gone = inst, false
	known := false
	if l.t, known, err = l.x.tally(inst); err == nil && !known {
		l.gone, err = l.x.wasDropped(inst)
	}
	if l.was = l.t; l.t.rows == 0 { // of append-only ones it stays empty
		l.x.rows.begin(inst)
	}
	if err == nil {
		l.set, err = l.secondaries(inst)
	}
	return err
}

// flush has all that came until now readable.
func (l *loader) flush(ctx context.Context) error {
	if len(l.batch.ops) > 0 {
		if err := l.commit(ctx, progress{applied: l.applied, partial: l.c.Position, units: l.unit}); err != nil {
			return err
		}
	}
	return l.wait()
}

// close puts the stats of the collection at hand into the batch.
func (l *loader) close() {
	if l.open {
		l.putTally(l.inst, l.was, l.t)
		l.open = false
	}
}

func (l *loader) group(ctx context.Context, g *LoadGroup) (err error) {
	if g.Instance != l.inst {
		if err := l.begin(ctx, g.Instance); err != nil {
			return err
		}
	}
	if l.gone {
		return nil
	}
	if err := l.bridge(g); err != nil {
		return err
	}
	first := int(min(l.t.nextSeq-g.FirstSeq, schema.Seq(len(g.Records))))
	if first == len(g.Records) {
		return nil
	}
	l.c.TimeMicros = g.TimeMicros
	l.dated(&l.t)
	l.open = true
	for i := first; i < len(g.Records); i++ {
		r := &g.Records[i]
		if err = l.cut(ctx, len(r.Key)+len(r.Row), func() { l.putTally(l.inst, l.was, l.t) }); err != nil {
			return err
		}
		if l.set, err = l.record(g.Instance, g.FirstSeq+schema.Seq(i), r, &l.t, l.set); err != nil {
			return err
		}
		l.unit++
		l.records++
	}
	return nil
}

// bridge goes over the changes that are missing before a group, if they may be.
func (l *loader) bridge(g *LoadGroup) error {
	if g.FirstSeq <= l.t.nextSeq {
		return nil
	}
	var kept schema.Seq
	if l.o.FirstSeq != nil {
		kept = l.o.FirstSeq(g.Instance)
	}
	switch {
	case g.FirstSeq >= kept:
		return fmt.Errorf("next seq is %d, the segment goes on at %d: %w", l.t.nextSeq, g.FirstSeq, schema.ErrCorrupt)
	case len(g.Records) > 0 && len(g.Records[0].Key) > 0:
		return fmt.Errorf("rows of seqs %d to %d were trimmed from the log: restore a snapshot of the index: %w", l.t.nextSeq, g.FirstSeq-1, schema.ErrTrimmed)
	}
	// Each change of an append-only collection is a row, whose bytes nobody knows.
	l.t.rows += int64(g.FirstSeq - l.t.nextSeq)
	l.t.nextSeq = g.FirstSeq
	return nil
}
