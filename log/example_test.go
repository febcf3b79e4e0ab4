package log_test

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

func Example() {
	ctx := context.Background()
	c, err := log.Open(ctx, log.Options{Store: blob.NewMem(), WriterID: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)
	ack, err := c.Append(ctx, log.Append{Groups: []log.AppendGroup{{
		Instance: schema.FirstUserInstance,
		Records:  []schema.Record{{Op: schema.OpInsert, Row: []byte("a row")}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("durable at", ack.Position)

	for f := c.Follow(schema.Position{}); ; {
		chunk, err := f.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, g := range chunk.Groups {
			fmt.Printf("seq %d: %s\n", g.FirstSeq, g.Records[0].Row)
		}
		if chunk.Position == ack.Position {
			return
		}
	}
	// Output:
	// durable at 0-5
	// seq 0: a row
}
