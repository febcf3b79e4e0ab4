package schema_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// benchSchema is a usual flat row of five columns, keyed by a string.
func benchSchema() *schema.Schema {
	s := &schema.Schema{ID: 7, Key: []int{0}, Fields: fieldsOf(1,
		schema.Type{Kind: schema.KindString}, schema.Type{Kind: schema.KindLong}, schema.Type{Kind: schema.KindDouble},
		schema.Type{Kind: schema.KindTimestamptz}, schema.Type{Kind: schema.KindString})}
	s.Fields[0].Required = true
	return s
}

func benchRow() []schema.Value {
	return []schema.Value{schema.String("flight-0012345"), schema.Int(123456), schema.Float(47.45),
		schema.Int(1_700_000_000_000_000), schema.String("Seattle")}
}

func rowsPerSecond(b *testing.B, rows int) {
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
	b.ReportAllocs()
}

func BenchmarkAppendRow(b *testing.B) {
	s, row := benchSchema(), benchRow()
	var dst []byte
	for b.Loop() {
		dst = s.AppendRow(dst[:0], row)
	}
	rowsPerSecond(b, 1)
}

func BenchmarkCheckRow(b *testing.B) {
	s, row := benchSchema(), benchRow()
	for b.Loop() {
		if s.CheckRow(row) != nil {
			b.Fatal("not valid")
		}
	}
	rowsPerSecond(b, 1)
}

func BenchmarkRowDecode(b *testing.B) {
	s := benchSchema()
	narrow := &schema.Schema{ID: 8, Fields: []schema.Field{s.Fields[4], s.Fields[0]}}
	for name, to := range map[string]*schema.Schema{"same": s, "projected": narrow} {
		b.Run(name, func(b *testing.B) {
			enc, d := s.AppendRow(nil, benchRow()), schema.NewRowDecoder(s, to)
			var dst []schema.Value
			for b.Loop() {
				dst, _ = d.Decode(enc, dst)
			}
			rowsPerSecond(b, 1)
		})
	}
}

func BenchmarkAppendKey(b *testing.B) {
	s, row := benchSchema(), benchRow()
	var dst []byte
	for b.Loop() {
		dst = s.AppendKey(dst[:0], row)
	}
	rowsPerSecond(b, 1)
}

const benchRows = 4096

func benchBatch() arrow.RecordBatch {
	b := schema.NewArrowBuilder(memory.DefaultAllocator, benchSchema(), nil, false)
	defer b.Release()
	row := benchRow()
	for range benchRows {
		b.Append(row, 0, 0)
	}
	return b.NewRecordBatch()
}

func BenchmarkArrowBuilder(b *testing.B) {
	builder := schema.NewArrowBuilder(memory.DefaultAllocator, benchSchema(), nil, true)
	defer builder.Release()
	row := benchRow()
	for b.Loop() {
		for i := range benchRows {
			builder.Append(row, schema.Seq(i), 0)
		}
		builder.NewRecordBatch().Release()
	}
	rowsPerSecond(b, benchRows)
}

func BenchmarkArrowRows(b *testing.B) {
	batch := benchBatch()
	defer batch.Release()
	r, err := schema.NewArrowRows(benchSchema(), batch.Schema())
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		if err := r.Rows(batch, func(int, []schema.Value) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	rowsPerSecond(b, benchRows)
}
