package registry

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// Keys of the two system collections. The first byte is the kind of row.
//
//	InstanceCollections  'n' tenant 00 name → entry (JSON)
//	                     'i' instance (8 B)  → tenant 00 name
//	InstanceSchemas      'i' number (4 B)    → canonical schema
//	                     'h' sha256 (32 B)   → number (4 B)
const (
	byName     = 'n'
	byInstance = 'i'
	byNumber   = 'i'
	byContent  = 'h'
)

func nameKey(tenant, name string) []byte {
	key := make([]byte, 0, 2+len(tenant)+len(name))
	key = append(key, byName)
	key = append(key, tenant...)
	key = append(key, 0)
	return append(key, name...)
}

func instanceKey(inst schema.Instance) []byte {
	return binary.BigEndian.AppendUint64([]byte{byInstance}, uint64(inst))
}

func schemaKey(id schema.SchemaID) []byte {
	return binary.BigEndian.AppendUint32([]byte{byNumber}, uint32(id))
}

func contentKey(sum content) []byte {
	return append([]byte{byContent}, sum[:]...)
}

func splitName(full []byte) (tenant, name string, err error) {
	t, n, ok := bytes.Cut(full, []byte{0})
	if !ok {
		return "", "", fmt.Errorf("collection name %q: %w", full, schema.ErrCorrupt)
	}
	return string(t), string(n), nil
}

// DroppedInstance tells whether a record of InstanceCollections ends the life
// of an instance, and of which.
func DroppedInstance(rec schema.Record) (schema.Instance, bool) {
	if rec.Op != schema.OpDelete || len(rec.Key) != 9 || rec.Key[0] != byInstance {
		return 0, false
	}
	return schema.Instance(binary.BigEndian.Uint64(rec.Key[1:])), true
}

// entry is a collection's definition as the log holds it.
type entry struct {
	Tenant   string          `json:"tenant"`
	Name     string          `json:"name"`
	Instance schema.Instance `json:"instance"`
	Schema   schema.SchemaID `json:"schema"`
	Indexes  []entryIndex    `json:"indexes,omitempty"`
	Options  entryOptions    `json:"options"`
	Created  time.Time       `json:"created"`

	LastIndexID schema.IndexID `json:"last_index_id,omitempty"`
}

// entryIndex is a schema.IndexSpec with its ids.
type entryIndex struct {
	ID       schema.IndexID `json:"id"`
	Name     string         `json:"name"`
	Fields   []string       `json:"fields"`
	FieldIDs []int          `json:"field_ids"`
	Unique   bool           `json:"unique,omitempty"`
}

func (e *entry) indexes() []schema.IndexSpec {
	var list []schema.IndexSpec
	for _, x := range e.Indexes {
		if x.ID != 0 { // else from before indexes were built: it is to be applied again
			list = append(list, schema.IndexSpec{Name: x.Name, Fields: x.Fields, Unique: x.Unique, ID: x.ID, FieldIDs: x.FieldIDs})
		}
	}
	return list
}

// entryOptions are schema.Options with names that stay when Go's change.
type entryOptions struct {
	LogRetention  time.Duration   `json:"log_retention_ns"`
	Lake          schema.LakeMode `json:"lake"`
	LakeFreshness time.Duration   `json:"lake_freshness_ns"`
	LakeFormat    int             `json:"lake_format"`
	BeforeImages  bool            `json:"before_images,omitempty"`
}

func encode(c *schema.Collection) ([]byte, error) {
	e := entry{
		Tenant: c.Tenant, Name: c.Name, Instance: c.Instance, Schema: c.Schema.ID,
		Options: entryOptions(c.Options), Created: c.Created, LastIndexID: c.LastIndexID,
	}
	for _, x := range c.Indexes {
		e.Indexes = append(e.Indexes, entryIndex{ID: x.ID, Name: x.Name, Fields: x.Fields, FieldIDs: x.FieldIDs, Unique: x.Unique})
	}
	return json.Marshal(e)
}

// DefinedIndexes reads what a record of InstanceCollections says of a
// collection's secondary indexes; ok is false for one that is no definition.
func DefinedIndexes(rec schema.Record) (inst schema.Instance, list []schema.IndexSpec, ok bool, err error) {
	if rec.Op == schema.OpDelete || len(rec.Key) == 0 || rec.Key[0] != byName {
		return 0, nil, false, nil
	}
	var e entry
	if err := json.Unmarshal(rec.Row, &e); err != nil {
		return 0, nil, false, fmt.Errorf("definition %q: %w: %w", rec.Key[1:], schema.ErrCorrupt, err)
	}
	return e.Instance, e.indexes(), true, nil
}

// decode reads an entry, its schema found by schemas.
func decode(row []byte, schemas func(schema.SchemaID) (*schema.Schema, error)) (*schema.Collection, error) {
	var e entry
	if err := json.Unmarshal(row, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", schema.ErrCorrupt, err)
	}
	s, err := schemas(e.Schema)
	if err != nil {
		return nil, err
	}
	return &schema.Collection{
		Tenant: e.Tenant, Name: e.Name, Instance: e.Instance, Schema: s,
		Indexes: e.indexes(), LastIndexID: e.LastIndexID, Options: schema.Options(e.Options), Created: e.Created,
	}, nil
}
