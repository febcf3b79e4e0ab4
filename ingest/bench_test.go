package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/schema"
)

// noLog takes every batch.
type noLog struct{}

func (noLog) Append(_ context.Context, b ingest.Batch) (ingest.Ack, error) {
	return ingest.Ack{Groups: []ingest.AckGroup{{Instance: b.Groups[0].Instance, Count: len(b.Groups[0].Records)}}}, nil
}

// BenchmarkWrite decodes, validates and encodes 10,000 flights of five columns,
// without a log.
func BenchmarkWrite(b *testing.B) {
	const rows = 10_000
	bodies := flightBodies(b, rows)
	keyed := flights()
	keyed.Name, keyed.Instance = "keyed", 18
	s := *keyed.Schema
	s.Key = []int{0, 3}
	s.Fields = append([]schema.Field(nil), s.Fields...)
	s.Fields[0].Required, s.Fields[3].Required = true, true
	keyed.Schema = &s
	store := newStore(flights(), keyed)
	for _, bench := range []struct{ name, collection, format, key string }{
		{"ndjson", "flights", ndjson, ""}, {"json", "flights", asJSON, ""}, {"csv", "flights", asCSV, ""}, {"arrow", "flights", arrows, ""},
		{"arrow keyed", "keyed", arrows, ""}, {"arrow idempotent", "flights", arrows, "k"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w := newWriter(b, store, func(o *ingest.Options) { o.Log = noLog{} })
			body := bodies[bench.format]
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r := ingest.Request{Tenant: "acme", Collection: bench.collection, Format: bench.format,
					Body: bytes.NewReader(body), Size: int64(len(body)), IdempotencyKey: bench.key}
				if res, err := w.Write(b.Context(), r); err != nil || res.Count != rows {
					b.Fatal(res, err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func flightBodies(b *testing.B, rows int) map[string][]byte {
	airports := []string{"SEA", "PDX", "SFO", "LAX", "JFK", "ORD", "ATL"}
	var lines, array, table bytes.Buffer
	array.WriteString("[")
	table.WriteString("date,delay,distance,origin,destination\n")
	builder := schema.NewArrowBuilder(memory.DefaultAllocator, flights().Schema, nil, false)
	for i := range rows {
		row := []schema.Value{schema.Int(979_461_000_000_000 + int64(i)*60_000_000), schema.Int(int64(i*7919%120 - 20)), schema.Int(int64(i * 31 % 2500)),
			schema.String(airports[i%7]), schema.String(airports[i*3%7])}
		builder.Append(row, 0, 0)
		date := string(schema.AppendText(nil, kind(schema.KindTimestamp), row[0]))
		one, err := json.Marshal(map[string]any{"date": date, "delay": row[1].Int(), "distance": row[2].Int(),
			"origin": string(row[3].Bytes()), "destination": string(row[4].Bytes())})
		if err != nil {
			b.Fatal(err)
		}
		lines.Write(append(one, '\n'))
		if i > 0 {
			array.WriteString(",")
		}
		array.Write(one)
		fmt.Fprintf(&table, "%s,%d,%d,%s,%s\n", date, row[1].Int(), row[2].Int(), row[3].Bytes(), row[4].Bytes())
	}
	array.WriteString("]")
	return map[string][]byte{ndjson: lines.Bytes(), asJSON: array.Bytes(), asCSV: table.Bytes(),
		arrows: []byte(stream(b, []arrow.RecordBatch{builder.NewRecordBatch()}, []ipc.Option{}...))}
}
