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

// Load brings the changes of all chunks after Applied up to a position into
// Badger at once, without their answers, and without pointers to the chunks, for
// they are gone. Groups are sorted by collection, then seq, and are the same when
// a Load that was cut short is done again; it goes on where it was left. When it
// returns nil, Applied is at the position. A group's bytes may change when the
// next one is asked for.
func (x *Index) Load(ctx context.Context, through schema.Position, groups iter.Seq2[LoadGroup, error]) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	x.writing.Lock()
	defer x.writing.Unlock()
	if through.Compare(x.progress.applied) <= 0 {
		return nil
	}
	if err := x.loadAll(ctx, through, groups); err != nil {
		return fmt.Errorf("load up to %s: %w", through, err)
	}
	return nil
}

func (x *Index) loadAll(ctx context.Context, through schema.Position, groups iter.Seq2[LoadGroup, error]) error {
	if x.failed != nil {
		return x.failed
	}
	a := newApplier(x)
	a.loads = true
	if err := a.begin(&schema.Chunk{Position: through}); err != nil {
		return err
	}
	l := &loader{applier: a}
	err := l.run(ctx, groups)
	if werr := a.wait(); err == nil {
		err = werr
	}
	if err != nil {
		x.tallies.clear() // some may not have been committed
	}
	return err
}

// loader brings collections into the engine, one after the other. A unit is a
// change.
type loader struct {
	*applier
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
		if l.skip >= l.unit+len(g.Records) {
			l.unit += len(g.Records)
			continue
		}
		if err := l.group(ctx, &g); err != nil {
			return fmt.Errorf("instance %d: %w", g.Instance, err)
		}
	}
	l.close()
	return l.commit(ctx, progress{applied: l.c.Position})
}

// begin turns to a collection.
func (l *loader) begin(inst schema.Instance) (err error) {
	l.close()
	l.inst, l.gone = inst, false
	known := false
	if l.t, known, err = l.x.tally(inst); err == nil && !known {
		l.gone, err = l.x.wasDropped(inst)
	}
	l.was = l.t
	if err == nil {
		l.set, err = l.secondaries(inst)
	}
	return err
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
		if err := l.begin(g.Instance); err != nil {
			return err
		}
	}
	first := max(0, l.skip-l.unit)
	l.unit += first
	if l.gone {
		l.unit += len(g.Records) - first
		return nil
	}
	want := g.FirstSeq + schema.Seq(first)
	if l.t.nextSeq == 0 {
		l.t.nextSeq = want // a log that was trimmed begins above 0
	}
	if l.t.nextSeq != want {
		return fmt.Errorf("next seq is %d, the segment goes on at %d: %w", l.t.nextSeq, want, schema.ErrCorrupt)
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
