package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// batch is definitions on their way into force, all at once.
type batch struct {
	schemas     []*schemaProposal
	collections []*proposal
	by          *view // that they are planned by; nil if they are not
}

// newBatch checks what definitions say by themselves, and that each is of
// another name.
func newBatch(file definition.File, now time.Time) (*batch, error) {
	several := len(file.Schemas) + len(file.Collections)
	if several == 0 || len(file.Collections) > MaxApply || len(file.Schemas) > MaxApply {
		return nil, fmt.Errorf("apply %d collections and %d schemas, want 1 to %d at once: %w",
			len(file.Collections), len(file.Schemas), MaxApply, schema.ErrTooLarge)
	}
	b := &batch{}
	seen := make(map[string]struct{}, several)
	for _, d := range file.Schemas {
		if err := d.Validate(); err != nil {
			return nil, within(several, d, err)
		}
		if _, twice := seen[d.Name]; twice {
			return nil, within(several, d, fmt.Errorf("the schema is defined twice: %w", schema.ErrInvalid))
		}
		seen[d.Name] = struct{}{}
		b.schemas = append(b.schemas, &schemaProposal{def: d, now: now})
	}
	for _, d := range file.Collections {
		if err := d.Validate(); err != nil {
			return nil, within(several, d, err)
		}
		if err := checkNames(d.Tenant, d.Collection); err != nil {
			return nil, within(several, d, err)
		}
		p := &proposal{def: d, key: string(nameKey(d.Tenant, d.Collection)), now: now}
		if _, twice := seen[p.key]; twice {
			return nil, within(several, d, fmt.Errorf("the collection is defined twice: %w", schema.ErrInvalid))
		}
		seen[p.key] = struct{}{}
		b.collections = append(b.collections, p)
	}
	return b, nil
}

func (b *batch) several() int { return len(b.schemas) + len(b.collections) }

// changes reports whether there is something to write.
func (b *batch) changes() bool {
	return slices.ContainsFunc(b.schemas, (*schemaProposal).changes) || slices.ContainsFunc(b.collections, (*proposal).changes)
}

// plan outlines all by what v reads: schemas first, so that a collection may be of
// one that comes with it.
func (b *batch) plan(v *view) error {
	b.by = nil
	for _, p := range b.schemas {
		if err := p.plans(v); err != nil {
			return within(b.several(), p.def, err)
		}
		v.planned[p.def.Name] = p.next
	}
	for _, p := range b.collections {
		if err := p.plans(v); err != nil {
			return within(b.several(), p.def, err)
		}
	}
	turned := uses{}
	for _, p := range b.collections {
		turned.turn(p.cur, p.next)
	}
	for _, p := range b.schemas {
		if err := p.free(v, turned); err != nil {
			return within(b.several(), p.def, err)
		}
	}
	b.by = v
	return nil
}

// decide gives the records that make all of the batch true, as of what is
// sequenced: what was planned by rows that have changed since is planned anew, so
// that a batch which lost a race comes to what it would have come to after the
// other. It may be called more than once, each time from the start.
func (b *batch) decide(r *Registry, s Sequenced) ([]schema.Group, error) {
	n, err := newNumbering(r, s)
	if err != nil {
		return nil, err
	}
	holds := false
	if b.by != nil {
		if holds, err = b.by.holds(s.Get); err != nil {
			return nil, fmt.Errorf("read definitions: %w", err)
		}
	}
	if !holds {
		if err := b.plan(newView(s.Get, n.schema)); err != nil {
			return nil, err
		}
	}
	for _, p := range b.schemas {
		if err := n.addSchema(p); err != nil {
			return nil, fmt.Errorf("number %s: %w", p.def, err)
		}
	}
	turned := uses{}
	for _, p := range b.collections {
		if err := n.add(p); err != nil {
			return nil, fmt.Errorf("number %s: %w", p.def, err)
		}
		turned.turn(p.cur, p.next)
	}
	counted, err := turned.records(s.Get)
	if err != nil {
		return nil, err
	}
	return []schema.Group{
		{Instance: schema.InstanceCollections, Records: append(n.collections, counted...)},
		{Instance: schema.InstanceSchemas, Records: n.schemas},
	}, nil
}

// carryOut writes what a batch comes to, all at once.
func (r *Registry) carryOut(ctx context.Context, b *batch) error {
	c := change{
		writes: []schema.Instance{schema.InstanceCollections, schema.InstanceSchemas},
		decide: func(s Sequenced) ([]schema.Group, error) { return b.decide(r, s) },
		after:  func() map[string]*schema.Collection { return keep(b.collections, (*proposal).kept) },
		named:  func() map[string]*schema.NamedSchema { return keep(b.schemas, (*schemaProposal).kept) },
	}
	for _, p := range b.collections {
		c.keys = append(c.keys, p.key)
	}
	for _, p := range b.schemas {
		c.schemas = append(c.schemas, p.def.Name)
	}
	if err := r.change(ctx, c); err != nil {
		return err
	}
	for _, p := range b.schemas {
		r.numbered(p.content, p.next.Schema) // durable now, so that the number is for good
	}
	for _, p := range b.collections {
		if p.next.Named == 0 && p.changes() {
			r.numbered(p.content, p.next.Schema)
		}
	}
	return nil
}

func keep[P, V any](proposals []P, kept func(P) (string, V)) map[string]V {
	out := make(map[string]V, len(proposals))
	for _, p := range proposals {
		key, v := kept(p)
		out[key] = v
	}
	return out
}
