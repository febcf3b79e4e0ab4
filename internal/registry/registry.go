// Package registry holds what collections there are. Its data is two system
// collections in the log: definitions by (tenant, name) and by instance, and
// schemas by number and by content. So a definition is as durable as a write,
// is ordered with the writes around it, and costs an idle collection nothing
// but its rows in the key index.
//
// A change of definitions is decided when the channel sequences it, by all that
// was sequenced before, as an insert is. So any number of them are under way
// and share chunks, and each comes to what it would have come to alone.
package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
	// Append writes one atomic batch and returns when it is durable. Its records
	// are what decide gives when the batch's turn has come; they are of the
	// instances in writes, and decide may ask for the next seq of those. decide
	// runs without any other in between, perhaps more than once, each time from
	// the start; an error of it refuses the batch, once what it was decided on
	// is durable. An Append that fails otherwise may still be calling it.
	Append(ctx context.Context, writes []schema.Instance, decide func(Sequenced) ([]schema.Group, error)) error
}

// Sequenced is all that was sequenced before a batch, durable or not. It is
// good until decide returns.
type Sequenced interface {
	// Get reads the latest row under key, or reports that there is none.
	Get(inst schema.Instance, key []byte) (row []byte, ok bool, err error)
	// NextSeq is the seq that the batch's first record of inst gets.
	NextSeq(inst schema.Instance) (schema.Seq, error)
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
	cache   *cache[*schema.Collection]
	schemas *lru.Cache[schema.SchemaID, *schema.Schema]
	numbers *lru.Cache[content, schema.SchemaID] // of durable schemas
	named   *cache[*schema.NamedSchema]          // by name
	names   *lru.Cache[schema.NamedSchemaID, string]
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
	cache, err := newCache[*schema.Collection](o.CachedCollections)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	schemas, err := lru.New[schema.SchemaID, *schema.Schema](maxCachedSchemas)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	numbers, err := lru.New[content, schema.SchemaID](maxCachedSchemas)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	named, err := newCache[*schema.NamedSchema](maxCachedSchemas)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	names, err := lru.New[schema.NamedSchemaID, string](maxCachedSchemas)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return &Registry{store: o.Store, now: o.Now, cache: cache, schemas: schemas, numbers: numbers, named: named, names: names}, nil
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

// Pinned calls fn for every collection whose lake option is pinned, by instance,
// until fn answers false. Its cost is by their number.
func (r *Registry) Pinned(ctx context.Context, fn func(schema.Instance) (more bool, err error)) error {
	from, to := []byte{byPinned}, []byte{byPinned + 1}
	err := r.store.Range(ctx, schema.InstanceCollections, from, to, func(key, _ []byte) (bool, error) {
		if len(key) != 9 {
			return false, fmt.Errorf("pinned collection under a key of %d bytes: %w", len(key), schema.ErrCorrupt)
		}
		return fn(schema.Instance(binary.BigEndian.Uint64(key[1:])))
	})
	if err != nil {
		return fmt.Errorf("list pinned collections: %w", err)
	}
	return nil
}

// Schema is the schema with that number.
func (r *Registry) Schema(ctx context.Context, id schema.SchemaID) (*schema.Schema, error) {
	if s, ok := r.cachedSchema(id); ok {
		return s, nil
	}
	row, ok, err := r.store.Get(ctx, schema.InstanceSchemas, schemaKey(id))
	s, err := decodeSchema(id, row, ok, err)
	if err == nil {
		r.schemas.Add(id, s)
	}
	return s, err
}

func (r *Registry) cachedSchema(id schema.SchemaID) (*schema.Schema, bool) { return r.schemas.Get(id) }

// schemasBy is Schema within one call.
func (r *Registry) schemasBy(ctx context.Context) func(schema.SchemaID) (*schema.Schema, error) {
	return func(id schema.SchemaID) (*schema.Schema, error) { return r.Schema(ctx, id) }
}

// decodeSchema reads what a look-up of a schema gave.
func decodeSchema(id schema.SchemaID, row []byte, ok bool, err error) (*schema.Schema, error) {
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
	return s, nil
}

// change is a batch of the system collections.
type change struct {
	keys    []string // of the names of collections that it is about
	schemas []string // the names of schemas
	writes  []schema.Instance
	decide  func(Sequenced) ([]schema.Group, error)
	// What the names stand for once it has landed; nil: nothing.
	after func() map[string]*schema.Collection
	named func() map[string]*schema.NamedSchema
}

// change carries c out, and keeps the caches right.
func (r *Registry) change(ctx context.Context, c change) error {
	n, m := r.cache.begin(c.keys), r.named.begin(c.schemas)
	err := r.store.Append(ctx, c.writes, c.decide)
	o := landed
	switch {
	case errors.Is(err, schema.ErrUnknownOutcome):
		o = unknown
	case err != nil:
		o = failed
	}
	r.cache.end(n, c.keys, o, c.after)
	r.named.end(m, c.schemas, o, c.named)
	return err
}

func checkNames(tenant, name string) error {
	if err := definition.CheckName("tenant", tenant); err != nil {
		return err
	}
	return definition.CheckName("collection", name)
}
