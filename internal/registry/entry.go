package registry

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/trinedb/trine/schema"
)

// An entry is a collection's definition as the log holds it;
// docs/format/catalog.md has its bytes.
const (
	entryForm      = 0x01
	entryFormNamed = 0x02 // of a named schema
)

// The members of an entry, in their order.
const (
	memberRetention    = 0x01
	memberLake         = 0x02
	memberFreshness    = 0x03
	memberFormat       = 0x04
	memberBeforeImages = 0x05
	memberLastIndexID  = 0x06
	memberIndex        = 0x07
	// memberRetentionBytes has a number after the indexes', which came first.
	memberRetentionBytes = 0x08
)

// The members of how the table is laid out.
const (
	memberPartition   = 0x09
	memberSort        = 0x0a
	memberPartitioned = 0x0b
)

// The flags of a sort field.
const (
	sortDesc      = 1
	sortNullsLast = 2
)

// leftOut are the options of an entry that has no members. They are part of the
// format and stay when the defaults of new collections change.
var leftOut = schema.Options{
	LogRetention: 7 * 24 * time.Hour, Lake: schema.LakeAuto, LakeFreshness: 5 * time.Minute, LakeFormat: 2,
}

// encode is c's entry; its names are in the key.
func encode(c *schema.Collection) []byte {
	b := make([]byte, 0, 32)
	if c.Named == 0 {
		b = binary.AppendUvarint(append(b, entryForm), uint64(c.Instance))
		b = binary.AppendUvarint(b, uint64(c.Schema.ID))
	} else {
		b = binary.AppendUvarint(append(b, entryFormNamed), uint64(c.Instance))
		b = binary.AppendUvarint(b, uint64(c.Named))
	}
	b = binary.AppendVarint(b, c.Created.UnixMicro())
	o := c.Options
	if o.LogRetention != leftOut.LogRetention {
		b = binary.AppendUvarint(append(b, memberRetention), uint64(o.LogRetention))
	}
	if o.Lake != leftOut.Lake {
		b = appendText(append(b, memberLake), string(o.Lake))
	}
	if o.LakeFreshness != leftOut.LakeFreshness {
		b = binary.AppendUvarint(append(b, memberFreshness), uint64(o.LakeFreshness))
	}
	if o.LakeFormat != leftOut.LakeFormat {
		b = binary.AppendUvarint(append(b, memberFormat), uint64(o.LakeFormat))
	}
	if o.BeforeImages {
		b = append(b, memberBeforeImages)
	}
	if c.LastIndexID != 0 {
		b = binary.AppendUvarint(append(b, memberLastIndexID), uint64(c.LastIndexID))
	}
	for i := range c.Indexes {
		b = appendIndex(append(b, memberIndex), &c.Indexes[i])
	}
	if o.LogRetentionBytes != leftOut.LogRetentionBytes {
		b = binary.AppendUvarint(append(b, memberRetentionBytes), uint64(o.LogRetentionBytes))
	}
	return appendLayout(b, c)
}

func appendLayout(b []byte, c *schema.Collection) []byte {
	if fields := c.Options.LakePartition; len(fields) > 0 {
		b = binary.AppendUvarint(append(b, memberPartition), uint64(len(fields)))
		for _, f := range fields {
			b = binary.AppendUvarint(b, uint64(f.FieldID))
			b = binary.AppendUvarint(b, uint64(f.Transform.Kind))
			b = binary.AppendUvarint(b, uint64(f.Transform.Width))
		}
	}
	if fields := c.Options.LakeSort; len(fields) > 0 {
		b = binary.AppendUvarint(append(b, memberSort), uint64(len(fields)))
		for _, f := range fields {
			flags := uint64(0)
			if f.Desc {
				flags |= sortDesc
			}
			if f.NullsLast {
				flags |= sortNullsLast
			}
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(f.FieldID)), flags)
		}
	}
	if len(c.Partitioned) > 0 {
		b = binary.AppendUvarint(append(b, memberPartitioned), uint64(len(c.Partitioned)))
		for _, id := range c.Partitioned {
			b = binary.AppendUvarint(b, uint64(id))
		}
	}
	return b
}

func appendIndex(b []byte, x *schema.IndexSpec) []byte {
	b = binary.AppendUvarint(b, uint64(x.ID))
	unique := uint64(0)
	if x.Unique {
		unique = 1
	}
	b = appendText(binary.AppendUvarint(b, unique), x.Name)
	b = binary.AppendUvarint(b, uint64(len(x.Fields)))
	for i, f := range x.Fields {
		b = binary.AppendUvarint(appendText(b, f), uint64(x.FieldIDs[i]))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decode reads the entry under a name's key, its schema found by schemas, or by
// named if that is a named one.
func decode(key, row []byte, schemas func(schema.SchemaID) (*schema.Schema, error), named func(schema.NamedSchemaID) (*schema.NamedSchema, error)) (*schema.Collection, error) {
	c, id, err := decodeEntry(row)
	if err != nil {
		return nil, err
	}
	if c.Tenant, c.Name, err = splitName(key[1:]); err != nil {
		return nil, err
	}
	if c.Named != 0 {
		n, err := named(c.Named)
		if err != nil {
			return nil, err
		}
		return asNamed(c, n), nil
	}
	if c.Schema, err = schemas(id); err != nil {
		return nil, err
	}
	return c, nil
}

// decodeEntry reads an entry: a collection without its names and its schema. It
// gives the schema's number, 0 if that is a named one.
func decodeEntry(row []byte) (*schema.Collection, schema.SchemaID, error) {
	d := entryDecoder{rest: row}
	form := d.byte()
	d.want(form == entryForm || form == entryFormNamed)
	c := &schema.Collection{Instance: schema.Instance(d.uvarint()), Options: leftOut}
	id := schema.SchemaID(d.atMost(math.MaxUint32))
	if form == entryFormNamed {
		c.Named, id = schema.NamedSchemaID(id), 0
		d.want(c.Named != 0)
	}
	c.Created = time.UnixMicro(d.varint()).UTC()
	for last := byte(0); len(d.rest) > 0 && !d.bad; {
		m := d.byte()
		d.want(m > last || m == memberIndex)
		last = m
		d.member(m, c)
	}
	if d.bad {
		return nil, 0, fmt.Errorf("entry of %d bytes, wrong %d before its end: %w", len(row), len(d.rest), schema.ErrCorrupt)
	}
	return c, id, nil
}

// asNamed is c with n as it is now: its fields, and their names in indexes, which
// hold by the ids.
func asNamed(c *schema.Collection, n *schema.NamedSchema) *schema.Collection {
	if c.Schema != nil && c.Schema.ID == n.Schema.ID && n.Schema.ID != 0 {
		return c
	}
	out := *c
	out.Schema, out.Named, out.SchemaName = n.Schema, n.ID, n.Name
	out.Indexes = make([]schema.IndexSpec, len(c.Indexes))
	for i, x := range c.Indexes {
		x.Fields = slices.Clone(x.Fields)
		for j, id := range x.FieldIDs {
			if at := n.Schema.IndexID(id); at >= 0 {
				x.Fields[j] = n.Schema.Fields[at].Name
			}
		}
		out.Indexes[i] = x
	}
	if len(c.Indexes) == 0 {
		out.Indexes = nil
	}
	return &out
}

// DefinedIndexes reads what a record of InstanceCollections says of a
// collection's secondary indexes; ok is false for one that is no definition.
func DefinedIndexes(rec schema.Record) (inst schema.Instance, list []schema.IndexSpec, ok bool, err error) {
	if rec.Op == schema.OpDelete || len(rec.Key) == 0 || rec.Key[0] != byName {
		return 0, nil, false, nil
	}
	c, _, err := decodeEntry(rec.Row)
	if err != nil {
		return 0, nil, false, fmt.Errorf("definition %q: %w", rec.Key[1:], err)
	}
	return c.Instance, c.Indexes, true, nil
}
