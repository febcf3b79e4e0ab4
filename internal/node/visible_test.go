package node_test

import (
	"fmt"
	stdsync "sync"
	"testing"

	"github.com/trinedb/trine/internal/node"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/sync"
)

// TestVisibleAtAck has several writers look up what they have just written, and
// delete it, by key and in one go with others; and a follower that gets each
// change once, in order. No lookup waits: what the index has not applied yet is
// found as well.
func TestVisibleAtAck(t *testing.T) {
	const writers, rounds = 8, 40
	n := openNode(t, node.Options{Data: dataDir(t)})
	c := makeCollection(t, n, fmt.Sprintf(peopleDef, ""))
	var wg stdsync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				id := int64(w*rounds + i)
				res, err := tryWrite(n, c, "", fmt.Sprintf(`{"id":%d,"mail":"a"}`, id))
				if err != nil {
					t.Error(err)
				}
				if seq, ok := seqOf(t, n, c, id); !ok || seq != res.FirstSeq {
					t.Errorf("id %d: at the ack of seq %d a lookup has %d, %t", id, res.FirstSeq, seq, ok)
				}
				if i%4 != 0 {
					continue
				}
				if _, err := tryWrite(n, c, "delete", fmt.Sprintf(`{"id":%d}`, id)); err != nil {
					t.Error(err)
				}
				if seq, ok := seqOf(t, n, c, id); ok {
					t.Errorf("id %d: found at seq %d after the ack of its deletion", id, seq)
				}
			}
		})
	}
	wg.Go(func() {
		want := schema.Seq(0)
		for ch, err := range n.Engine.Changes(t.Context(), c, sync.ChangesRequest{Follow: true}) {
			if err != nil || ch.Seq != want {
				t.Errorf("followed seq %d, %v, want %d", ch.Seq, err, want)
				return
			}
			if want++; want == writers*(rounds+rounds/4) {
				return
			}
		}
	})
	wg.Wait()
}

// seqOf looks up of which seq a row is.
func seqOf(t *testing.T, n *node.Node, c *schema.Collection, id int64) (schema.Seq, bool) {
	row := make([]schema.Value, len(c.Schema.Fields))
	row[0] = schema.Int(id)
	got, ok, err := n.Backend().Reader.Get(t.Context(), c, c.Schema.AppendKey(nil, row))
	if err != nil {
		t.Error(err)
	}
	return got.Seq, ok
}
