package definition

import (
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

const adoptRule = "a collection takes a named schema only where its fields keep their ids, by which its rows are read: " +
	"make a collection of the schema and write the rows there"

// adopt compares the fields that a collection has with those of a schema that
// evolved by itself. Names and ids must tell the same: of two fields that only
// one of them makes the same, nobody could say whose values the rows have.
func (e *evolver) adopt(cur, next *schema.Schema) {
	if next.LastFieldID < cur.LastFieldID {
		// The schema would give out ids again under which rows have other values.
		e.refuse("fields", fmt.Sprintf("field ids up to %d to ids up to %d", cur.LastFieldID, next.LastFieldID),
			"the schema would give its next fields ids that the collection has used: "+adoptRule)
	}
	e.adoptFields(cur.Fields, next.Fields, "", cur.LastFieldID)
	e.sameKey(cur, next)
}

func (e *evolver) adoptFields(cur, next []schema.Field, path string, last int) {
	for i := range next {
		n := &next[i]
		name := join(path, n.Name)
		byID := slices.IndexFunc(cur, func(f schema.Field) bool { return f.ID == n.ID })
		byName := slices.IndexFunc(cur, func(f schema.Field) bool { return f.Name == n.Name })
		switch {
		case byID != byName && byName >= 0:
			e.refuse(name, fmt.Sprintf("id %d to %d", cur[byName].ID, n.ID), adoptRule)
		case byID != byName:
			e.refuse(name, fmt.Sprintf("id %d, which is %s", n.ID, quote(join(path, cur[byID].Name))), adoptRule)
		case byID >= 0:
			e.adoptField(&cur[byID], n, name, last)
		case n.ID <= last:
			e.refuse(name, fmt.Sprintf("id %d, which another field had", n.ID), adoptRule)
		case n.Required:
			e.refuse(name, "new and required", "Iceberg adds fields as optional, since rows that exist have no value: "+adoptRule)
		default:
			e.step(StepAdd, name, "optional %s", n.Type)
		}
	}
	for i := range cur {
		if !slices.ContainsFunc(next, func(f schema.Field) bool { return f.ID == cur[i].ID || f.Name == cur[i].Name }) {
			e.step(StepDrop, join(path, cur[i].Name), "%s", cur[i].Type)
		}
	}
}

// adoptField compares a field with what goes on under its name and id.
func (e *evolver) adoptField(cur, next *schema.Field, path string, last int) {
	switch {
	case cur.Required && !next.Required:
		e.step(StepOptional, path, "no longer required")
	case !cur.Required && next.Required:
		e.refuse(path, "optional to required",
			"Iceberg never makes an optional field required, since there may be nulls: "+adoptRule)
	}
	switch c, n := cur.Type, next.Type; {
	case c.Kind == n.Kind && c.Kind == schema.KindMap && c.MapKey().Type.String() != n.MapKey().Type.String():
		e.refuse(join(path, keyName), c.MapKey().Type.String()+" to "+n.MapKey().Type.String(),
			"Iceberg never changes the keys of a map: "+adoptRule)
	case c.Kind == n.Kind && c.Nested():
		e.adoptFields(c.Fields, n.Fields, path, last)
	case c.String() == n.String():
	case widens(c, n):
		e.step(StepWiden, path, "%s to %s", c, n)
	default:
		e.refuse(path, c.String()+" to "+n.String(),
			"Iceberg only widens int to long, float to double, and a decimal's precision at the same scale: "+adoptRule)
	}
}
