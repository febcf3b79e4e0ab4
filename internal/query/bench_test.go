package query_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/internal/query"
	"github.com/trinedb/trine/schema"
)

// BenchmarkFilter and BenchmarkMatch: 65,536 rows of five columns, as flights
// has them.
var flights = &schema.Schema{ID: 1, Fields: []schema.Field{
	field(1, "date", kind(schema.KindTimestamp)), field(2, "delay", kind(schema.KindLong)),
	field(3, "distance", kind(schema.KindLong)), field(4, "origin", kind(schema.KindString)),
	field(5, "destination", kind(schema.KindString)),
}}

func flightRow(i int) []schema.Value {
	airports := []string{"SEA", "PDX", "SFO", "LAX", "JFK", "ORD", "ATL"}
	return []schema.Value{
		schema.Int(979_461_000_000_000 + int64(i)*60_000_000), schema.Int(int64(i*7919%120 - 20)), schema.Int(int64(i * 31 % 2500)),
		schema.String(airports[i%7]), schema.String(airports[i*3%7]),
	}
}

var benchWheres = map[string]string{
	"int":    "delay > 30",
	"string": "origin = 'SEA'",
	"in":     "origin in ('SEA','PDX')",
	"like":   "origin like 'S%'",
	"and":    "delay > 30 and distance < 500 and origin = 'SEA'",
	"or":     "delay > 90 or distance < 100 or origin = 'SEA'",
}

func BenchmarkFilter(b *testing.B) {
	const rows = 65536
	builder := schema.NewArrowBuilder(memory.DefaultAllocator, flights, nil, false)
	for i := range rows {
		builder.Append(flightRow(i), 0, 0)
	}
	batch := builder.NewRecordBatch()
	keep := make([]bool, rows)
	for name, where := range benchWheres {
		b.Run(name, func(b *testing.B) {
			p, err := query.ParseWhere(where, flights)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				for i := range keep {
					keep[i] = true
				}
				p.Filter(batch, keep)
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	for name, where := range benchWheres {
		b.Run(name, func(b *testing.B) {
			p, err := query.ParseWhere(where, flights)
			if err != nil {
				b.Fatal(err)
			}
			rows := make([][]schema.Value, 1024)
			for i := range rows {
				rows[i] = flightRow(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Match(rows[i%1024], 0, 0)
			}
		})
	}
}

func BenchmarkParseWhere(b *testing.B) {
	for b.Loop() {
		if _, err := query.ParseWhere("delay > 30 and origin in ('SEA','PDX') and destination like 'S%'", flights); err != nil {
			b.Fatal(err)
		}
	}
}
