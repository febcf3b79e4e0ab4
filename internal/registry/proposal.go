package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
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
	outline
}

// outline is what a definition comes to, given the row that its collection has.
type outline struct {
	row    []byte
	exists bool // there is a row
	plan   definition.Plan
	cur    *schema.Collection // nil: there is none
	next   *schema.Collection // what it comes to; cur if there is nothing to do

	canonical []byte // the schema of next
	content   content
}

// basedOn reports whether the outline is by this row.
func (o *outline) basedOn(row []byte, exists bool) bool {
	return o.exists == exists && bytes.Equal(o.row, row)
}

// changes reports whether there is something to write.
func (p *proposal) changes() bool { return p.cur == nil || len(p.plan.Steps) > 0 }

// plans outlines the proposal by a row, or by there being none.
func (p *proposal) plans(row []byte, exists bool, schemas func(schema.SchemaID) (*schema.Schema, error)) (err error) {
	o := outline{row: row, exists: exists}
	if exists {
		if o.cur, err = decode([]byte(p.key), row, schemas); err != nil {
			return fmt.Errorf("decode collection %s: %w", p.def, err)
		}
	}
	if o.plan, err = definition.Evolve(o.cur, p.def); err != nil {
		return err
	}
	if o.cur != nil && len(o.plan.Steps) == 0 {
		o.next = o.cur
		p.outline = o
		return nil
	}
	o.next = &schema.Collection{
		Tenant: p.def.Tenant, Name: p.def.Collection, Schema: o.plan.Schema,
		Indexes: o.plan.Indexes, LastIndexID: o.plan.LastIndexID, Options: o.plan.Options, Created: p.now,
	}
	if o.cur != nil {
		o.next.Instance, o.next.Created = o.cur.Instance, o.cur.Created
	}
	o.canonical = definition.EncodeSchema(o.plan.Schema)
	o.content = sha256.Sum256(o.canonical)
	p.outline = o
	return nil
}

// findSchema gives a proposal's schema its number if that is durable. A number
// never changes, so it need not be looked for again.
func (r *Registry) findSchema(ctx context.Context, p *proposal) error {
	id, known := r.numbers.Get(p.content)
	if !known {
		row, ok, err := r.store.Get(ctx, schema.InstanceSchemas, contentKey(p.content))
		if err != nil {
			return fmt.Errorf("find schema by content: %w", err)
		}
		if !ok {
			return nil
		}
		if id, err = schemaNumber(row); err != nil {
			return err
		}
		r.numbers.Add(p.content, id)
	}
	s, err := r.Schema(ctx, id)
	if err != nil {
		return err
	}
	p.next.Schema = s
	return nil
}

func schemaNumber(row []byte) (schema.SchemaID, error) {
	if len(row) != 4 {
		return 0, fmt.Errorf("schema number of %d bytes: %w", len(row), schema.ErrCorrupt)
	}
	return schema.SchemaID(binary.BigEndian.Uint32(row)), nil
}

// numbering numbers what is new in a batch and gathers its records.
type numbering struct {
	r           *Registry
	s           Sequenced
	nextSeq     schema.Seq // of the next record in collections
	nextSchema  schema.Seq // of the next record in schemas
	collections []schema.Record
	schemas     []schema.Record
	fresh       map[content]*schema.Schema // numbered by this batch
}

func newNumbering(r *Registry, s Sequenced) (n *numbering, err error) {
	n = &numbering{r: r, s: s, fresh: map[content]*schema.Schema{}}
	if n.nextSeq, err = s.NextSeq(schema.InstanceCollections); err != nil {
		return nil, err
	}
	n.nextSchema, err = s.NextSeq(schema.InstanceSchemas)
	return n, err
}

// schema finds a schema that may not be durable yet, and so is not kept: its
// number may come to mean another.
func (n *numbering) schema(id schema.SchemaID) (*schema.Schema, error) {
	if s, ok := n.r.cachedSchema(id); ok {
		return s, nil
	}
	row, ok, err := n.s.Get(schema.InstanceSchemas, schemaKey(id))
	return decodeSchema(id, row, ok, err)
}

// add numbers a proposal's collection and schema. The proposal's next is made
// anew, as an earlier call may have numbered it otherwise.
func (n *numbering) add(p *proposal) error {
	next := *p.next
	if p.cur == nil {
		// The seq of the record that creates a collection is its own and never
		// comes back, so it numbers the instance.
		next.Instance = schema.FirstUserInstance + schema.Instance(n.nextSeq)
	}
	var err error
	if next.Schema, err = n.number(p); err != nil {
		return err
	}
	key := []byte(p.key)
	n.put(schema.Record{Op: schema.OpUpsert, Key: key, Row: encode(&next)})
	if p.cur == nil {
		n.put(schema.Record{Op: schema.OpInsert, Key: instanceKey(next.Instance), Row: key[1:]})
	}
	was, is := p.cur != nil && p.cur.Options.Lake == schema.LakePinned, next.Options.Lake == schema.LakePinned
	switch {
	case is && !was:
		n.put(schema.Record{Op: schema.OpUpsert, Key: pinnedKey(next.Instance)})
	case was && !is:
		n.put(schema.Record{Op: schema.OpDelete, Key: pinnedKey(next.Instance)})
	}
	p.next = &next
	return nil
}

// put adds a record of the collections.
func (n *numbering) put(r schema.Record) {
	n.collections = append(n.collections, r)
	n.nextSeq++
}

// number is the proposal's schema with its number, that of its content or a new
// one with the records that say so.
func (n *numbering) number(p *proposal) (*schema.Schema, error) {
	if id, ok := n.r.numbers.Get(p.content); ok {
		return n.schema(id)
	}
	if s := n.fresh[p.content]; s != nil {
		return s, nil
	}
	row, ok, err := n.s.Get(schema.InstanceSchemas, contentKey(p.content))
	if err != nil {
		return nil, fmt.Errorf("find schema by content: %w", err)
	}
	if ok {
		id, err := schemaNumber(row)
		if err != nil {
			return nil, err
		}
		return n.schema(id)
	}
	numbered := *p.plan.Schema
	numbered.ID = schema.SchemaID(n.nextSchema + 1)
	n.schemas = append(n.schemas,
		schema.Record{Op: schema.OpInsert, Key: schemaKey(numbered.ID), Row: p.canonical},
		schema.Record{Op: schema.OpInsert, Key: contentKey(p.content), Row: binary.BigEndian.AppendUint32(nil, uint32(numbered.ID))})
	n.nextSchema += 2
	n.fresh[p.content] = &numbered
	return &numbered, nil
}
