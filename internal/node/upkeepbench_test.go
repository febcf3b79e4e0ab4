package node_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/trinedb/trine/ingest"
	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// BenchmarkChurn updates every row of a table, a twentieth at a time, with upkeep,
// and compares the folder of the table with that of one which was written once with
// the same rows; and tells how fast rows were moved, index included.
func BenchmarkChurn(b *testing.B) {
	const rows, rounds = 100_000, 20
	ctx := context.Background()
	var moved int64
	var took time.Duration
	var space, live float64
	for b.Loop() {
		dir := dataDir(b)
		n := openNode(b, node.Options{Data: dir, NoUpkeep: true, Lake: lakehouse.Options{
			TargetFileBytes: 2 << 20, SnapshotsKept: 1, FileGrace: 1,
		}})
		table := makeCollection(b, n, fmt.Sprintf(itemsDef, ""))
		fresh := makeCollection(b, n, `{"tenant":"shop","collection":"fresh","key":["id"],"fields":[
			{"name":"id","type":"long","required":true},{"name":"name","type":"string"}]}`)
		random := rand.New(rand.NewPCG(1, 2))
		names := make([]uint64, rows)
		put := func(c *schema.Collection, ids []int) {
			for from := 0; from < len(ids); from += 20_000 {
				var lines []string
				for _, id := range ids[from:min(from+20_000, len(ids))] {
					lines = append(lines, fmt.Sprintf(`{"id":%d,"name":"%d"}`, id, names[id]))
				}
				write(b, n, c, ingest.OpUpsert, lines...)
			}
			if _, err := n.Engine.Flush(ctx, c); err != nil {
				b.Fatal(err)
			}
		}
		order := random.Perm(rows)
		put(table, order)
		for round := range rounds {
			part := order[round*rows/rounds:][:rows/rounds]
			for _, id := range part {
				names[id] = random.Uint64()
			}
			put(table, part)
			err := n.Engine.Compact(ctx, table, func(c sync.Compaction) error {
				moved += c.Rows
				took += c.Took
				return nil
			})
			if err == nil {
				err = n.Engine.ExpireTable(ctx, table, func(sync.Removal) error { return nil })
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		put(fresh, order)
		mustVerify(b, n)
		space += folderBytes(b, filepath.Join(dir, "lake", "shop", fmt.Sprintf("items-%016x", uint64(table.Instance))))
		live += folderBytes(b, filepath.Join(dir, "lake", "shop", fmt.Sprintf("fresh-%016x", uint64(fresh.Instance))))
		closeNode(b, n)
	}
	b.ReportMetric(space/live, "times-live")
	b.ReportMetric(float64(moved)/took.Seconds()/1e6, "moved-Mrows/s")
	b.ReportMetric(float64(moved)/float64(b.N)/(2*rows), "times-rewritten")
}

func folderBytes(b *testing.B, folder string) (total float64) {
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += float64(info.Size())
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}
