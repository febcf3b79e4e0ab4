package registry

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Keys of the two system collections; docs/format/catalog.md has them. The first
// byte is the kind of row.
//
//	InstanceCollections  'n' tenant 00 name → entry
//	                     'i' instance (8 B)  → tenant 00 name
//	                     'p' instance (8 B)  → empty: its lake option is pinned
//	                     'u' named (4 B)     → collections of a named schema
//	                     'u' named field (4 B each) → of them that need the field
//	InstanceSchemas      'i' number (4 B)    → canonical schema
//	                     'h' sha256 (32 B)   → number (4 B)
//	                     's' name            → number of a named schema (4 B)
//	                     'l' named (4 B)     → named schema
const (
	byName     = 'n'
	byInstance = 'i'
	byPinned   = 'p'
	byNumber   = 'i'
	byContent  = 'h'

	byUse        = 'u'
	bySchemaName = 's'
	byNamed      = 'l'
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

func pinnedKey(inst schema.Instance) []byte {
	return binary.BigEndian.AppendUint64([]byte{byPinned}, uint64(inst))
}

func schemaKey(id schema.SchemaID) []byte {
	return binary.BigEndian.AppendUint32([]byte{byNumber}, uint32(id))
}

func contentKey(sum content) []byte {
	return append([]byte{byContent}, sum[:]...)
}

func schemaNameKey(name string) []byte { return append([]byte{bySchemaName}, name...) }

func namedKey(id schema.NamedSchemaID) []byte {
	return binary.BigEndian.AppendUint32([]byte{byNamed}, uint32(id))
}

// use is what a row of uses counts: the collections of a named schema, or those
// that need one of its fields.
type use struct {
	named schema.NamedSchemaID
	field int // 0: the schema itself; with asItIs: of the type that it has
}

// asItIs marks the use of a field that cannot become wider either. No id reaches it.
const asItIs = 1 << 31

func (u use) key() []byte {
	key := binary.BigEndian.AppendUint32([]byte{byUse}, uint32(u.named))
	if u.field != 0 {
		key = binary.BigEndian.AppendUint32(key, uint32(u.field))
	}
	return key
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
