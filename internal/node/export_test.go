package node

import (
	"context"
	"testing"
	"time"

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

// NoteIndexDamage is what a read of the index does that meets damage.
func (n *Node) NoteIndexDamage(err error) { n.index.NoteDamage(err) }

// Indexed is what the log's collector asks.
func (n *Node) Indexed() schema.Position { return n.indexed() }

// AwaitSnapshots waits until the snapshotter has seen all of the log, and no
// snapshot is under way.
func (n *Node) AwaitSnapshots(t testing.TB) {
	t.Helper()
	s := n.snapshots
	settled := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.seen.Compare(n.channel.Durable()) >= 0 && !s.running
	}
	for deadline := time.Now().Add(30 * time.Second); !settled(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a snapshot does not end")
		}
	}
}

// Marked are the collections that are marked for upkeep.
func (n *Node) Marked(t testing.TB) (all []schema.Instance) {
	t.Helper()
	err := n.index.Upkeep(context.Background(), func(inst schema.Instance, _ []byte) (bool, error) {
		all = append(all, inst)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
