package kvindex

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Bounds of one transaction. A much larger one could not be written whole; few
// records let the next one's lookups go on beside its commit.
const (
	maxBatchRecords = 512
	maxBatchOps     = 4096
	maxBatchBytes   = 4 << 20
)

// batchBytes is the bound for a memtable's size: Badger's own is 15% of it.
func (o Options) batchBytes() int { return int(min(maxBatchBytes, o.MemTableBytes/10)) }

// Apply brings durable chunks into Badger. Transactions take small chunks
// together, and several are needed for a large one. Chunks come in order; one at
// or below Applied is ignored, so replaying is safe, and after a restart a chunk
// that was applied in part goes on where it was left. When it returns nil, Applied
// is at the last one. Giving it several is quicker: the lookups for one go on
// beside the commit of the one before.
//
// After ErrNoSpace or the end of ctx it may be called again with the same
// chunks. After any other error of the database nothing is applied any more
// until the index is opened again; reading goes on.
func (x *Index) Apply(ctx context.Context, chunks ...*schema.Chunk) error {
	if err := x.gate.enter(); err != nil {
		return err
	}
	defer x.gate.leave()
	x.writing.Lock()
	defer x.writing.Unlock()
	for len(chunks) > 0 && chunks[0].Position.Compare(x.progress.applied) <= 0 {
		chunks = chunks[1:]
	}
	if len(chunks) == 0 {
		return nil
	}
	if x.failed != nil {
		return fmt.Errorf("apply chunk %s: %w", chunks[0].Position, x.failed)
	}
	a := newApplier(x)
	err := a.run(ctx, chunks)
	if werr := a.wait(); err == nil && werr != nil {
		err = fmt.Errorf("apply chunks through %s: %w", a.applied, werr)
	}
	if err != nil {
		x.unlearn()
		x.NoteDamage(err)
	}
	return err
}

// unlearn forgets what batches would have left that may not have been committed.
func (x *Index) unlearn() {
	x.tallies.clear()
	x.rows.clear()
}

// applier brings chunks into the engine. A unit is a record or an answer.
// While one batch is being committed it builds the next.
type applier struct {
	x       *Index
	applied schema.Position // the last chunk that is wholly in batches

	c     *schema.Chunk // at hand
	loads bool          // from segments, where a definition comes before older rows
	skip  int           // units of it that are in already
	unit  int           // units of it looked at, skipped ones included

	batch, spare *batch // the one in hand, and the one in flight
	records      int    // in the batch
	ahead        *lookahead
	alone        aheadRow // of a record that was not looked up ahead
	buf          []byte

	sets     map[schema.Instance]*secondaries // that the chunks change
	was, now entryReader

	pending chan committed // of the batch in flight; nil: none
}

// newApplier makes an applier with nothing in hand. x.writing is held.
func newApplier(x *Index) *applier {
	a := &applier{
		x: x, applied: x.progress.applied,
		batch: &x.batches[0], spare: &x.batches[1], ahead: &x.ahead,
	}
	a.batch.reset()
	a.spare.reset()
	a.was.catalog, a.now.catalog = x.opts.Catalog, x.opts.Catalog
	return a
}

func (a *applier) run(ctx context.Context, chunks []*schema.Chunk) error {
	for i, c := range chunks {
		if err := a.chunk(ctx, c, i == len(chunks)-1); err != nil {
			return fmt.Errorf("apply chunk %s: %w", c.Position, err)
		}
	}
	return nil
}

// begin turns to a chunk, which may be in the engine in part.
func (a *applier) begin(c *schema.Chunk) error {
	if c.Position.Compare(a.applied) <= 0 {
		return fmt.Errorf("position %s comes before: %w", a.applied, schema.ErrInvalid)
	}
	a.c, a.skip, a.unit = c, 0, 0
	a.ahead.clear() // its units are of the chunk before
	if p := a.x.progress; !p.partial.IsZero() && p.applied == a.applied {
		if p.partial != c.Position {
			return fmt.Errorf("%s is applied in part: %w", p.partial, schema.ErrCorrupt)
		}
		a.skip = p.units
	}
	// Parts of an unpublished chunk would show before the whole.
	a.x.Publish(c)
	return nil
}

func (a *applier) chunk(ctx context.Context, c *schema.Chunk, last bool) error {
	if err := a.begin(c); err != nil {
		return err
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		if i > 0 && c.Groups[i-1].Instance >= g.Instance {
			return fmt.Errorf("groups out of order at instance %d: %w", g.Instance, schema.ErrCorrupt)
		}
		if a.skip >= a.unit+len(g.Records) {
			a.unit += len(g.Records)
			continue
		}
		if err := a.group(ctx, i); err != nil {
			return fmt.Errorf("instance %d: %w", g.Instance, err)
		}
	}
	for i := range c.Answers {
		if a.unit++; a.unit <= a.skip {
			continue
		}
		ans := &c.Answers[i]
		val := appendAnswer(nil, *ans, c.TimeMicros)
		a.batch.putExpiring(answerKey(ans.Key), val, c.TimeMicros/1e6+int64(AnswerTTL.Seconds()))
		if err := a.cut(ctx, 0, nil); err != nil {
			return err
		}
	}
	a.applied = c.Position
	// Less than half full it has room for a small chunk more, which then is not
	// split.
	if !last && a.records < maxBatchRecords/2 && len(a.batch.ops) < maxBatchOps/2 && a.batch.bytes < a.x.opts.batchBytes()/2 {
		return nil
	}
	return a.commit(ctx, progress{applied: c.Position})
}

// group takes the units of one collection, by its place in the chunk.
func (a *applier) group(ctx context.Context, at int) error {
	g := &a.c.Groups[at]
	first := max(0, a.skip-a.unit)
	t, known := a.x.tallies.get(g.Instance)
	var err error
	if !known {
		if t, known, err = a.x.tally(g.Instance); err != nil {
			return err
		}
	}
	if !known {
		gone, err := a.x.wasDropped(g.Instance)
		if err != nil || gone {
			a.unit += len(g.Records)
			return err
		}
	}
	if want := g.FirstSeq + schema.Seq(first); t.nextSeq != want && (known || first > 0) {
		return fmt.Errorf("next seq is %d, the chunk goes on at %d: %w", t.nextSeq, want, schema.ErrCorrupt)
	}
	a.unit += first
	if first == 0 {
		a.openGroup(g, &t)
	}
	if t.rows == 0 && len(g.Records) > 0 && len(g.Records[0].Key) > 0 {
		a.x.rows.begin(g.Instance)
	}
	was := t
	a.dated(&t)
	set, err := a.secondaries(g.Instance)
	if err != nil {
		return err
	}
	for i := first; i < len(g.Records); i++ {
		r := &g.Records[i]
		if err := a.cut(ctx, len(r.Key)+len(r.Row), func() { a.putTally(g.Instance, was, t) }); err != nil {
			return err
		}
		if a.ahead.find(a.unit) == nil && len(r.Key) > 0 {
			if err := a.lookAhead(at, i); err != nil {
				return err
			}
		}
		if set, err = a.record(g.Instance, g.FirstSeq+schema.Seq(i), r, &t, set); err != nil {
			return err
		}
		a.unit++
		a.records++
	}
	a.putTally(g.Instance, was, t)
	return nil
}

// dated tells since when there are changes that the lake does not hold.
func (a *applier) dated(t *tally) {
	if t.tailSince == 0 {
		t.tailSince = a.c.TimeMicros
	}
}

// openGroup turns to a new group, whose pointer the stats will have.
func (a *applier) openGroup(g *schema.Group, t *tally) {
	t.nextSeq = g.FirstSeq // a log that was trimmed begins above 0
	ref := GroupRef{FirstSeq: g.FirstSeq, Count: len(g.Records), Position: a.c.Position, TimeMicros: a.c.TimeMicros}
	for i := range g.Records {
		ref.Bytes += int64(g.Records[i].Bytes())
	}
	a.x.retire(a.batch, g.Instance, t.last)
	t.last = lastGroup{GroupRef: ref, before: t.logBytes}
}

// record takes one change. It gives the collection's secondary indexes back,
// of which the row may make one fail.
func (a *applier) record(inst schema.Instance, seq schema.Seq, r *schema.Record, t *tally, set *secondaries) (*secondaries, error) {
	if len(r.Key) > MaxKeyBytes || len(r.Row) > MaxRowBytes {
		return nil, fmt.Errorf("seq %d: key of %d bytes, row of %d: %w", seq, len(r.Key), len(r.Row), schema.ErrTooLarge)
	}
	size := int64(len(r.Key) + len(r.Row))
	t.nextSeq = seq + 1
	t.logBytes += int64(r.Bytes())
	if len(r.Key) == 0 {
		t.rows++
		t.bytes += size
		return set, nil
	}
	if inst == schema.InstanceCollections {
		if err := a.define(r); err != nil {
			return nil, err
		}
	}
	row, err := a.row(inst, r.Key)
	if err != nil {
		return nil, err
	}
	key, old := row.key, row.state
	if set, err = a.reindex(inst, set, r, old); err != nil {
		return nil, fmt.Errorf("seq %d: %w", seq, err)
	}
	if old.exists {
		t.rows--
		t.bytes -= int64(len(r.Key) + old.length)
		for i := range old.parts {
			a.batch.delete(appendPartKey(a.batch.alloc(partKeyLen), inst, old.seq, i))
		}
	}
	if r.Op == schema.OpDelete {
		if old.exists {
			a.batch.delete(key)
		}
		a.see(inst, row, rowState{})
		return set, nil
	}
	t.rows++
	t.bytes += size
	parts := a.putRow(inst, key, Row{Seq: seq, TimeMicros: a.c.TimeMicros, Bytes: r.Row})
	a.see(inst, row, rowState{exists: true, length: len(r.Row), seq: seq, parts: parts, row: r.Row})
	return set, nil
}

// putRow writes a row, a long one in parts, and says in how many.
func (a *applier) putRow(inst schema.Instance, key []byte, r Row) (parts int) {
	if len(r.Bytes) <= partBytes {
		a.batch.put(key, appendRow(a.batch.alloc(rowHeaderMax+len(r.Bytes)), r))
		return 0
	}
	for rest := r.Bytes; len(rest) > 0; parts++ {
		n := min(partBytes, len(rest))
		a.batch.put(appendPartKey(a.batch.alloc(partKeyLen), inst, r.Seq, parts), rest[:n])
		rest = rest[n:]
	}
	a.batch.put(key, appendPartedRow(a.batch.alloc(rowHeaderMax), r, parts))
	return parts
}

// putTally writes a collection's stats, and marks it as dirty if it was not when
// it had the stats was.
func (a *applier) putTally(inst schema.Instance, was, t tally) {
	a.x.tallies.put(inst, t)
	if inst >= schema.FirstUserInstance && t.dirty(a.x.opts.DirtyBytes) && !was.dirty(a.x.opts.DirtyBytes) {
		a.batch.put(instanceKey(spaceDirty, inst), nil)
	}
	key := appendPrefix(a.batch.alloc(prefixLen), spaceStats, inst)
	a.batch.put(key, appendTally(a.batch.alloc(tallyMax), t))
}

// cut commits the batch if it is full, or would be by more bytes; finish adds
// what must be in it first.
func (a *applier) cut(ctx context.Context, more int, finish func()) error {
	if len(a.batch.ops) == 0 || len(a.batch.ops) < maxBatchOps && a.records < maxBatchRecords && a.batch.bytes+more < a.x.opts.batchBytes() {
		return nil
	}
	if finish != nil {
		finish()
	}
	return a.commit(ctx, progress{applied: a.applied, partial: a.c.Position, units: a.unit})
}

// commit sends the batch off and turns to the next, once the one before is in.
func (a *applier) commit(ctx context.Context, p progress) error {
	if err := a.wait(); err != nil {
		return err
	}
	if err := a.x.gate.alive(ctx); err != nil {
		return err
	}
	if err := a.x.checkSpace(applyPercent); err != nil {
		return err
	}
	a.batch.put(positionKey, appendProgress(nil, p))
	a.pending = a.x.commit(a.batch, p)
	a.batch, a.spare = a.spare, a.batch
	a.batch.reset()
	a.records = 0
	a.ahead.clear()
	return nil
}

// wait ends the commit in flight, if there is one.
func (a *applier) wait() error {
	if a.pending == nil {
		return nil
	}
	done := <-a.pending
	a.pending = nil
	return a.x.committed(done)
}
