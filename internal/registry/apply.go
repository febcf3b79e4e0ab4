package registry

import (
	"context"
	"errors"
	"fmt"
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

// AppliedSchema is what the definition of a named schema came to.
type AppliedSchema struct {
	Plan   definition.Plan
	Schema *schema.NamedSchema
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
	_, out, err := r.ApplyFile(ctx, definition.File{Collections: defs}, dryRun)
	return out, err
}

// ApplyFile is ApplyAll for a file, which may have up to MaxApply named schemas
// too. A schema evolves for all its collections, whether they are in the file or
// not, by a write whose size does not depend on their number.
func (r *Registry) ApplyFile(ctx context.Context, file definition.File, dryRun bool) ([]AppliedSchema, []Applied, error) {
	b, err := newBatch(file, r.now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return nil, nil, err
	}
	durable := func(inst schema.Instance, key []byte) ([]byte, bool, error) { return r.store.Get(ctx, inst, key) }
	if err := b.plan(newView(durable, r.schemasBy(ctx))); err != nil {
		return nil, nil, err
	}
	if err := r.findSchemas(ctx, b); err != nil {
		return nil, nil, fmt.Errorf("apply %s: %w", told(file), err)
	}
	if !dryRun && b.changes() {
		if err := r.carryOut(ctx, b); err != nil {
			return nil, nil, fmt.Errorf("apply %s: %w", told(file), err)
		}
	}
	schemas := make([]AppliedSchema, len(b.schemas))
	for i, p := range b.schemas {
		schemas[i] = AppliedSchema{Plan: p.plan, Schema: p.next}
	}
	out := make([]Applied, len(b.collections))
	for i, p := range b.collections {
		out[i] = Applied{Plan: p.plan, Collection: p.next}
	}
	return schemas, out, nil
}

func told(file definition.File) string {
	switch n, m := len(file.Schemas), len(file.Collections); {
	case n+m == 1 && n == 1:
		return file.Schemas[0].String()
	case n+m == 1:
		return file.Collections[0].String()
	case n == 0:
		return fmt.Sprintf("%d collections from %s on", m, file.Collections[0])
	default:
		return fmt.Sprintf("%d schemas from %s on and %d collections", n, file.Schemas[0].Name, m)
	}
}

// within says which of several definitions an error is about.
func within(several int, d fmt.Stringer, err error) error {
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
