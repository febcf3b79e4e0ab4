package registry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// maxDDLRetries bounds how often a change of definitions is planned again
// because another one came between; more means another writer on the channel.
const maxDDLRetries = 8

// Apply creates the collection or evolves it to d, durably, and tells what it
// did; with dryRun it tells what it would do. Nothing to do is no write.
func (r *Registry) Apply(ctx context.Context, d definition.Definition, dryRun bool) (definition.Plan, *schema.Collection, error) {
	if err := d.Validate(); err != nil {
		return definition.Plan{}, nil, err
	}
	if err := checkNames(d.Tenant, d.Collection); err != nil {
		return definition.Plan{}, nil, err
	}
	r.ddl.Lock()
	defer r.ddl.Unlock()
	for range maxDDLRetries {
		plan, c, err := r.applyOnce(ctx, d, dryRun)
		if !errors.Is(err, schema.ErrPrecondition) {
			return plan, c, err
		}
	}
	return definition.Plan{}, nil, fmt.Errorf("apply %s/%s: definitions keep changing: %w", d.Tenant, d.Collection, schema.ErrConflict)
}

func (r *Registry) applyOnce(ctx context.Context, d definition.Definition, dryRun bool) (definition.Plan, *schema.Collection, error) {
	cur, err := r.lookup(ctx, d.Tenant, d.Collection)
	if err != nil {
		return definition.Plan{}, nil, err
	}
	plan, err := definition.Evolve(cur, d)
	if err != nil {
		return plan, nil, err
	}
	if cur != nil && len(plan.Steps) == 0 {
		return plan, cur, nil
	}
	if err := offered(plan); err != nil {
		return plan, nil, fmt.Errorf("apply %s/%s: %w", d.Tenant, d.Collection, err)
	}
	next := &schema.Collection{
		Tenant: d.Tenant, Name: d.Collection, Schema: plan.Schema,
		Indexes: plan.Indexes, Options: plan.Options, Created: r.now().UTC(),
	}
	if cur != nil {
		next.Instance, next.Created = cur.Instance, cur.Created
	}
	if dryRun {
		return plan, next, nil
	}
	if err := r.write(ctx, next, cur == nil); err != nil {
		return plan, nil, fmt.Errorf("apply %s: %w", next, err)
	}
	return plan, next, nil
}

// offered refuses options that the stores do not serve yet, rather than
// accepting a promise that nobody keeps.
func offered(p definition.Plan) error {
	if p.Options.LakeFormat > 2 {
		return fmt.Errorf("option lake_format %d is %w yet; leave it out for 2", p.Options.LakeFormat, schema.ErrUnsupported)
	}
	if p.Options.BeforeImages {
		return fmt.Errorf("option before_images is %w yet; leave it out", schema.ErrUnsupported)
	}
	for _, ix := range p.Indexes {
		if ix.Unique {
			return fmt.Errorf("unique index %s is %w yet; leave out unique", ix.Name, schema.ErrUnsupported)
		}
	}
	return nil
}

// write numbers what is new, appends it as one batch and caches it.
func (r *Registry) write(ctx context.Context, c *schema.Collection, created bool) error {
	seq, err := r.store.NextSeq(ctx, schema.InstanceCollections)
	if err != nil {
		return err
	}
	if created {
		// The seq of the record that creates a collection is its own and never
		// comes back, so it numbers the instance.
		c.Instance = schema.FirstUserInstance + schema.Instance(seq)
	}
	schemaRecords, err := r.numberSchema(ctx, c)
	if err != nil {
		return err
	}
	row, err := encode(c)
	if err != nil {
		return err
	}
	key := nameKey(c.Tenant, c.Name)
	records := []schema.Record{{Op: schema.OpUpsert, Key: key, Row: row}}
	if created {
		records = append(records, schema.Record{Op: schema.OpInsert, Key: instanceKey(c.Instance), Row: key[1:]})
	}
	groups := []schema.Group{{Instance: schema.InstanceCollections, Records: records}}
	if len(schemaRecords) > 0 {
		groups = append(groups, schema.Group{Instance: schema.InstanceSchemas, Records: schemaRecords})
	}
	if err := r.change(ctx, key, c, groups, seq); err != nil {
		return err
	}
	r.schemas.Add(c.Schema.ID, c.Schema)
	return nil
}

// numberSchema gives c's schema the number of its content, or a new one with
// the records that say so.
func (r *Registry) numberSchema(ctx context.Context, c *schema.Collection) ([]schema.Record, error) {
	canonical := definition.EncodeSchema(c.Schema)
	content := contentKey(sha256.Sum256(canonical))
	row, ok, err := r.store.Get(ctx, schema.InstanceSchemas, content)
	if err != nil {
		return nil, fmt.Errorf("find schema by content: %w", err)
	}
	if ok {
		if len(row) != 4 {
			return nil, fmt.Errorf("schema number of %d bytes: %w", len(row), schema.ErrCorrupt)
		}
		c.Schema, err = r.Schema(ctx, schema.SchemaID(binary.BigEndian.Uint32(row)))
		return nil, err
	}
	seq, err := r.store.NextSeq(ctx, schema.InstanceSchemas)
	if err != nil {
		return nil, err
	}
	numbered := *c.Schema
	numbered.ID = schema.SchemaID(seq + 1)
	c.Schema = &numbered
	return []schema.Record{
		{Op: schema.OpInsert, Key: schemaKey(numbered.ID), Row: canonical},
		{Op: schema.OpInsert, Key: content, Row: binary.BigEndian.AppendUint32(nil, uint32(numbered.ID))},
	}, nil
}

// Drop ends the collection: from the ack on its name is free. Its space comes
// back in the background.
func (r *Registry) Drop(ctx context.Context, tenant, name string) (*schema.Collection, error) {
	if err := checkNames(tenant, name); err != nil {
		return nil, err
	}
	r.ddl.Lock()
	defer r.ddl.Unlock()
	c, err := r.Get(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	seq, err := r.store.NextSeq(ctx, schema.InstanceCollections)
	if err != nil {
		return nil, fmt.Errorf("drop %s: %w", c, err)
	}
	key := nameKey(tenant, name)
	groups := []schema.Group{
		{Instance: schema.InstanceCollections, Records: []schema.Record{
			{Op: schema.OpDelete, Key: key},
			{Op: schema.OpDelete, Key: instanceKey(c.Instance)},
		}},
		{Instance: schema.InstanceGuards, Records: []schema.Record{{Op: schema.OpDelete, Key: schema.GuardKey(c.Instance)}}},
	}
	if err := r.change(ctx, key, nil, groups, seq); err != nil {
		return nil, fmt.Errorf("drop %s: %w", c, err)
	}
	return c, nil
}
