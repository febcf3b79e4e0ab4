package arrowhttp

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// arrowSink writes changes as an Arrow stream: the fields, all but the key
// nullable as a delete has no more, then _op, _before if the collection keeps
// before images, _seq and _time.
type arrowSink struct {
	out     *arrowStream
	builder *schema.ArrowBuilder
	images  bool
	row     []schema.Value
}

// Columns of a log in Arrow.
const (
	OpColumn     = "_op"     // the operation
	BeforeColumn = "_before" // a struct of the fields: the row before the change
)

func newArrowSink(w *response, c *schema.Collection, pos schema.Position, code coding) (*arrowSink, error) {
	images := c.Options.BeforeImages
	shape := logShape(c.Schema, images)
	b := schema.NewArrowBuilder(memory.DefaultAllocator, shape, nil, true)
	out, err := newArrowStream(w, withMetadata(b.Schema(), c, pos, 0), code)
	if err != nil {
		return nil, err
	}
	return &arrowSink{out: out, builder: b, images: images}, nil
}

// logShape is the schema of a log's rows in Arrow, system columns aside.
func logShape(s *schema.Schema, images bool) *schema.Schema {
	shape := &schema.Schema{ID: s.ID}
	for i, f := range s.Fields {
		f.Required = slices.Contains(s.Key, i)
		shape.Fields = append(shape.Fields, f)
	}
	shape.Fields = append(shape.Fields, schema.Field{
		ID: schema.TimeColumnID + 1, Name: OpColumn, Type: schema.Type{Kind: schema.KindString}, Required: true,
	})
	if images {
		before := schema.Type{Kind: schema.KindStruct, Fields: withoutIDs(shape.Fields[:len(s.Fields)])}
		shape.Fields = append(shape.Fields, schema.Field{ID: schema.TimeColumnID + 2, Name: BeforeColumn, Type: before})
	}
	return shape
}

// withoutIDs are fields that stand for others a second time: an id is told once.
func withoutIDs(fields []schema.Field) []schema.Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].ID = 0
		out[i].Type.Fields = withoutIDs(out[i].Type.Fields)
	}
	return out
}

func (s *arrowSink) add(ch schema.Change, row, before []schema.Value) {
	s.row = append(append(s.row[:0], row...), schema.String(ch.Op.String()))
	switch {
	case !s.images:
	case before == nil:
		s.row = append(s.row, schema.Null)
	default:
		s.row = append(s.row, schema.Elems(before))
	}
	s.builder.Append(s.row, ch.Seq, ch.TimeMicros)
}

// evolve keeps the shape that the stream began with.
func (s *arrowSink) evolve(*schema.Collection) bool { return false }

func (s *arrowSink) pending() (int, bool) {
	n := s.builder.Bytes()
	return max(n, s.builder.Len()), n >= maxBatchBytes || s.builder.Len() >= maxBatchRows
}

func (s *arrowSink) take() func() error {
	batch := s.builder.NewRecordBatch()
	return func() error {
		defer batch.Release()
		return s.out.write(batch)
	}
}

func (s *arrowSink) begin() error  { return s.out.begin() }
func (s *arrowSink) finish() error { return s.out.finish() }

// heartbeat sends a batch without rows.
func (s *arrowSink) heartbeat(asked bool) error {
	if !asked {
		return nil
	}
	return s.out.begin()
}

func (s *arrowSink) abort(p Problem) error { return s.out.abort(p) }
