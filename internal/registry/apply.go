package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// MaxApply is the most definitions of one ApplyAll.
const MaxApply = 1000

// Applied is what a definition came to.
type Applied struct {
	Plan       definition.Plan
	Collection *schema.Collection
}

// Apply creates the collection or evolves it to d, durably, and tells what it
// did; with dryRun it tells what it would do. Nothing to do is no write.
func (r *Registry) Apply(ctx context.Context, d definition.Definition, dryRun bool) (definition.Plan, *schema.Collection, error) {
	out, err := r.ApplyAll(ctx, []definition.Definition{d}, dryRun)
	if err != nil {
		return definition.Plan{}, nil, err
	}
	return out[0].Plan, out[0].Collection, nil
}

// ApplyAll is Apply for up to MaxApply collections, each of another name: all
// of them come to what defs say in one atomic write, or none. What a
// definition came to has its place in defs.
func (r *Registry) ApplyAll(ctx context.Context, defs []definition.Definition, dryRun bool) ([]Applied, error) {
	proposals, err := r.propose(ctx, defs)
	if err != nil {
		return nil, err
	}
	if !dryRun && slices.ContainsFunc(proposals, (*proposal).changes) {
		if err := r.carryOut(ctx, proposals); err != nil {
			return nil, fmt.Errorf("apply %s: %w", told(defs), err)
		}
	}
	out := make([]Applied, len(proposals))
	for i, p := range proposals {
		out[i] = Applied{Plan: p.plan, Collection: p.next}
	}
	return out, nil
}

// carryOut writes what proposals come to, all at once.
func (r *Registry) carryOut(ctx context.Context, proposals []*proposal) error {
	keys := make([]string, len(proposals))
	for i, p := range proposals {
		keys[i] = p.key
	}
	c := change{
		keys:   keys,
		writes: []schema.Instance{schema.InstanceCollections, schema.InstanceSchemas},
		decide: func(s Sequenced) ([]schema.Group, error) { return r.decide(s, proposals) },
		after: func() map[string]*schema.Collection {
			after := make(map[string]*schema.Collection, len(proposals))
			for _, p := range proposals {
				after[p.key] = p.next
			}
			return after
		},
	}
	if err := r.change(ctx, c); err != nil {
		return err
	}
	for _, p := range proposals {
		if p.changes() { // its schema is durable now, so that the number is for good
			r.schemas.Add(p.next.Schema.ID, p.next.Schema)
			r.numbers.Add(p.content, p.next.Schema.ID)
		}
	}
	return nil
}

func told(defs []definition.Definition) string {
	if len(defs) == 1 {
		return defs[0].String()
	}
	return fmt.Sprintf("%d collections from %s on", len(defs), defs[0])
}

// propose plans each definition by what is durable.
func (r *Registry) propose(ctx context.Context, defs []definition.Definition) ([]*proposal, error) {
	if len(defs) == 0 || len(defs) > MaxApply {
		return nil, fmt.Errorf("apply %d collections, want 1 to %d at once: %w", len(defs), MaxApply, schema.ErrTooLarge)
	}
	seen := make(map[string]struct{}, len(defs))
	proposals := make([]*proposal, len(defs))
	for i, d := range defs {
		if err := d.Validate(); err != nil {
			return nil, within(len(defs), d, err)
		}
		if err := checkNames(d.Tenant, d.Collection); err != nil {
			return nil, within(len(defs), d, err)
		}
		p := &proposal{def: d, key: string(nameKey(d.Tenant, d.Collection)), now: r.now().UTC().Truncate(time.Microsecond)}
		if _, twice := seen[p.key]; twice {
			return nil, within(len(defs), d, fmt.Errorf("the collection is defined twice: %w", schema.ErrInvalid))
		}
		seen[p.key] = struct{}{}
		row, ok, err := r.store.Get(ctx, schema.InstanceCollections, []byte(p.key))
		if err != nil {
			return nil, fmt.Errorf("apply %s: read collection: %w", d, err)
		}
		if err := p.plans(row, ok, r.schemasBy(ctx)); err != nil {
			return nil, within(len(defs), d, err)
		}
		if p.changes() {
			if err := r.findSchema(ctx, p); err != nil {
				return nil, fmt.Errorf("apply %s: %w", d, err)
			}
		}
		proposals[i] = p
	}
	return proposals, nil
}

// within says which of several definitions an error is about.
func within(several int, d definition.Definition, err error) error {
	if several == 1 {
		return err
	}
	var broken *definition.Incompatible
	if errors.As(err, &broken) {
		named := &definition.Incompatible{Problems: make(schema.FieldErrors, len(broken.Problems))}
		for i, p := range broken.Problems {
			q := *p
			q.Field = strings.TrimSpace(d.String() + " " + p.Field)
			named.Problems[i] = &q
		}
		return named
	}
	return fmt.Errorf("apply %s: %w", d, err)
}

// decide gives the records that make all proposals true, as of what is
// sequenced: what was planned by durable rows is planned anew where they have
// changed since, so that a proposal which lost a race comes to what it would
// have come to after the other. It may be called more than once, each time
// from the start.
func (r *Registry) decide(s Sequenced, proposals []*proposal) ([]schema.Group, error) {
	n, err := newNumbering(r, s)
	if err != nil {
		return nil, err
	}
	for _, p := range proposals {
		row, ok, err := s.Get(schema.InstanceCollections, []byte(p.key))
		if err != nil {
			return nil, fmt.Errorf("read collection %s: %w", p.def, err)
		}
		if !p.basedOn(row, ok) {
			if err := p.plans(row, ok, n.schema); err != nil {
				return nil, within(len(proposals), p.def, err)
			}
		}
		if !p.changes() {
			continue
		}
		if err := n.add(p); err != nil {
			return nil, fmt.Errorf("number %s: %w", p.def, err)
		}
	}
	return []schema.Group{
		{Instance: schema.InstanceCollections, Records: n.collections},
		{Instance: schema.InstanceSchemas, Records: n.schemas},
	}, nil
}
