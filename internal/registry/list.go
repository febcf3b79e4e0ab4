package registry

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// List is up to limit collections of a tenant whose names begin with prefix
// and come after the name after, in name order.
func (r *Registry) List(ctx context.Context, tenant, prefix, after string, limit int) ([]*schema.Collection, error) {
	if err := definition.CheckName("tenant", tenant); err != nil {
		return nil, err
	}
	from := nameKey(tenant, prefix)
	to := schema.PrefixEnd(from)
	if after != "" && after >= prefix {
		from = append(nameKey(tenant, after), 0)
	}
	var out []*schema.Collection
	err := r.store.Range(ctx, schema.InstanceCollections, from, to, func(key, row []byte) (bool, error) {
		c, err := r.asOfOneTime(ctx, key, row)
		if err != nil {
			return false, err
		}
		if c != nil {
			out = append(out, c)
		}
		return len(out) < limit, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list collections of %s: %w", tenant, err)
	}
	return out, nil
}

// Tenants is up to limit tenants that have collections and come after the name
// after, in name order. It costs one seek a tenant, however many collections
// each has.
func (r *Registry) Tenants(ctx context.Context, after string, limit int) ([]string, error) {
	end := []byte{byName + 1}
	from := []byte{byName}
	if after != "" {
		from = afterTenant(after)
	}
	var out []string
	for len(out) < limit {
		found := ""
		err := r.store.Range(ctx, schema.InstanceCollections, from, end, func(key, _ []byte) (bool, error) {
			tenant, _, err := splitName(key[1:])
			found = tenant
			return false, err
		})
		if err != nil {
			return nil, fmt.Errorf("list tenants: %w", err)
		}
		if found == "" {
			return out, nil
		}
		out = append(out, found)
		from = afterTenant(found)
	}
	return out, nil
}

// afterTenant is the first key behind all of a tenant's: names hold no byte
// below the separator's successor.
func afterTenant(tenant string) []byte {
	return append(append([]byte{byName}, tenant...), 1)
}
