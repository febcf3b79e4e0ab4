package definition

import (
	"fmt"
	"strings"

	"github.com/trinedb/trine/schema"
)

// Schema is a named schema as a file states it: what collections that say its
// name have instead of fields and a key of their own.
type Schema struct {
	Name   string     `json:"schema"`
	Fields []FieldDef `json:"fields"`
	Key    []string   `json:"key,omitempty"`
}

// File is what a collection file holds: named schemas, and collections. A
// collection may be of a schema that comes after it, or that is not in the file.
type File struct {
	Schemas     []Schema
	Collections []Definition
}

// String is the schema's name as messages tell it.
func (s Schema) String() string { return "schema " + s.Name }

// UnmarshalJSON reads what ParseSchema reads, with its checks.
func (s *Schema) UnmarshalJSON(data []byte) error {
	parsed, err := ParseSchema(data)
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// Validate checks all that a named schema says by itself.
func (s Schema) Validate() error {
	var c checker
	c.namedSchema(s)
	return c.err()
}

func (c *checker) namedSchema(s Schema) {
	if rule := nameRule("schema", s.Name); rule != "" {
		c.add(c.at.names+"/schema", "schema", quote(s.Name), rule)
	}
	if len(s.Fields) == 0 {
		c.add(c.at.fields, "fields", "", "a schema needs at least one field: add - {name: id, type: string}; "+
			"to make a collection of a schema that there is, name the collection beside it")
		return
	}
	c.body(Definition{Fields: s.Fields, Key: s.Key})
}

// FromNamed is the definition that gives n.
func FromNamed(n *schema.NamedSchema) Schema {
	return Schema{Name: n.Name, Fields: defsOf(n.Schema.Fields), Key: keyNames(n.Schema)}
}

func keyNames(s *schema.Schema) []string {
	var names []string
	for _, i := range s.Key {
		names = append(names, s.Fields[i].Name)
	}
	return names
}

// EvolveSchema plans how cur becomes what d asks for, by the rules of Evolve; a
// nil cur plans its creation.
func EvolveSchema(cur *schema.NamedSchema, d Schema) (Plan, error) {
	if cur == nil {
		if err := d.Validate(); err != nil {
			return Plan{}, err
		}
		e := &evolver{}
		s := e.freshSchema(d.Fields, d.Key)
		e.step(StepCreate, d.String(), "%s, %s", plural(len(d.Fields), "field"), keyDetail(s, d.Key))
		return Plan{Schema: s, Steps: e.steps}, nil
	}
	if d.Name == "" {
		d.Name = cur.Name
	}
	if d.Name != cur.Name {
		return Plan{}, problem(0, quote(d.Name), "the definition is of another schema than "+cur.Name)
	}
	e := &evolver{last: cur.Schema.LastFieldID}
	e.keptKey(cur.Schema, d.Fields)
	if err := e.err(); err != nil {
		return Plan{}, err
	}
	if err := d.Validate(); err != nil {
		return Plan{}, err
	}
	next := e.schema(cur.Schema, d.Fields, d.Key)
	if err := e.err(); err != nil {
		return Plan{}, err
	}
	return Plan{Schema: next, Steps: e.steps}, nil
}

// EvolveNamed is Evolve for a definition that names a schema, which is named.
//
// A collection that had other fields takes the schema's if they continue its own:
// its rows are found by the ids of fields, so a field has the id that it had, and
// what is new has an id that the collection never gave out.
func EvolveNamed(cur *schema.Collection, d Definition, named *schema.NamedSchema) (Plan, error) {
	if cur != nil {
		var err error
		if d, err = namedAs(cur, d); err != nil {
			return Plan{}, err
		}
	}
	if err := d.Validate(); err != nil {
		return Plan{}, err
	}
	d.Schema, d.Fields, d.Key = "", defsOf(named.Schema.Fields), keyNames(named.Schema)
	if err := d.Validate(); err != nil { // what depends on the fields
		return Plan{}, err
	}
	if cur == nil {
		return createWith(named.Schema, "schema "+named.Name+", ", d)
	}
	e := &evolver{last: named.Schema.LastFieldID}
	if cur.Named == 0 || cur.Named != named.ID {
		instead := "instead of fields of its own"
		if cur.Named != 0 {
			instead = "instead of schema " + cur.SchemaName
		}
		e.step(StepSchema, named.Name, "%s", instead)
		e.adopt(cur.Schema, named.Schema)
		if err := e.err(); err != nil {
			return Plan{}, err
		}
	}
	return e.finish(cur, named.Schema, d)
}

// keyDetail tells of a key in the plan of a creation.
func keyDetail(s *schema.Schema, key []string) string {
	if !s.Keyed() {
		return "append-only"
	}
	return "key " + strings.Join(key, ", ")
}

// InUse is why a field of a named schema, which so many collections have in a
// secondary index or in the layout of their tables, cannot be dropped.
func InUse(field string, collections uint64) *Incompatible {
	return &Incompatible{Problems: schema.FieldErrors{{Field: field, Value: "dropped", Rule: fmt.Sprintf(
		"secondary indexes of %s are on it, or their tables are sorted by it, or are or were partitioned by it: "+
			"remove those indexes and orders first, or keep the field", plural(int(collections), "collection"))}}}
}

// InUseAs is why such a field cannot become wider.
func InUseAs(field string, from, to schema.Type, collections uint64) *Incompatible {
	return &Incompatible{Problems: schema.FieldErrors{{Field: field, Value: fmt.Sprintf("%s to %s", from, to), Rule: fmt.Sprintf(
		"the tables of %s are or were partitioned by it, and their files and metadata refer to it: add a field of the new type",
		plural(int(collections), "collection"))}}}
}
