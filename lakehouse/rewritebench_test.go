package lakehouse_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// BenchmarkRewrite merges eight files by key, and has parquet-go alone read and
// write the same rows, file after file: the ratio of their times is what the merge,
// the places and the shape of the table cost.
func BenchmarkRewrite(b *testing.B) {
	const parts = 8
	_, rows := flights(benchRows)
	c := collection(flightSchema())
	var ours, bare time.Duration
	for b.Loop() {
		objects := blob.NewMem()
		l, err := lakehouse.Open(lakehouse.Options{Objects: objects, BaseURI: "mem://lake"})
		if err != nil {
			b.Fatal(err)
		}
		var snap *lakehouse.Snapshot
		var files []uint32
		for part := range parts {
			var mine []lakehouse.Row
			for i := part; i < len(rows); i += parts {
				mine = append(mine, rows[i])
			}
			if snap, _, err = l.Commit(context.Background(), lakehouse.Commit{
				Collection: c, Base: snap, NextSeq: schema.Seq(part), Rows: each(mine),
			}); err != nil {
				b.Fatal(err)
			}
			files = append(files, uint32(part))
		}
		start := time.Now()
		moves, err := l.Rewrite(context.Background(), snap, lakehouse.RewriteOptions{Collection: c, Files: files})
		if err == nil {
			_, err = l.Replace(context.Background(), lakehouse.Replacement{Collection: c, Base: snap, Rewrite: moves})
		}
		if err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		start = time.Now()
		bareRewrite(b, objects, snap)
		bare += time.Since(start)
	}
	b.ReportMetric(float64(b.N)*benchRows/ours.Seconds()/1e6, "Mrows/s")
	b.ReportMetric(float64(b.N)*benchRows/bare.Seconds()/1e6, "bare-Mrows/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "of-bare")
}

// bareRewrite reads the rows of a snapshot's files and writes them to one.
func bareRewrite(b *testing.B, objects *blob.Mem, snap *lakehouse.Snapshot) {
	var out bytes.Buffer
	var w *parquet.GenericWriter[any]
	buf := make([]parquet.Row, 1000)
	for _, f := range snap.Files() {
		r, err := objects.Open(context.Background(), f.URI[len("mem://lake/"):])
		if err != nil {
			b.Fatal(err)
		}
		in, err := parquet.OpenFile(r, r.Size())
		if err != nil {
			b.Fatal(err)
		}
		if w == nil {
			w = parquet.NewGenericWriter[any](&out, in.Schema(), parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
				parquet.DataPageVersion(1), parquet.MaxRowsPerRowGroup(lakehouse.DefaultRowGroupRows))
		}
		for _, g := range in.RowGroups() {
			rows := g.Rows()
			for {
				n, err := rows.ReadRows(buf)
				if _, werr := w.WriteRows(buf[:n]); werr != nil {
					b.Fatal(werr)
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			_ = rows.Close()
		}
		_ = r.Close()
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkScanAfterRewrite scans a table of which a fifth of the rows was
// updated, and the same after compaction.
func BenchmarkScanAfterRewrite(b *testing.B) {
	_, rows := flights(benchRows)
	c := collection(flightSchema())
	ctx := context.Background()
	l, err := lakehouse.Open(lakehouse.Options{Objects: blob.NewMem(), BaseURI: "mem://lake"})
	if err != nil {
		b.Fatal(err)
	}
	snap, _, err := l.Commit(ctx, lakehouse.Commit{Collection: c, NextSeq: benchRows, Rows: each(rows)})
	if err != nil {
		b.Fatal(err)
	}
	const rounds = 10 // each updates 2% of the rows
	files := []uint32{0}
	for round := range rounds {
		var updated []lakehouse.Row
		var gone []uint32
		for i := round; i < benchRows; i += 5 * rounds {
			updated, gone = append(updated, rows[i]), append(gone, uint32(i))
		}
		if snap, _, err = l.Commit(ctx, lakehouse.Commit{
			Collection: c, Base: snap, NextSeq: benchRows, Rows: each(updated), Deletes: map[uint32][]uint32{0: gone},
		}); err != nil {
			b.Fatal(err)
		}
		files = append(files, uint32(round+1))
	}
	moves, err := l.Rewrite(ctx, snap, lakehouse.RewriteOptions{Collection: c, Files: files})
	if err != nil {
		b.Fatal(err)
	}
	after, err := l.Replace(ctx, lakehouse.Replacement{Collection: c, Base: snap, Rewrite: moves})
	if err != nil {
		b.Fatal(err)
	}
	var before, then time.Duration
	for b.Loop() {
		before += scanAll(b, snap, c)
		then += scanAll(b, after, c)
	}
	b.ReportMetric(float64(b.N)*benchRows/before.Seconds()/1e6, "before-Mrows/s")
	b.ReportMetric(float64(b.N)*benchRows/then.Seconds()/1e6, "after-Mrows/s")
	b.ReportMetric(before.Seconds()/then.Seconds(), "times-faster")
	b.ReportMetric(float64(snap.Bytes())/float64(after.Bytes()), "times-smaller")
}

func scanAll(b *testing.B, snap *lakehouse.Snapshot, c *schema.Collection) time.Duration {
	start, n := time.Now(), int64(0)
	for batch, err := range snap.Read(context.Background(), lakehouse.ReadOptions{Schema: c.Schema, System: true}) {
		if err != nil {
			b.Fatal(err)
		}
		n += batch.NumRows()
	}
	if n != snap.Rows() {
		b.Fatalf("%d rows", n)
	}
	return time.Since(start)
}

// BenchmarkCommitLater is a small commit to a table that has had ten and one that
// has had a thousand, both looked after as upkeep does; the metrics are those of
// the second over those of the first.
func BenchmarkCommitLater(b *testing.B) {
	early, late := newLaterTable(b, 10), newLaterTable(b, 1000)
	var cost [2]time.Duration
	var bytes, requests [2]int
	for b.Loop() {
		for i, t := range []*laterTable{early, late} {
			t.objects.bytes, t.objects.puts, t.objects.gets = 0, 0, 0
			start := time.Now()
			t.commit(b)
			cost[i] += time.Since(start)
			bytes[i] += t.objects.bytes
			requests[i] += t.objects.puts + t.objects.gets
		}
		early.upkeep(b)
		late.upkeep(b)
	}
	b.ReportMetric(cost[1].Seconds()/cost[0].Seconds(), "times-time")
	b.ReportMetric(float64(bytes[1])/float64(bytes[0]), "times-bytes")
	b.ReportMetric(float64(requests[1])/float64(requests[0]), "times-requests")
	b.ReportMetric(float64(requests[1])/float64(b.N), "requests/op")
	b.ReportMetric(float64(bytes[1])/float64(b.N), "written-B/op")
	b.ReportMetric(float64(len(late.snap.Files())), "files")
}

// laterTable is a table that is committed to and compacted.
type laterTable struct {
	objects *counting
	lake    *lakehouse.Lake
	c       *schema.Collection
	snap    *lakehouse.Snapshot
	seq     int
}

func newLaterTable(b *testing.B, commits int) *laterTable {
	t := &laterTable{objects: &counting{Mem: blob.NewMem()}, c: collection(simple())}
	var err error
	if t.lake, err = lakehouse.Open(lakehouse.Options{Objects: t.objects, BaseURI: "mem://lake", FileGrace: 1}); err != nil {
		b.Fatal(err)
	}
	for range commits {
		t.commit(b)
		t.upkeep(b)
	}
	return t
}

func (t *laterTable) commit(b *testing.B) {
	deletes := map[uint32][]uint32{}
	if t.snap != nil {
		files := t.snap.Files()
		largest := files[0]
		for _, f := range files {
			if f.Rows > largest.Rows {
				largest = f
			}
		}
		if largest.Deleted+1 < largest.Rows {
			deletes[largest.Ordinal] = []uint32{uint32(largest.Deleted)}
		}
	}
	var err error
	t.seq += 10
	if t.snap, _, err = t.lake.Commit(context.Background(), lakehouse.Commit{
		Collection: t.c, Base: t.snap, NextSeq: schema.Seq(t.seq), Rows: each(rowsFrom(t.seq, 10)), Deletes: deletes,
	}); err != nil {
		b.Fatal(err)
	}
}

func (t *laterTable) upkeep(b *testing.B) {
	plan := t.snap.PlanRewrite(t.c.Schema)
	if plan == nil {
		return
	}
	moves, err := t.lake.Rewrite(context.Background(), t.snap, lakehouse.RewriteOptions{Collection: t.c, Files: plan})
	if err == nil {
		t.snap, err = t.lake.Replace(context.Background(), lakehouse.Replacement{Collection: t.c, Base: t.snap, Rewrite: moves})
	}
	if err == nil {
		_, err = t.lake.Clean(context.Background(), t.c, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
}
