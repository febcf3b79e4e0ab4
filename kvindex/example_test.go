package kvindex_test

import (
	"context"
	"fmt"
	"os"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// What the log asks of the index, as package log declares it.
var _ interface {
	NextSeq(context.Context, schema.Instance) (schema.Seq, error)
	Answer(context.Context, schema.DedupKey) (schema.Answer, bool, error)
	Stage(schema.Position, []schema.Group)
	Publish(*schema.Chunk)
	Discard(schema.Position)
} = (*kvindex.Index)(nil)

// A chunk on its way from the log to the index.
func Example() {
	dir, _ := os.MkdirTemp("", "kvindex")
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	index, err := kvindex.Open(kvindex.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = index.Close(ctx) }()

	airports := schema.FirstUserInstance
	chunk := &schema.Chunk{
		Position: schema.Position{Chunk: 1},
		Groups: []schema.Group{{Instance: airports, Records: []schema.Record{
			{Op: schema.OpUpsert, Key: []byte("PDX"), Row: []byte("Portland")},
			{Op: schema.OpUpsert, Key: []byte("SEA"), Row: []byte("Seattle")},
		}}},
	}
	index.Stage(chunk.Position, chunk.Groups) // sequenced
	_, found, _ := index.Get(ctx, airports, []byte("SEA"))
	fmt.Println("staged:", found)

	index.Publish(chunk) // durable
	row, _, _ := index.Get(ctx, airports, []byte("SEA"))
	fmt.Println("published:", string(row))

	_ = index.Apply(ctx, chunk)
	stats, _ := index.Stats(ctx, airports)
	fmt.Println("applied:", index.Applied(), "rows:", stats.Rows)
	// Output:
	// staged: false
	// published: Seattle
	// applied: 0-1 rows: 2
}
