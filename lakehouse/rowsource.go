package lakehouse

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/trinedb/trine/schema"
)

// sourceRows is how many rows of a source are decoded at a time, and sourceStep how
// many of them are made Rows: these take some 64 bytes a value, and those of all
// sources should stay in the processor's cache.
const (
	sourceRows = 4096
	sourceStep = 256
)

// rowSource is the live rows of one data file as Rows, of which one is at hand.
type rowSource struct {
	file   *tableFile
	next   func() (fileBatch, error, bool)
	stop   func()
	reader *schema.ArrowRows
	schema *schema.Schema
	layout *rowLayout // of where the rows go
	// lineage says that rows bear theirs to where they go.
	lineage bool

	batch arrow.RecordBatch // decoded
	place []uint32          // of its rows, in the file
	taken int               // rows of batch that were made Rows
	rows  []Row             // the last of these
	slab  []schema.Value    // their values
	at    int               // the row at hand, of rows
	key   []byte            // its place in the layout's order
	// moved is where each row of the file went: its place among all rows written,
	// or gone.
	moved []uint32
}

// gone marks a row that was deleted before the rewrite began.
const gone = math.MaxUint32

// fileBatch is a batch of live rows and their places in the file.
type fileBatch struct {
	rows  []uint32
	batch arrow.RecordBatch
}

// openSource begins to read the live rows of a file by the schema of a layout.
func (s *Snapshot) openSource(ctx context.Context, f *tableFile, layout *rowLayout) (*rowSource, error) {
	sch := layout.schema
	opts := &ReadOptions{Schema: sch, System: true, BatchRows: sourceRows, lineage: s.FormatVersion() >= vectorsVersion}
	if err := opts.validate(); err != nil {
		return nil, err
	}
	reader, err := schema.NewArrowRows(sch, sch.Arrow(nil, false))
	if err != nil {
		return nil, fmt.Errorf("read rows of %s: %w", f.data.file.FilePath(), err)
	}
	src := &rowSource{file: f, reader: reader, schema: sch, layout: layout, lineage: opts.lineage, moved: make([]uint32, f.rows())}
	for i := range src.moved {
		src.moved[i] = gone
	}
	src.next, src.stop = iter.Pull2(func(yield func(fileBatch, error) bool) {
		err := s.lake.decode(ctx, []*tableFile{f}, opts, true, func(_ *tableFile, rows []uint32, batch arrow.RecordBatch) error {
			if !yield(fileBatch{rows, batch}, nil) {
				return context.Canceled
			}
			return nil
		})
		if err != nil {
			yield(fileBatch{}, err)
		}
	})
	return src, nil
}

// close gives up what is left.
func (r *rowSource) close() {
	r.release()
	r.stop()
	r.rows, r.slab, r.place, r.reader = nil, nil, nil, nil
}

func (r *rowSource) release() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}

// advance puts the next row at hand, and reports whether there is one.
func (r *rowSource) advance() (bool, error) {
	r.at++
	for r.at >= len(r.rows) {
		if r.batch == nil || r.taken == int(r.batch.NumRows()) {
			if ok, err := r.nextBatch(); err != nil || !ok {
				return false, err
			}
		}
		if err := r.load(); err != nil {
			return false, fmt.Errorf("read %s: %w", r.file.data.file.FilePath(), err)
		}
	}
	r.key = r.layout.appendOrder(r.key[:0], &r.rows[r.at])
	return true, nil
}

// nextBatch decodes some rows.
func (r *rowSource) nextBatch() (bool, error) {
	r.release()
	b, err, ok := r.next()
	if err != nil || !ok {
		return false, err
	}
	b.batch.Retain() // values of rows point into it
	r.batch, r.taken = b.batch, 0
	r.place = append(r.place[:0], b.rows...)
	return true, nil
}

// load makes Rows of the next part of the batch.
func (r *rowSource) load() error {
	to := min(r.taken+sourceStep, int(r.batch.NumRows()))
	part := r.batch.NewSlice(int64(r.taken), int64(to))
	defer part.Release()
	r.rows, r.slab, r.at, r.taken = r.rows[:0], r.slab[:0], 0, to
	user := len(r.schema.Fields)
	seqs, ok1 := part.Column(user).(*array.Int64)
	times, ok2 := part.Column(user + 1).(*array.Timestamp)
	if !ok1 || !ok2 {
		return fmt.Errorf("system columns are a %s and a %s: %w", part.Column(user).DataType(), part.Column(user+1).DataType(), schema.ErrCorrupt)
	}
	if seqs.NullN()+times.NullN() > 0 {
		return fmt.Errorf("rows without a seq or time, of which its manifest says nothing: %w", schema.ErrCorrupt)
	}
	traced, err := r.traced(part, user+len(systemFields))
	if err != nil {
		return err
	}
	if need := user * sourceStep; cap(r.slab) < need {
		r.slab = make([]schema.Value, 0, need)
	}
	fields := arrow.NewSchema(part.Schema().Fields()[:user], nil)
	columns := array.NewRecordBatch(fields, part.Columns()[:user], part.NumRows())
	defer columns.Release()
	return r.reader.Rows(columns, func(i int, values []schema.Value) error {
		from := len(r.slab)
		r.slab = append(r.slab, values...)
		r.rows = append(r.rows, Row{
			Values: r.slab[from:len(r.slab):len(r.slab)], Seq: schema.Seq(seqs.Value(i)), TimeMicros: int64(times.Value(i)),
			lineage: traced(i),
		})
		return nil
	})
}

// traced gives the lineage of each row of a part of the batch, whose columns of it
// begin at from.
func (r *rowSource) traced(part arrow.RecordBatch, from int) (func(i int) lineage, error) {
	if !r.lineage {
		return func(int) lineage { return lineage{} }, nil
	}
	ids, ok1 := part.Column(from).(*array.Int64)
	updates, ok2 := part.Column(from + 1).(*array.Int64)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("columns of row lineage are a %s and a %s: %w", part.Column(from).DataType(), part.Column(from+1).DataType(), schema.ErrCorrupt)
	}
	begin := r.taken - int(part.NumRows())
	return func(i int) lineage {
		var own lineage
		if ids.IsValid(i) {
			own.id = schema.Int(ids.Value(i))
		}
		if updates.IsValid(i) {
			own.updated = schema.Int(updates.Value(i))
		}
		return own.or(r.file.data.inherited(r.place[begin+i]))
	}, nil
}

// row is the row at hand, and its place in the file.
func (r *rowSource) row() (Row, uint32) {
	return r.rows[r.at], r.place[r.taken-len(r.rows)+r.at]
}

// before orders the rows at hand.
func (r *rowSource) before(o *rowSource) bool { return bytes.Compare(r.key, o.key) < 0 }

// merger gives the rows of several sources in order: a heap of those that have a
// row at hand.
type merger struct {
	heap []*rowSource
}

func newMerger(sources []*rowSource) (*merger, error) {
	m := &merger{}
	for _, s := range sources {
		s.at = -1
		ok, err := s.advance()
		if err != nil {
			return nil, err
		}
		if ok {
			m.heap = append(m.heap, s)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

// first is the source that has the first row at hand, nil at the end.
func (m *merger) first() *rowSource {
	if len(m.heap) == 0 {
		return nil
	}
	return m.heap[0]
}

// pop goes on to the next row.
func (m *merger) pop() error {
	ok, err := m.heap[0].advance()
	if err != nil {
		return err
	}
	if !ok {
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap = m.heap[:last]
	}
	if len(m.heap) > 1 {
		m.sink(0)
	}
	return nil
}

func (m *merger) sink(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(m.heap); c++ {
			if m.heap[c].before(m.heap[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}
