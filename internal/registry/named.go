package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// NamedSchema is the named schema called name; ErrNotFound if there is none.
func (r *Registry) NamedSchema(ctx context.Context, name string) (*schema.NamedSchema, error) {
	if err := definition.CheckName("schema", name); err != nil {
		return nil, err
	}
	n, err := r.schemaCalled(ctx, name)
	if err == nil && n == nil {
		err = fmt.Errorf("schema %s: %w", name, schema.ErrNotFound)
	}
	return n, err
}

// Uses is how many collections a named schema has.
func (r *Registry) Uses(ctx context.Context, id schema.NamedSchemaID) (uint64, error) {
	get := func(inst schema.Instance, key []byte) ([]byte, bool, error) { return r.store.Get(ctx, inst, key) }
	return countUses(get, use{named: id})
}

// NamedSchemas is up to limit named schemas whose names begin with prefix and come
// after the name after, in name order.
func (r *Registry) NamedSchemas(ctx context.Context, prefix, after string, limit int) ([]*schema.NamedSchema, error) {
	from := schemaNameKey(prefix)
	to := schema.PrefixEnd(from)
	if after != "" && after >= prefix {
		from = append(schemaNameKey(after), 0)
	}
	var out []*schema.NamedSchema
	err := r.store.Range(ctx, schema.InstanceSchemas, from, to, func(_, row []byte) (bool, error) {
		id, err := namedNumber(row)
		if err != nil {
			return false, err
		}
		n, err := r.readNamed(ctx, id)
		if errors.Is(err, schema.ErrNotFound) { // dropped since the range began
			return true, nil
		}
		if err != nil {
			return false, err
		}
		out = append(out, n)
		return len(out) < limit, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	return out, nil
}

// DropSchema ends a named schema that no collection has: from the ack on its name
// is free. Of one that collections have it fails with ErrConflict.
func (r *Registry) DropSchema(ctx context.Context, name string) error {
	if err := definition.CheckName("schema", name); err != nil {
		return err
	}
	decide := func(s Sequenced) ([]schema.Group, error) {
		row, ok, err := s.Get(schema.InstanceSchemas, schemaNameKey(name))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, schema.ErrNotFound
		}
		id, err := namedNumber(row)
		if err != nil {
			return nil, err
		}
		n, err := countUses(s.Get, use{named: id})
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, fmt.Errorf("collections that have it: %d; drop them, or give them other fields, first: %w", n, schema.ErrConflict)
		}
		return []schema.Group{{Instance: schema.InstanceSchemas, Records: []schema.Record{
			{Op: schema.OpDelete, Key: schemaNameKey(name)}, {Op: schema.OpDelete, Key: namedKey(id)},
		}}}, nil
	}
	err := r.change(ctx, change{schemas: []string{name}, writes: []schema.Instance{schema.InstanceSchemas}, decide: decide})
	if err != nil {
		return fmt.Errorf("drop schema %s: %w", name, err)
	}
	return nil
}

// schemaCalled is NamedSchema without the error for absence.
func (r *Registry) schemaCalled(ctx context.Context, name string) (*schema.NamedSchema, error) {
	if n, ok := r.named.get(name); ok {
		return n, nil
	}
	for {
		seen := r.named.sight(name)
		row, ok, err := r.store.Get(ctx, schema.InstanceSchemas, schemaNameKey(name))
		if err != nil {
			return nil, fmt.Errorf("find schema %s: %w", name, err)
		}
		if !ok {
			return nil, nil
		}
		id, err := namedNumber(row)
		if err != nil {
			return nil, err
		}
		n, err := r.readNamed(ctx, id)
		if errors.Is(err, schema.ErrNotFound) { // dropped in between; the name may be another's now
			if again, ok, gerr := r.store.Get(ctx, schema.InstanceSchemas, schemaNameKey(name)); gerr != nil || !ok || !bytes.Equal(again, row) {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		r.named.found(name, n, seen)
		return n, nil
	}
}

// namedBy finds a named schema by its number, from memory where it can.
func (r *Registry) namedBy(ctx context.Context) func(schema.NamedSchemaID) (*schema.NamedSchema, error) {
	return func(id schema.NamedSchemaID) (*schema.NamedSchema, error) {
		name, ok := r.names.Get(id)
		if !ok {
			n, err := r.readNamed(ctx, id)
			if err != nil {
				return nil, err
			}
			name = n.Name
			r.names.Add(id, name) // for good
		}
		n, err := r.schemaCalled(ctx, name)
		if err == nil && (n == nil || n.ID != id) {
			err = fmt.Errorf("named schema %d: %w", id, schema.ErrNotFound)
		}
		return n, err
	}
}

// readNamed reads a named schema from the index.
func (r *Registry) readNamed(ctx context.Context, id schema.NamedSchemaID) (*schema.NamedSchema, error) {
	row, ok, err := r.store.Get(ctx, schema.InstanceSchemas, namedKey(id))
	if err != nil {
		return nil, fmt.Errorf("read named schema %d: %w", id, err)
	}
	if !ok {
		return nil, fmt.Errorf("named schema %d: %w", id, schema.ErrNotFound)
	}
	return decodeNamed(id, row, r.schemasBy(ctx))
}
