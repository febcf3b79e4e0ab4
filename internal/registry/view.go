package registry

import (
	"bytes"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// view is what a batch of definitions is planned by: the rows of the two system
// collections, each read once, and what the batch makes of named schemas.
type view struct {
	get     func(schema.Instance, []byte) ([]byte, bool, error)
	schemas func(schema.SchemaID) (*schema.Schema, error)

	seen    map[place]found
	named   map[schema.NamedSchemaID]*schema.NamedSchema // decoded from what was seen
	planned map[string]*schema.NamedSchema               // by name, as the batch leaves them
}

type place struct {
	inst schema.Instance
	key  string
}

type found struct {
	row []byte
	ok  bool
}

func newView(get func(schema.Instance, []byte) ([]byte, bool, error), schemas func(schema.SchemaID) (*schema.Schema, error)) *view {
	return &view{
		get: get, schemas: schemas, seen: map[place]found{},
		named: map[schema.NamedSchemaID]*schema.NamedSchema{}, planned: map[string]*schema.NamedSchema{},
	}
}

func (v *view) row(inst schema.Instance, key []byte) ([]byte, bool, error) {
	at := place{inst, string(key)}
	if f, ok := v.seen[at]; ok {
		return f.row, f.ok, nil
	}
	row, ok, err := v.get(inst, key)
	if err != nil {
		return nil, false, err
	}
	v.seen[at] = found{row, ok}
	return row, ok, nil
}

// holds reports whether all that was seen is so in what get reads.
func (v *view) holds(get func(schema.Instance, []byte) ([]byte, bool, error)) (bool, error) {
	for at, was := range v.seen {
		row, ok, err := get(at.inst, []byte(at.key))
		if err != nil {
			return false, err
		}
		if ok != was.ok || !bytes.Equal(row, was.row) {
			return false, nil
		}
	}
	return true, nil
}

// namedSchema finds a named schema by its number, before the batch.
func (v *view) namedSchema(id schema.NamedSchemaID) (*schema.NamedSchema, error) {
	if n := v.named[id]; n != nil {
		return n, nil
	}
	row, ok, err := v.row(schema.InstanceSchemas, namedKey(id))
	if err != nil {
		return nil, fmt.Errorf("read named schema %d: %w", id, err)
	}
	if !ok {
		return nil, fmt.Errorf("named schema %d: %w", id, schema.ErrNotFound)
	}
	n, err := decodeNamed(id, row, v.schemas)
	if err == nil {
		v.named[id] = n
	}
	return n, err
}

// schemaCalled finds a named schema by its name, before the batch; nil if there is
// none.
func (v *view) schemaCalled(name string) (*schema.NamedSchema, error) {
	row, ok, err := v.row(schema.InstanceSchemas, schemaNameKey(name))
	if err != nil {
		return nil, fmt.Errorf("find schema %s: %w", name, err)
	}
	if !ok {
		return nil, nil
	}
	id, err := namedNumber(row)
	if err != nil {
		return nil, err
	}
	return v.namedSchema(id)
}

// collection decodes the entry under a name's key; nil if there is none.
func (v *view) collection(key []byte) (*schema.Collection, error) {
	row, ok, err := v.row(schema.InstanceCollections, key)
	if err != nil || !ok {
		return nil, err
	}
	return decode(key, row, v.schemas, v.namedSchema)
}
