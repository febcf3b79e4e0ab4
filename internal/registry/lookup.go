package registry

import (
	"bytes"
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// lookup is Get without the error for absence.
func (r *Registry) lookup(ctx context.Context, tenant, name string) (*schema.Collection, error) {
	key := nameKey(tenant, name)
	c, ok := r.cache.get(string(key))
	if ok && c.Named == 0 {
		return c, nil
	}
	if ok {
		n, err := r.namedBy(ctx)(c.Named)
		// Of a collection that has left the schema meanwhile, entry and schema would
		// be of two times.
		if again, ok := r.cache.get(string(key)); err == nil && ok && again == c {
			now := asNamed(c, n)
			if now != c {
				r.cache.refresh(string(key), c, now)
			}
			return now, nil
		}
	}
	seen := r.cache.sight(string(key))
	row, ok, err := r.store.Get(ctx, schema.InstanceCollections, key)
	if err != nil {
		return nil, fmt.Errorf("read collection %s/%s: %w", tenant, name, err)
	}
	if !ok {
		return nil, nil
	}
	if c, err = r.asOfOneTime(ctx, key, row); err != nil {
		return nil, fmt.Errorf("decode collection %s/%s: %w", tenant, name, err)
	}
	if c != nil {
		r.cache.found(string(key), c, seen)
	}
	return c, nil
}

// asOfOneTime decodes the row under a name's key, or what has taken its place while
// a named schema was read for it: an entry goes with no version of a schema that
// came after the collection had left it. nil means that it is gone.
func (r *Registry) asOfOneTime(ctx context.Context, key, row []byte) (*schema.Collection, error) {
	for {
		c, err := decode(key, row, r.schemasBy(ctx), r.namedBy(ctx))
		if err == nil && c.Named == 0 {
			return c, nil
		}
		again, ok, gerr := r.store.Get(ctx, schema.InstanceCollections, key)
		if gerr != nil {
			return nil, gerr
		}
		if !ok {
			return nil, nil
		}
		if bytes.Equal(row, again) {
			return c, err
		}
		row = again
	}
}
