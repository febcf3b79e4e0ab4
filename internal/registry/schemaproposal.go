package registry

import (
	"crypto/sha256"
	"time"

	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
)

// schemaProposal is the definition of a named schema on its way into force.
type schemaProposal struct {
	def definition.Schema
	now time.Time

	plan definition.Plan
	cur  *schema.NamedSchema // nil: there is none
	next *schema.NamedSchema // what it comes to; cur if there is nothing to do

	canonical []byte // the schema of next
	content   content
}

func (p *schemaProposal) changes() bool { return p.cur == nil || len(p.plan.Steps) > 0 }

func (p *schemaProposal) kept() (string, *schema.NamedSchema) { return p.def.Name, p.next }

// plans outlines the proposal by what v reads.
func (p *schemaProposal) plans(v *view) (err error) {
	if p.cur, err = v.schemaCalled(p.def.Name); err != nil {
		return err
	}
	if p.plan, err = definition.EvolveSchema(p.cur, p.def); err != nil {
		return err
	}
	p.canonical = definition.EncodeSchema(p.plan.Schema)
	p.content = sha256.Sum256(p.canonical)
	if !p.changes() {
		p.next = p.cur
		return nil
	}
	p.next = &schema.NamedSchema{Name: p.def.Name, Schema: p.plan.Schema, Created: p.now, Changed: p.now}
	if p.cur != nil {
		p.next.ID, p.next.Created = p.cur.ID, p.cur.Created
	}
	return nil
}

// free refuses to drop fields that collections need, and to widen those that they
// need as they are, of the collections that there are and those that the batch turns.
func (p *schemaProposal) free(v *view, turned uses) error {
	if p.cur == nil {
		return nil
	}
	for i := range p.cur.Schema.Fields {
		f := &p.cur.Schema.Fields[i]
		of, at := use{p.cur.ID, f.ID}, p.next.Schema.IndexID(f.ID)
		if at >= 0 {
			if p.next.Schema.Fields[at].Type.String() == f.Type.String() {
				continue
			}
			of.field |= asItIs
		}
		n, err := countUses(v.row, of)
		if err != nil {
			return err
		}
		switch n := int64(n) + turned[of]; {
		case n <= 0:
		case at >= 0:
			return definition.InUseAs(f.Name, f.Type, p.next.Schema.Fields[at].Type, uint64(n))
		default:
			return definition.InUse(f.Name, uint64(n))
		}
	}
	return nil
}
