package lakehouse_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	aparquet "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// The benchmark's table: ten columns as flights have them.
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
	Seq       int64     `parquet:"_seq"`
	Time      time.Time `parquet:"_time,timestamp(microsecond),dict"`
}

func flightSchema() *schema.Schema {
	s := &schema.Schema{ID: 1, Key: []int{0}}
	add := func(name string, k schema.Kind) {
		s.LastFieldID++
		s.Fields = append(s.Fields, schema.Field{ID: s.LastFieldID, Name: name, Type: kind(k), Required: s.LastFieldID == 1})
	}
	add("id", schema.KindLong)
	add("carrier", schema.KindString)
	add("number", schema.KindInt)
	add("origin", schema.KindString)
	add("dest", schema.KindString)
	add("departure", schema.KindTimestamptz)
	add("delay", schema.KindDouble)
	add("distance", schema.KindLong)
	add("tail", schema.KindString)
	add("cancelled", schema.KindBoolean)
	return s
}

func flights(n int) ([]flight, []lakehouse.Row) {
	r := rand.New(rand.NewPCG(1, 2))
	structs, rows := make([]flight, n), make([]lakehouse.Row, n)
	now := time.UnixMicro(1_700_000_000_000_000)
	for i := range n {
		carrier, number := fmt.Sprintf("C%d", r.IntN(14)), int32(r.IntN(6000))
		origin, dest := fmt.Sprintf("A%02d", r.IntN(300)), fmt.Sprintf("A%02d", r.IntN(300))
		departure, delay, distance := 1_600_000_000_000_000+int64(i)*60_000_000, float64(r.IntN(2000)-100)/10, int64(r.IntN(2500))
		tail, cancelled := fmt.Sprintf("N%05d", r.IntN(5000)), r.IntN(50) == 0
		structs[i] = flight{int64(i), &carrier, &number, &origin, &dest, &departure, &delay, &distance, &tail, &cancelled, int64(i), now}
		rows[i] = lakehouse.Row{Seq: schema.Seq(i), TimeMicros: now.UnixMicro(), Values: []schema.Value{
			schema.Int(int64(i)), schema.String(carrier), schema.Int(int64(number)), schema.String(origin), schema.String(dest),
			schema.Int(departure), schema.Float(delay), schema.Int(distance), schema.String(tail), schema.Bool(cancelled),
		}}
	}
	return structs, rows
}

const benchRows = 400_000

// BenchmarkFlush writes the same rows by a commit and by parquet-go alone; the
// ratio of their times is what the commit costs beyond the bytes.
func BenchmarkFlush(b *testing.B) {
	structs, rows := flights(benchRows)
	c := collection(flightSchema())
	var ours, bare time.Duration
	var size int64
	for b.Loop() {
		l, err := lakehouse.Open(lakehouse.Options{Objects: blob.NewMem(), BaseURI: "mem://lake"})
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		snap, _, err := l.Commit(context.Background(), lakehouse.Commit{Collection: c, NextSeq: benchRows, Rows: each(rows)})
		if err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		size = snap.Bytes()
		start = time.Now()
		var out bytes.Buffer
		w := parquet.NewGenericWriter[flight](&out, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
			parquet.DataPageVersion(1), parquet.MaxRowsPerRowGroup(lakehouse.DefaultRowGroupRows))
		for i := 0; i < len(structs); i += 1000 {
			if _, err := w.Write(structs[i : i+1000]); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(start)
	}
	b.ReportMetric(float64(b.N)*benchRows/ours.Seconds()/1e6, "Mrows/s")
	b.ReportMetric(float64(b.N)*benchRows/bare.Seconds()/1e6, "bare-Mrows/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "of-bare")
	b.ReportMetric(float64(size)/benchRows, "B/row")
}

// BenchmarkScan reads the same file by a snapshot and by pqarrow alone.
func BenchmarkScan(b *testing.B) {
	_, rows := flights(benchRows)
	c := collection(flightSchema())
	objects := blob.NewMem()
	l, err := lakehouse.Open(lakehouse.Options{Objects: objects, BaseURI: "mem://lake"})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	snap, _, err := l.Commit(ctx, lakehouse.Commit{Collection: c, NextSeq: benchRows, Rows: each(rows)})
	if err != nil {
		b.Fatal(err)
	}
	var gone []uint32
	for i := range uint32(benchRows / 10) {
		gone = append(gone, i*10+i%7)
	}
	deleted, _, err := l.Commit(ctx, lakehouse.Commit{Collection: c, Base: snap, NextSeq: benchRows, Deletes: map[uint32][]uint32{0: gone}})
	if err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		snap    *lakehouse.Snapshot
		columns []int
		system  bool
		leaves  []int
	}{
		{"all", snap, nil, true, nil}, {"two", snap, []int{0, 6}, false, []int{0, 6}}, {"deleted", deleted, nil, true, nil},
	} {
		b.Run(test.name, func(b *testing.B) {
			var ours, bare time.Duration
			for b.Loop() {
				start := time.Now()
				n := int64(0)
				opts := lakehouse.ReadOptions{Schema: c.Schema, Columns: test.columns, System: test.system}
				for batch, err := range test.snap.Read(ctx, opts) {
					if err != nil {
						b.Fatal(err)
					}
					n += batch.NumRows()
				}
				ours += time.Since(start)
				if n != test.snap.Rows() {
					b.Fatalf("%d rows", n)
				}
				start = time.Now()
				bareScan(b, objects, snap, test.leaves)
				bare += time.Since(start)
			}
			b.ReportMetric(float64(b.N)*benchRows/ours.Seconds()/1e6, "Mrows/s")
			b.ReportMetric(float64(b.N)*benchRows/bare.Seconds()/1e6, "bare-Mrows/s")
			b.ReportMetric(bare.Seconds()/ours.Seconds(), "of-bare")
		})
	}
}

func bareScan(b *testing.B, objects *blob.Mem, snap *lakehouse.Snapshot, leaves []int) {
	for _, f := range snap.Files() {
		r, err := objects.Open(context.Background(), f.URI[len("mem://lake/"):])
		if err != nil {
			b.Fatal(err)
		}
		pf, err := file.NewParquetReader(io.NewSectionReader(r, 0, r.Size()), file.WithReadProps(aparquet.NewReaderProperties(memory.DefaultAllocator)))
		if err != nil {
			b.Fatal(err)
		}
		fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: 65536}, memory.DefaultAllocator)
		if err != nil {
			b.Fatal(err)
		}
		batches, err := fr.GetRecordReader(context.Background(), leaves, nil)
		if err != nil {
			b.Fatal(err)
		}
		for batches.Next() {
			_ = batches.RecordBatch().NumRows()
		}
		if batches.Err() != nil && batches.Err() != io.EOF {
			b.Fatal(batches.Err())
		}
		_ = pf.Close()
		_ = r.Close()
	}
}

// BenchmarkCommit is one small commit to a table of which some number were made
// before: its cost must not grow with them.
func BenchmarkCommit(b *testing.B) {
	for _, before := range []int{1, 20, 200} {
		for _, deletes := range []bool{false, true} {
			b.Run(fmt.Sprintf("after=%d/deletes=%v", before, deletes), func(b *testing.B) {
				objects := &counting{Mem: blob.NewMem()}
				l, err := lakehouse.Open(lakehouse.Options{Objects: objects, BaseURI: "mem://lake"})
				if err != nil {
					b.Fatal(err)
				}
				c := collection(simple())
				var snap *lakehouse.Snapshot
				seq := 0
				commit := func() {
					d := map[uint32][]uint32{}
					if deletes && seq > 0 {
						d[0] = []uint32{uint32(seq / 10 % 1000)} // another row each time
					}
					n := 10
					if seq == 0 {
						n = 1000
					}
					rows := rowsFrom(seq, n)
					seq += n
					if snap, _, err = l.Commit(context.Background(), lakehouse.Commit{
						Collection: c, Base: snap, NextSeq: schema.Seq(seq), Rows: each(rows), Deletes: d,
					}); err != nil {
						b.Fatal(err)
					}
				}
				for range before {
					commit()
				}
				b.ReportAllocs()
				objects.bytes, objects.puts, objects.gets = 0, 0, 0
				b.ResetTimer()
				for range b.N {
					commit()
				}
				b.ReportMetric(float64(objects.bytes)/float64(b.N), "written-B/op")
				b.ReportMetric(float64(objects.puts)/float64(b.N), "puts/op")
				b.ReportMetric(float64(objects.gets)/float64(b.N), "gets/op")
			})
		}
	}
}
