package node

import (
	"context"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// namedSchemas is the registry's named schemas as the HTTP surface sees them.
type namedSchemas struct{ n *Node }

func (s namedSchemas) Find(ctx context.Context, name string) (*schema.NamedSchema, uint64, error) {
	n, err := s.n.Registry.NamedSchema(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	collections, err := s.n.Registry.Uses(ctx, n.ID)
	return n, collections, err
}

func (s namedSchemas) List(ctx context.Context, prefix, after string, limit int) ([]*schema.NamedSchema, error) {
	return s.n.Registry.NamedSchemas(ctx, prefix, after, limit)
}

// Apply also has the tables of the file's collections looked at, which may be
// pinned now. Tables of other collections of its schemas follow when they are
// flushed or loaded.
func (s namedSchemas) Apply(ctx context.Context, file definition.File, dryRun bool) ([]arrowhttp.AppliedSchema, []arrowhttp.Applied, error) {
	schemas, applied, err := s.n.Registry.ApplyFile(ctx, file, dryRun)
	if err != nil {
		return nil, nil, err
	}
	named := make([]arrowhttp.AppliedSchema, len(schemas))
	for i, a := range schemas {
		named[i] = arrowhttp.AppliedSchema(a)
	}
	out := make([]arrowhttp.Applied, len(applied))
	for i, a := range applied {
		out[i] = arrowhttp.Applied(a)
		if !dryRun && len(a.Plan.Steps) > 0 {
			s.n.Engine.Evolved(a.Collection)
		}
	}
	return named, out, nil
}

func (s namedSchemas) Drop(ctx context.Context, name string) error {
	return s.n.Registry.DropSchema(ctx, name)
}
