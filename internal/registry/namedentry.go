package registry

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/trinedb/trine/schema"
)

// namedForm begins a named schema as the log holds it; docs/format/catalog.md has
// its bytes.
const namedForm = 0x01

func encodeNamed(n *schema.NamedSchema) []byte {
	b := make([]byte, 0, 24+len(n.Name))
	b = append(b, namedForm)
	b = binary.AppendUvarint(b, uint64(n.Schema.ID))
	b = binary.AppendVarint(b, n.Created.UnixMicro())
	b = binary.AppendVarint(b, n.Changed.UnixMicro())
	return appendText(b, n.Name)
}

// decodeNamed reads the row of the named schema id, its fields found by schemas.
func decodeNamed(id schema.NamedSchemaID, row []byte, schemas func(schema.SchemaID) (*schema.Schema, error)) (*schema.NamedSchema, error) {
	d := entryDecoder{rest: row}
	d.want(d.byte() == namedForm)
	n := &schema.NamedSchema{ID: id}
	number := schema.SchemaID(d.atMost(math.MaxUint32))
	n.Created = time.UnixMicro(d.varint()).UTC()
	n.Changed = time.UnixMicro(d.varint()).UTC()
	n.Name = d.text()
	d.want(n.Name != "" && len(d.rest) == 0)
	if d.bad {
		return nil, fmt.Errorf("named schema %d of %d bytes, wrong %d before its end: %w", id, len(row), len(d.rest), schema.ErrCorrupt)
	}
	var err error
	n.Schema, err = schemas(number)
	return n, err
}

func namedNumber(row []byte) (schema.NamedSchemaID, error) {
	if len(row) != 4 {
		return 0, fmt.Errorf("number of a named schema of %d bytes: %w", len(row), schema.ErrCorrupt)
	}
	return schema.NamedSchemaID(binary.BigEndian.Uint32(row)), nil
}
