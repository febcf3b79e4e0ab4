package node

import (
	"context"

	"github.com/trinedb/trine/internal/registry"
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

func (d definitions) Append(ctx context.Context, writes []schema.Instance, decide func(registry.Sequenced) ([]schema.Group, error)) error {
	if err := d.n.spaceForWrites(); err != nil {
		return err
	}
	a := log.Append{Decide: func([]log.AppendGroup) ([]log.AppendGroup, error) {
		groups, err := decide(sequenced(d))
		out := make([]log.AppendGroup, len(groups))
		for i, g := range groups {
			out[i] = log.AppendGroup{Instance: g.Instance, Records: g.Records}
		}
		return out, err
	}}
	for _, inst := range writes {
		// Named now so that the log knows the collection before it sequences.
		a.Groups = append(a.Groups, log.AppendGroup{Instance: inst})
	}
	_, err := d.n.channel.Append(ctx, a)
	return err
}

// sequenced is what the channel has sequenced, as the registry decides on it.
type sequenced struct{ n *Node }

func (s sequenced) Get(inst schema.Instance, key []byte) ([]byte, bool, error) {
	row, _, ok, err := s.n.index.GetSequenced(inst, key)
	return row, ok, err
}

func (s sequenced) NextSeq(inst schema.Instance) (schema.Seq, error) {
	return s.n.channel.NextSequenced(inst)
}

// catalog is the registry as the index sees it.
type catalog struct{ *registry.Registry }

func (catalog) Indexes(r schema.Record) (schema.Instance, []schema.IndexSpec, bool, error) {
	return registry.DefinedIndexes(r)
}
