package registry

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Drop ends the collection: from the ack on its name is free. Its space comes
// back in the background.
func (r *Registry) Drop(ctx context.Context, tenant, name string) (*schema.Collection, error) {
	if err := checkNames(tenant, name); err != nil {
		return nil, err
	}
	key := nameKey(tenant, name)
	var dropped *schema.Collection
	decide := func(s Sequenced) ([]schema.Group, error) {
		n := numbering{r: r, s: s}
		var err error
		if dropped, err = newView(s.Get, n.schema).collection(key); err != nil {
			return nil, err
		}
		if dropped == nil {
			return nil, schema.ErrNotFound
		}
		turned := uses{}
		turned.turn(dropped, nil)
		counted, err := turned.records(s.Get)
		if err != nil {
			return nil, err
		}
		ended := []schema.Record{
			{Op: schema.OpDelete, Key: key},
			{Op: schema.OpDelete, Key: instanceKey(dropped.Instance)},
		}
		if dropped.Options.Lake == schema.LakePinned {
			ended = append(ended, schema.Record{Op: schema.OpDelete, Key: pinnedKey(dropped.Instance)})
		}
		return []schema.Group{
			{Instance: schema.InstanceCollections, Records: append(ended, counted...)},
			{Instance: schema.InstanceGuards, Records: []schema.Record{{Op: schema.OpDelete, Key: schema.GuardKey(dropped.Instance)}}},
			{Instance: schema.InstanceTrims, Records: []schema.Record{{Op: schema.OpDelete, Key: schema.TrimKey(dropped.Instance)}}},
		}, nil
	}
	c := change{
		keys: []string{string(key)}, decide: decide,
		writes: []schema.Instance{schema.InstanceCollections, schema.InstanceGuards, schema.InstanceTrims},
	}
	if err := r.change(ctx, c); err != nil {
		return nil, fmt.Errorf("drop collection %s/%s: %w", tenant, name, err)
	}
	return dropped, nil
}
