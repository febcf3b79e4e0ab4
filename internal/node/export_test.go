package node

import (
	"context"
	"testing"

	"github.com/trinedb/trine/schema"
)

// NextSeqAt is the seq after the collection's last change at a position, found
// by reading every chunk.
func (n *Node) NextSeqAt(t testing.TB, c *schema.Collection, position schema.Position) schema.Seq {
	t.Helper()
	var next schema.Seq
	err := n.channel.Check(context.Background(), schema.Position{}, func(ck *schema.Chunk) error {
		if g, ok := ck.Group(c.Instance); ok && ck.Position.Compare(position) <= 0 {
			next = g.NextSeq()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// Chunks are all chunks of the log.
func (n *Node) Chunks(t testing.TB) (all []*schema.Chunk) {
	t.Helper()
	err := n.channel.Check(context.Background(), schema.Position{}, func(ck *schema.Chunk) error {
		all = append(all, ck)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
