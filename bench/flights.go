package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/trinedb/trine/schema"
)

// flightFields are the table of the workloads that read and flush: ten columns
// as flights have them, and one that a hundredth of the rows share a value of.
const flightFields = `{fields: [
  {name: id, type: long, required: true},
  {name: carrier, type: string}, {name: number, type: int},
  {name: origin, type: string}, {name: dest, type: string},
  {name: departure, type: timestamptz}, {name: delay, type: double},
  {name: distance, type: long}, {name: tail, type: string},
  {name: cancelled, type: boolean}, {name: bucket, type: int}],
  key: [id], options: {lake_freshness: 24h, log_retention: forever}}`

// Columns of flights that workloads name.
const (
	delayColumn  = 6
	bucketColumn = 10
	buckets      = 100 // values of bucket, all alike in number
	wantedBucket = 7
)

// flight is a row as parquet-go takes it.
type flight struct {
	ID        int64     `parquet:"id"`
	Carrier   *string   `parquet:"carrier,optional,dict"`
	Number    *int32    `parquet:"number,optional,dict"`
	Origin    *string   `parquet:"origin,optional,dict"`
	Dest      *string   `parquet:"dest,optional,dict"`
	Departure *int64    `parquet:"departure,optional,timestamp(microsecond)"`
	Delay     *float64  `parquet:"delay,optional"`
	Distance  *int64    `parquet:"distance,optional,dict"`
	Tail      *string   `parquet:"tail,optional,dict"`
	Cancelled *bool     `parquet:"cancelled,optional"`
	Bucket    *int32    `parquet:"bucket,optional,dict"`
	Seq       int64     `parquet:"_seq"`
	Time      time.Time `parquet:"_time,timestamp(microsecond),dict"`
}

// flightTime is when all rows are said to be written.
var flightTime = time.UnixMicro(1_700_000_000_000_000)

// newFlight is row id; the same seed and id give the same.
func newFlight(seed uint64, id int) flight {
	r := rand.New(rand.NewPCG(seed, uint64(id)))
	carrier, number := fmt.Sprintf("C%d", r.IntN(14)), int32(r.IntN(6000))
	origin, dest := fmt.Sprintf("A%02d", r.IntN(300)), fmt.Sprintf("A%02d", r.IntN(300))
	departure, delay := 1_600_000_000_000_000+int64(id)*60_000_000, float64(r.IntN(2000)-100)/10
	distance, tail := int64(r.IntN(2500)), fmt.Sprintf("N%05d", r.IntN(5000))
	cancelled, bucket := r.IntN(50) == 0, int32(r.IntN(buckets))
	return flight{
		int64(id), &carrier, &number, &origin, &dest, &departure, &delay, &distance, &tail, &cancelled, &bucket,
		int64(id), flightTime,
	}
}

// values is the row as the stores take it.
func (f *flight) values() []schema.Value {
	return []schema.Value{
		schema.Int(f.ID), schema.String(*f.Carrier), schema.Int(int64(*f.Number)), schema.String(*f.Origin),
		schema.String(*f.Dest), schema.Int(*f.Departure), schema.Float(*f.Delay), schema.Int(*f.Distance),
		schema.String(*f.Tail), schema.Bool(*f.Cancelled), schema.Int(int64(*f.Bucket)),
	}
}

// flightRows are rows from on, count of them.
func flightRows(seed uint64, from, count int) []flight {
	rows := make([]flight, count)
	for i := range rows {
		rows[i] = newFlight(seed, from+i)
	}
	return rows
}

// arrowStream is rows as a client sends them.
func arrowStream(s *schema.Schema, rows []flight) ([]byte, error) {
	builder := schema.NewArrowBuilder(memory.DefaultAllocator, s, nil, false)
	defer builder.Release()
	for i := range rows {
		builder.Append(rows[i].values(), 0, 0)
	}
	batch := builder.NewRecordBatch()
	defer batch.Release()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(batch.Schema()))
	if err := w.Write(batch); err != nil {
		return nil, fmt.Errorf("encode rows: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode rows: %w", err)
	}
	return out.Bytes(), nil
}
