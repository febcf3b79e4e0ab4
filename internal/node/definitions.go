package node

import (
	"context"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/schema"
)

// definitions is the log and the index as the registry sees them.
type definitions struct{ n *Node }

func (d definitions) Get(ctx context.Context, inst schema.Instance, key []byte) ([]byte, bool, error) {
	return d.n.index.Get(ctx, inst, key)
}

func (d definitions) Range(ctx context.Context, inst schema.Instance, from, to []byte, fn func(key, row []byte) (bool, error)) error {
	return d.n.index.Range(ctx, inst, kvindex.KeyRange{From: from, To: to}, fn)
}

func (d definitions) NextSeq(ctx context.Context, inst schema.Instance) (schema.Seq, error) {
	return d.n.channel.NextSeq(ctx, inst)
}

func (d definitions) Append(ctx context.Context, groups []schema.Group, guard schema.Instance, want schema.Seq) error {
	if err := d.n.spaceForWrites(); err != nil {
		return err
	}
	a := log.Append{IfSeq: &log.IfSeq{Instance: guard, Seq: want}}
	for _, g := range groups {
		a.Groups = append(a.Groups, log.AppendGroup{Instance: g.Instance, Records: g.Records})
	}
	_, err := d.n.channel.Append(ctx, a)
	return err
}
