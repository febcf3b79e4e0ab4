package lakehouse_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// BenchmarkDeletes commits deletes of a few rows in each of some data files, to a table
// of format version 2 and to one of 3, in turns. The metrics of the second are also
// told as multiples of those of the first. read-times is the time that it takes to
// read the table back, with nothing in memory and no column.
func BenchmarkDeletes(b *testing.B) {
	for _, size := range []struct{ files, rows int }{{1, 10}, {50, 10}, {50, 1000}} {
		b.Run(fmt.Sprintf("files=%d/rows=%d", size.files, size.rows), func(b *testing.B) {
			tables := [2]*deletesTable{newDeletesTable(b, 2, size.files), newDeletesTable(b, 3, size.files)}
			var cost, reading [2]time.Duration
			var bytes, puts, gets, deletes [2]int
			n := 0
			for b.Loop() {
				for i, t := range tables {
					if t.commits*size.rows > deletesFileRows/2 {
						t = newDeletesTable(b, 2+i, size.files)
						tables[i] = t
					}
					start := time.Now()
					t.commit(b, size.rows)
					cost[i] += time.Since(start)
					bytes[i], puts[i] = bytes[i]+t.objects.bytes, puts[i]+t.objects.puts
					deletes[i] += t.deleteBytes(b)
					start = time.Now()
					gets[i] += t.readBack(b)
					reading[i] += time.Since(start)
				}
				n++
			}
			per := func(v int) float64 { return float64(v) / float64(n) }
			for i, name := range []string{"v2", "v3"} {
				b.ReportMetric(per(puts[i]), name+"-puts")
				b.ReportMetric(per(gets[i]), name+"-gets")
				b.ReportMetric(per(bytes[i]), name+"-written-B")
				b.ReportMetric(per(deletes[i])/float64(size.files), name+"-B-a-delete-file")
			}
			b.ReportMetric(cost[1].Seconds()/cost[0].Seconds(), "times-time")
			b.ReportMetric(reading[1].Seconds()/reading[0].Seconds(), "read-times")
		})
	}
}

// deletesTable is a table of data files of 25,600 rows, which is made anew when half of
// them are deleted.
type deletesTable struct {
	commits int
	objects *counting
	lake    *lakehouse.Lake
	c       *schema.Collection
	snap    *lakehouse.Snapshot
}

const deletesFileRows = 25_600

func newDeletesTable(b *testing.B, format, files int) *deletesTable {
	t := &deletesTable{objects: &counting{Mem: blob.NewMem()}, c: inFormat(format, simple())}
	t.open(b)
	for i := range files {
		t.publish(b, lakehouse.Commit{NextSeq: schema.Seq(i), Rows: each(rowsFrom(i*deletesFileRows, deletesFileRows))})
	}
	return t
}

func (t *deletesTable) open(b *testing.B) {
	var err error
	if t.lake, err = lakehouse.Open(lakehouse.Options{Objects: t.objects, BaseURI: "mem://lake"}); err != nil {
		b.Fatal(err)
	}
}

func (t *deletesTable) publish(b *testing.B, commit lakehouse.Commit) {
	commit.Collection, commit.Base = t.c, t.snap
	t.objects.bytes, t.objects.puts, t.objects.gets = 0, 0, 0
	var err error
	if t.snap, _, err = t.lake.Commit(context.Background(), commit); err != nil {
		b.Fatal(err)
	}
}

// commit deletes rows of each file that lie far from each other, others each time.
func (t *deletesTable) commit(b *testing.B, rows int) {
	deletes := map[uint32][]uint32{}
	for _, f := range t.snap.Files() {
		for i := range rows {
			deletes[f.Ordinal] = append(deletes[f.Ordinal], uint32(i*deletesFileRows/rows+t.commits))
		}
	}
	t.publish(b, lakehouse.Commit{NextSeq: t.snap.NextSeq(), Deletes: deletes})
	t.commits++
}

// deleteBytes is the size of what holds the deletes.
func (t *deletesTable) deleteBytes(b *testing.B) (n int) {
	var seen []string
	for _, f := range t.snap.Files() {
		if f.DeletesURI == "" || slices.Contains(seen, f.DeletesURI) {
			continue
		}
		seen = append(seen, f.DeletesURI)
		raw, err := t.objects.Mem.Get(context.Background(), f.DeletesURI[len("mem://lake/"):])
		if err != nil {
			b.Fatal(err)
		}
		n += len(raw)
	}
	return n
}

// readBack reads the table with nothing in memory, and counts the requests for all but
// the data files.
func (t *deletesTable) readBack(b *testing.B) int {
	t.open(b)
	snap, err := t.lake.Current(context.Background(), t.c)
	if err != nil {
		b.Fatal(err)
	}
	t.objects.gets = 0
	for _, err := range snap.Read(context.Background(), lakehouse.ReadOptions{Schema: t.c.Schema, Columns: []int{}}) {
		if err != nil {
			b.Fatal(err)
		}
	}
	t.snap = snap
	return t.objects.gets - len(snap.Files())
}
