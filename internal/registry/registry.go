// Package registry holds what collections there are. Its data is two system
// collections in the log: definitions by (tenant, name) and by instance, and
// schemas by number and by content. So a definition is as durable as a write,
// is ordered with the writes around it, and costs an idle collection nothing
// but its rows in the key index.
//
// One Registry changes definitions at a time on a channel; its appends carry
// the expected next seq, so that a second one is refused rather than wrong.
package registry

import (
	"context"
	"errors"
	"fmt"
	stdsync "sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// Store is the log and the key index as the registry sees them.
type Store interface {
	// Get reads the latest durable row under key, or reports that there is none.
	Get(ctx context.Context, inst schema.Instance, key []byte) (row []byte, ok bool, err error)
	// Range calls fn for the durable rows with from ≤ key < to, in key order,
	// until fn answers false. The slices are fn's only until it returns.
	Range(ctx context.Context, inst schema.Instance, from, to []byte, fn func(key, row []byte) (bool, error)) error
	// NextSeq is the seq that the next change of inst gets.
	NextSeq(ctx context.Context, inst schema.Instance) (schema.Seq, error)
	// Append writes the groups as one atomic batch and returns when it is
	// durable; ErrPrecondition if guard's next seq is not want.
	Append(ctx context.Context, groups []schema.Group, guard schema.Instance, want schema.Seq) error
}

// Options configure a Registry.
type Options struct {
	Store Store
	// CachedCollections bounds the definitions kept in memory. Default 10,000.
	CachedCollections int
	// Now is the clock for creation times. Default time.Now.
	Now func() time.Time
}

// Registry resolves names to collections and changes definitions. It is safe
// for concurrent use.
type Registry struct {
	store   Store
	now     func() time.Time
	ddl     stdsync.Mutex // one change of definitions at a time
	schemas *lru.Cache[schema.SchemaID, *schema.Schema]

	cacheMu     stdsync.Mutex // orders what readers cache with what DDL changed
	changes     uint64        // changes of definitions so far
	unsettled   bool          // one is being made, or nobody knows whether it was
	collections *lru.Cache[string, *schema.Collection]
}

// maxCachedSchemas bounds the decoded schemas in memory, a few KiB each.
const maxCachedSchemas = 4096

// New makes a Registry over store.
func New(o Options) (*Registry, error) {
	if o.CachedCollections == 0 {
		o.CachedCollections = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	collections, err := lru.New[string, *schema.Collection](o.CachedCollections)
	if err != nil {
		return nil, fmt.Errorf("open registry: cached collections %d: %w", o.CachedCollections, err)
	}
	schemas, err := lru.New[schema.SchemaID, *schema.Schema](maxCachedSchemas)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return &Registry{store: o.Store, now: o.Now, collections: collections, schemas: schemas}, nil
}

// Get is the collection called tenant/name; ErrNotFound if there is none.
func (r *Registry) Get(ctx context.Context, tenant, name string) (*schema.Collection, error) {
	if err := checkNames(tenant, name); err != nil {
		return nil, err
	}
	c, err := r.lookup(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("collection %s/%s: %w", tenant, name, schema.ErrNotFound)
	}
	return c, nil
}

// ByInstance is the collection that has this instance; ErrNotFound if it was
// dropped.
func (r *Registry) ByInstance(ctx context.Context, inst schema.Instance) (*schema.Collection, error) {
	name, ok, err := r.store.Get(ctx, schema.InstanceCollections, instanceKey(inst))
	if err != nil {
		return nil, fmt.Errorf("read instance %d: %w", inst, err)
	}
	if !ok {
		return nil, fmt.Errorf("instance %d: %w", inst, schema.ErrNotFound)
	}
	tenant, coll, err := splitName(name)
	if err != nil {
		return nil, err
	}
	c, err := r.lookup(ctx, tenant, coll)
	if err != nil {
		return nil, err
	}
	if c == nil || c.Instance != inst {
		return nil, fmt.Errorf("instance %d of %s/%s: %w", inst, tenant, coll, schema.ErrNotFound)
	}
	return c, nil
}

// Schema is the schema with that number.
func (r *Registry) Schema(ctx context.Context, id schema.SchemaID) (*schema.Schema, error) {
	if s, ok := r.schemas.Get(id); ok {
		return s, nil
	}
	row, ok, err := r.store.Get(ctx, schema.InstanceSchemas, schemaKey(id))
	if err != nil {
		return nil, fmt.Errorf("read schema %d: %w", id, err)
	}
	if !ok {
		return nil, fmt.Errorf("schema %d: %w", id, schema.ErrNotFound)
	}
	s, err := definition.DecodeSchema(row)
	if err != nil {
		return nil, fmt.Errorf("decode schema %d: %w", id, err)
	}
	s.ID = id
	r.schemas.Add(id, s)
	return s, nil
}

// lookup is Get without the error for absence.
func (r *Registry) lookup(ctx context.Context, tenant, name string) (*schema.Collection, error) {
	key := nameKey(tenant, name)
	if c, ok := r.collections.Get(string(key)); ok {
		return c, nil
	}
	seen := r.changesSoFar()
	row, ok, err := r.store.Get(ctx, schema.InstanceCollections, key)
	if err != nil {
		return nil, fmt.Errorf("read collection %s/%s: %w", tenant, name, err)
	}
	if !ok {
		return nil, nil
	}
	c, err := r.decode(ctx, row)
	if err != nil {
		return nil, fmt.Errorf("decode collection %s/%s: %w", tenant, name, err)
	}
	r.remember(key, c, seen)
	return c, nil
}

func (r *Registry) changesSoFar() uint64 {
	r.cacheMu.Lock()
	defer r.cacheMu.Unlock()
	return r.changes
}

// remember caches what a reader found, unless definitions changed since it
// began, or are changing: then it may have read what no longer is.
func (r *Registry) remember(key []byte, c *schema.Collection, seen uint64) {
	r.cacheMu.Lock()
	defer r.cacheMu.Unlock()
	if r.changes == seen && !r.unsettled {
		r.collections.Add(string(key), c)
	}
}

// change appends groups, which make what key names c, or free it if c is nil.
// From before the append on nothing is cached, as readers meet the change the
// moment that it is durable, which is before the append returns. An append
// whose outcome is unknown may land at any time after, so that nothing is
// cached until a later one has landed: the log has decided about the first
// then.
func (r *Registry) change(ctx context.Context, key []byte, c *schema.Collection, groups []schema.Group, seq schema.Seq) error {
	r.cacheMu.Lock()
	before := r.unsettled
	r.unsettled = true
	r.changes++
	r.collections.Remove(string(key))
	r.cacheMu.Unlock()

	err := r.store.Append(ctx, groups, schema.InstanceCollections, seq)

	r.cacheMu.Lock()
	defer r.cacheMu.Unlock()
	r.changes++
	switch {
	case err == nil:
		r.unsettled = false
		if c != nil {
			r.collections.Add(string(key), c)
		}
	case !errors.Is(err, schema.ErrUnknownOutcome):
		r.unsettled = before // it had no effect
	}
	return err
}

func checkNames(tenant, name string) error {
	if err := definition.CheckName("tenant", tenant); err != nil {
		return err
	}
	return definition.CheckName("collection", name)
}
