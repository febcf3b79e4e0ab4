package segment_test

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

func Example() {
	ctx, store := context.Background(), blob.NewMem()
	builder, _ := segment.NewBuilder(segment.BuilderOptions{Channel: 0})
	for n := uint64(1); n <= 3; n++ {
		_ = builder.Add(&schema.Chunk{
			Position: schema.Position{Chunk: n}, TimeMicros: int64(n),
			Groups: []schema.Group{
				{Instance: 16, FirstSeq: schema.Seq(n - 1), Records: []schema.Record{{Op: schema.OpInsert, Row: fmt.Append(nil, "row ", n)}}},
				{Instance: 16 + schema.Instance(n), Records: []schema.Record{{Op: schema.OpInsert}}},
			},
		})
	}
	ref, info, _ := builder.Finish(ctx, store)
	fmt.Println(ref, info.Changes, info.Instances)

	archive, _ := segment.OpenArchive(ctx, segment.ArchiveOptions{Store: store})
	defer archive.Close()
	for group, err := range archive.Read(ctx, 16, 1) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for i, rec := range group.Records {
			fmt.Printf("seq %d at %v: %s\n", int(group.FirstSeq)+i, group.Position, rec.Row)
		}
	}
	// Output:
	// seg/0/0/1/00000000000000000001-00000000000000000003 6 4
	// seq 1 at 0-2: row 2
	// seq 2 at 0-3: row 3
}
