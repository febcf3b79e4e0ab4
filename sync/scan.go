package sync

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// scanBatchRows is the most rows of a batch. scanBatchBytes closes one of long rows
// before that: a scan holds two, and as much again for decoding.
const (
	scanBatchRows  = 65_536
	scanBatchBytes = 768 << 10
)

// Scan is a collection as of one position, as a stream of Arrow batches.
type Scan struct {
	Schema     *arrow.Schema
	Position   schema.Position
	SnapshotID int64 // 0: nothing was read from the lake
	// Batches yields each batch once; it is the caller's until the next. After
	// an error nothing follows.
	Batches iter.Seq2[arrow.RecordBatch, error]
	// Place is where the batch that was yielded last begins.
	Place func() query.ScanPlace
	// State is what the scan reads, to be read again; nil if it cannot be.
	State *query.ScanState
	// Close lets go of what the scan reads, as the end of Batches does. It may be
	// called twice.
	Close func()
}

// Scan pins what req asks for and answers its stream; unknown columns, a bad
// predicate or an unknown snapshot fail here, before anything is read.
func (e *Engine) Scan(ctx context.Context, c *schema.Collection, req query.Scan) (*Scan, error) {
	plan, err := planScan(c, req)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", c, err)
	}
	p, err := e.pinScan(ctx, c, req)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", c, err)
	}
	e.metrics.scans.Inc()
	s := &Scan{Schema: plan.out, Position: p.position, Close: p.unpin}
	if p.snap != nil {
		s.SnapshotID = p.snap.ID()
	}
	s.State = p.state()
	at := newScanCursor(req.Resume)
	s.Place = func() query.ScanPlace { return at.place }
	s.Batches = limited(req.Limit, func(yield func(arrow.RecordBatch, error) bool) {
		defer p.unpin()
		if p.snap != nil && !at.part.Tail && !plan.lake(ctx, p, at, yield) {
			return
		}
		at.enter(query.ScanPlace{Tail: true})
		e.tailBatches(ctx, c, p, plan, at.through(yield))
	})
	return s, nil
}

// scanPlan says which columns are read, which go out, and what is kept.
type scanPlan struct {
	schema *schema.Schema
	read   []int // fields read, for the output or the predicate
	system bool  // _seq and _time are read too
	where  *query.Predicate
	out    *arrow.Schema
	pick   []int // columns of a read batch that go out, in order
}

func planScan(c *schema.Collection, req query.Scan) (*scanPlan, error) {
	where, err := query.ParseWhere(req.Where, c.Schema)
	if err != nil {
		return nil, err
	}
	cut := req.AtSeq != nil || req.Resume != nil && req.Resume.State.LakeTo != seqEnd
	p := &scanPlan{schema: c.Schema, where: where, system: cut || (where != nil && where.UsesSystem())}
	names := req.Columns
	if len(names) == 0 {
		for i := range c.Schema.Fields {
			names = append(names, c.Schema.Fields[i].Name)
		}
	}
	place := map[string]int{}
	for _, name := range names {
		if name == schema.SeqColumn || name == schema.TimeColumn {
			p.system = true
			continue
		}
		at := c.Schema.Index(name)
		if at < 0 {
			return nil, &schema.FieldError{Field: "columns", Value: name,
				Rule: fmt.Sprintf("no such column; %s has %s, %s and %s", c, fieldNames(c.Schema), schema.SeqColumn, schema.TimeColumn)}
		}
		p.addRead(place, at)
	}
	if where != nil {
		for _, at := range where.Columns() {
			p.addRead(place, at)
		}
	}
	full := c.Schema.Arrow(p.read, p.system)
	fields := make([]arrow.Field, len(names))
	for i, name := range names {
		at, ok := place[name]
		if !ok {
			at = full.FieldIndices(name)[0]
		}
		p.pick = append(p.pick, at)
		fields[i] = full.Field(at)
		if !ok && !c.Schema.Keyed() {
			fields[i].Nullable = true // a system column: what an SQL engine appended has none
		}
	}
	p.out = arrow.NewSchema(fields, nil)
	return p, nil
}

// addRead puts field at into what is read, once, and notes its column.
func (p *scanPlan) addRead(place map[string]int, at int) {
	name := p.schema.Fields[at].Name
	if _, ok := place[name]; !ok {
		place[name] = len(p.read)
		p.read = append(p.read, at)
	}
}

func fieldNames(s *schema.Schema) string {
	names := ""
	for i := range s.Fields {
		if i > 0 {
			names += ", "
		}
		names += s.Fields[i].Name
	}
	return names
}

// lake yields what the snapshot holds of the scan; false: the reader is done
// or the stream has failed.
func (p *scanPlan) lake(ctx context.Context, pin *scanPin, at *scanCursor, yield func(arrow.RecordBatch, error) bool) bool {
	batches := pin.snap.ReadFiles(ctx, lakehouse.ReadOptions{
		Schema: p.schema, Columns: p.read, System: p.system,
		Where: p.where, Hide: pin.hide, BatchRows: scanBatchRows, BatchBytes: scanBatchBytes, From: at.firstFile(),
	})
	yield = at.through(yield)
	for b, err := range batches {
		if err != nil {
			yield(nil, fmt.Errorf("read lake: %w", err))
			return false
		}
		at.enter(query.ScanPlace{File: b.File})
		out, err := p.filter(ctx, b.Batch, pin.lakeTo)
		if err != nil {
			yield(nil, err)
			return false
		}
		if out.NumRows() > 0 && !yield(out, nil) {
			return false
		}
	}
	return true
}

// tailBatches yields the changes that the snapshot lacks.
func (e *Engine) tailBatches(ctx context.Context, c *schema.Collection, pin *scanPin, p *scanPlan, yield func(arrow.RecordBatch, error) bool) {
	b := schema.NewArrowBuilder(memory.DefaultAllocator, p.schema, p.read, p.system)
	defer b.Release()
	open := true
	err := e.tailRows(ctx, c, pin, func(values []schema.Value, seq schema.Seq, micros int64) bool {
		if p.where != nil && !p.where.Match(values, seq, micros) {
			return true
		}
		b.Append(values, seq, micros)
		if b.Len() == scanBatchRows || b.Bytes() >= scanBatchBytes {
			open = yield(p.project(b.NewRecordBatch()), nil)
		}
		return open
	})
	switch {
	case !open:
	case err != nil:
		yield(nil, fmt.Errorf("read tail: %w", err))
	case b.Len() > 0:
		yield(p.project(b.NewRecordBatch()), nil)
	}
}

// tailRows calls fn for the rows of the tail until it answers false: those of
// an append-only collection in seq order, a keyed one's in key order.
func (e *Engine) tailRows(ctx context.Context, c *schema.Collection, pin *scanPin, fn func([]schema.Value, schema.Seq, int64) bool) error {
	reader := newRowReader(e.catalog, c.Schema)
	if pin.tail == nil {
		_, err := e.changes(ctx, c.Instance, pin.from, pin.to, func(ch schema.Change) (bool, error) {
			values, err := reader.decode(ctx, ch.Row)
			return err == nil && fn(values, ch.Seq, ch.TimeMicros), err
		})
		return err
	}
	for i := range pin.tail.rows {
		l := &pin.tail.rows[i]
		if l.deleted {
			continue
		}
		values, err := reader.decode(ctx, l.row)
		if err != nil {
			return err
		}
		if !fn(values, l.seq, l.micros) {
			return nil
		}
	}
	return nil
}

// limited cuts a stream after limit rows; 0 is no limit.
func limited(limit int64, batches iter.Seq2[arrow.RecordBatch, error]) iter.Seq2[arrow.RecordBatch, error] {
	if limit <= 0 {
		return batches
	}
	return func(yield func(arrow.RecordBatch, error) bool) {
		left := limit
		for batch, err := range batches {
			if err == nil && batch.NumRows() > left {
				batch = batch.NewSlice(0, left)
			}
			if !yield(batch, err) || err != nil {
				return
			}
			if left -= batch.NumRows(); left == 0 {
				return
			}
		}
	}
}
