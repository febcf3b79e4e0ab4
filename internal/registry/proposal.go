package registry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// content names a schema by its canonical form.
type content [sha256.Size]byte

// proposal is a definition on its way into force.
type proposal struct {
	def definition.Definition
	key string
	now time.Time

	plan definition.Plan
	cur  *schema.Collection // nil: there is none
	next *schema.Collection // what it comes to; as cur if there is nothing to do

	canonical []byte // the schema of next, if that is its own
	content   content
}

// changes reports whether there is something to write.
func (p *proposal) changes() bool { return p.cur == nil || len(p.plan.Steps) > 0 }

func (p *proposal) kept() (string, *schema.Collection) { return p.key, p.next }

// plans outlines the proposal by what v reads.
func (p *proposal) plans(v *view) (err error) {
	if p.cur, err = v.collection([]byte(p.key)); err != nil {
		return fmt.Errorf("read collection %s: %w", p.def, err)
	}
	var named *schema.NamedSchema
	if p.def.Schema == "" {
		p.plan, err = definition.Evolve(p.cur, p.def)
	} else if named, err = p.named(v); err == nil {
		p.plan, err = definition.EvolveNamed(p.cur, p.def, named)
	}
	if err != nil {
		return err
	}
	if !p.changes() {
		p.next = p.cur
		if named != nil { // which may evolve beside
			p.next = asNamed(p.cur, named)
		}
		return nil
	}
	p.next = &schema.Collection{
		Tenant: p.def.Tenant, Name: p.def.Collection, Schema: p.plan.Schema,
		Indexes: p.plan.Indexes, LastIndexID: p.plan.LastIndexID, Options: p.plan.Options,
		Partitioned: p.plan.Partitioned, Created: p.now,
	}
	if p.cur != nil {
		p.next.Instance, p.next.Created = p.cur.Instance, p.cur.Created
	}
	if named != nil {
		p.next.Named, p.next.SchemaName = named.ID, named.Name
		return nil
	}
	p.canonical = definition.EncodeSchema(p.plan.Schema)
	p.content = sha256.Sum256(p.canonical)
	return nil
}

// named is the named schema that the definition asks for, as the batch leaves it.
func (p *proposal) named(v *view) (*schema.NamedSchema, error) {
	if n := v.planned[p.def.Schema]; n != nil {
		return n, nil
	}
	n, err := v.schemaCalled(p.def.Schema)
	if err == nil && n == nil {
		err = &schema.FieldError{Field: "schema", Value: strconv.Quote(p.def.Schema),
			Rule: "there is no schema of this name: apply it, a document with schema and fields, before its collections or with them"}
	}
	return n, err
}

// findSchemas gives the schemas of a batch their numbers if those are durable. A
// number never changes, so it need not be looked for again.
func (r *Registry) findSchemas(ctx context.Context, b *batch) error {
	for _, p := range b.schemas {
		if !p.changes() {
			continue
		}
		s, err := r.numberOf(ctx, p.content)
		if err != nil {
			return err
		}
		if s != nil {
			p.next.Schema = s
		}
	}
	for _, p := range b.collections {
		if p.next.Named != 0 || p.next.SchemaName != "" || !p.changes() {
			continue
		}
		s, err := r.numberOf(ctx, p.content)
		if err != nil {
			return err
		}
		if s != nil {
			p.next.Schema = s
		}
	}
	return nil
}

// numberOf is the durable schema of a content, or nil.
func (r *Registry) numberOf(ctx context.Context, of content) (*schema.Schema, error) {
	id, known := r.numbers.Get(of)
	if !known {
		row, ok, err := r.store.Get(ctx, schema.InstanceSchemas, contentKey(of))
		if err != nil {
			return nil, fmt.Errorf("find schema by content: %w", err)
		}
		if !ok {
			return nil, nil
		}
		if id, err = schemaNumber(row); err != nil {
			return nil, err
		}
		r.numbers.Add(of, id)
	}
	return r.Schema(ctx, id)
}

// numbered keeps a schema that is durable.
func (r *Registry) numbered(of content, s *schema.Schema) {
	r.schemas.Add(s.ID, s)
	r.numbers.Add(of, s.ID)
}

func schemaNumber(row []byte) (schema.SchemaID, error) {
	if len(row) != 4 {
		return 0, fmt.Errorf("schema number of %d bytes: %w", len(row), schema.ErrCorrupt)
	}
	return schema.SchemaID(binary.BigEndian.Uint32(row)), nil
}
