package lakehouse_test

import (
	"context"
	"testing"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// What it costs a commit of 100,000 rows to be split by partition and sorted.
func BenchmarkCommitLayout(b *testing.B) {
	bucket := schema.PartitionField{FieldID: 1, Transform: schema.Transform{Kind: schema.TransformBucket, Width: 16}}
	for _, tc := range []struct {
		name string
		opts func(*schema.Options)
	}{
		{"by key", func(*schema.Options) {}},
		{"sorted", func(o *schema.Options) { o.LakeSort = []schema.SortField{{FieldID: 2}} }},
		{"16 partitions", func(o *schema.Options) { o.LakePartition = []schema.PartitionField{bucket} }},
	} {
		b.Run(tc.name, func(b *testing.B) {
			rows := make([]lakehouse.Row, 100_000)
			for i, v := range simpleRows(0, len(rows)) {
				rows[i] = lakehouse.Row{Values: v, Seq: schema.Seq(i)}
			}
			b.ReportAllocs()
			for b.Loop() {
				f := newFixture(b)
				c := collection(simple())
				tc.opts(&c.Options)
				_, _, err := f.lake.Commit(context.Background(), lakehouse.Commit{Collection: c, NextSeq: schema.Seq(len(rows)), Rows: each(rows)})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
