package registry

import (
	"encoding/binary"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// numbering numbers what is new in a batch and gathers its records.
type numbering struct {
	r           *Registry
	s           Sequenced
	nextSeq     schema.Seq // of the next record in collections
	nextSchema  schema.Seq // of the next record in schemas
	collections []schema.Record
	schemas     []schema.Record
	fresh       map[content]*schema.Schema     // numbered by this batch
	named       map[string]*schema.NamedSchema // that this batch makes or evolves
}

func newNumbering(r *Registry, s Sequenced) (n *numbering, err error) {
	n = &numbering{r: r, s: s, fresh: map[content]*schema.Schema{}, named: map[string]*schema.NamedSchema{}}
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

// addSchema numbers the schema of a proposal, and the name if that is new. The
// proposal's next is made anew, as an earlier call may have numbered it otherwise.
func (n *numbering) addSchema(p *schemaProposal) error {
	if !p.changes() {
		return nil
	}
	next := *p.next
	var err error
	if next.Schema, err = n.number(p.content, p.canonical, p.plan.Schema); err != nil {
		return err
	}
	op := schema.OpUpsert
	if p.cur == nil {
		// The seq of this record is its own and never comes back.
		op, next.ID = schema.OpInsert, schema.NamedSchemaID(n.nextSchema+1)
		n.putSchema(schema.Record{Op: schema.OpInsert, Key: schemaNameKey(next.Name), Row: binary.BigEndian.AppendUint32(nil, uint32(next.ID))})
	}
	n.putSchema(schema.Record{Op: op, Key: namedKey(next.ID), Row: encodeNamed(&next)})
	p.next = &next
	n.named[next.Name] = &next
	return nil
}

// add numbers a proposal's collection and its schema, as addSchema does.
func (n *numbering) add(p *proposal) error {
	next := *p.next
	if named := n.named[next.SchemaName]; next.SchemaName != "" && named != nil {
		next.Named, next.Schema = named.ID, named.Schema
	}
	if !p.changes() {
		p.next = &next
		return nil
	}
	if p.cur == nil {
		// The seq of the record that creates a collection is its own and never
		// comes back, so it numbers the instance.
		next.Instance = schema.FirstUserInstance + schema.Instance(n.nextSeq)
	}
	if next.SchemaName == "" {
		var err error
		if next.Schema, err = n.number(p.content, p.canonical, p.plan.Schema); err != nil {
			return err
		}
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

// putSchema adds a record of the schemas.
func (n *numbering) putSchema(r schema.Record) {
	n.schemas = append(n.schemas, r)
	n.nextSchema++
}

// number is a planned schema with its number, that of its content or a new one with
// the records that say so.
func (n *numbering) number(of content, canonical []byte, planned *schema.Schema) (*schema.Schema, error) {
	if id, ok := n.r.numbers.Get(of); ok {
		return n.schema(id)
	}
	if s := n.fresh[of]; s != nil {
		return s, nil
	}
	row, ok, err := n.s.Get(schema.InstanceSchemas, contentKey(of))
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
	numbered := *planned
	numbered.ID = schema.SchemaID(n.nextSchema + 1)
	n.putSchema(schema.Record{Op: schema.OpInsert, Key: schemaKey(numbered.ID), Row: canonical})
	n.putSchema(schema.Record{Op: schema.OpInsert, Key: contentKey(of), Row: binary.BigEndian.AppendUint32(nil, uint32(numbered.ID))})
	n.fresh[of] = &numbered
	return &numbered, nil
}
