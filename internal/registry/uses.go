package registry

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// uses are changes of the rows of uses, by what they count.
type uses map[use]int64

// turn adds what it means for a collection to become another; nil is none.
func (u uses) turn(from, to *schema.Collection) {
	u.add(from, -1)
	u.add(to, 1)
}

func (u uses) add(c *schema.Collection, n int64) {
	if c == nil || c.Named == 0 {
		return
	}
	u[use{named: c.Named}] += n
	for _, id := range neededFields(c) {
		u[use{c.Named, id}] += n
	}
	for _, id := range c.Partitioned {
		if id < schema.SeqColumnID {
			u[use{c.Named, id | asItIs}] += n
		}
	}
}

// neededFields are the ids of the fields that a named schema cannot drop while it
// has this collection.
func neededFields(c *schema.Collection) []int {
	var ids []int
	for _, x := range c.Indexes {
		ids = append(ids, x.FieldIDs...)
	}
	ids = append(ids, c.Partitioned...)
	for _, f := range c.Options.LakeSort {
		ids = append(ids, f.FieldID)
	}
	ids = slices.DeleteFunc(ids, func(id int) bool { return id >= schema.SeqColumnID })
	slices.Sort(ids)
	return slices.Compact(ids)
}

// records are the rows of uses that change, by what get reads, in key order.
func (u uses) records(get func(schema.Instance, []byte) ([]byte, bool, error)) ([]schema.Record, error) {
	var out []schema.Record
	for at, delta := range u {
		if delta == 0 {
			continue
		}
		key := at.key()
		was, err := countUses(get, at)
		if err != nil {
			return nil, err
		}
		switch now := int64(was) + delta; {
		case now < 0:
			return nil, fmt.Errorf("named schema %d, field %d: %d uses and %d: %w", at.named, at.field, was, delta, schema.ErrCorrupt)
		case now == 0:
			out = append(out, schema.Record{Op: schema.OpDelete, Key: key})
		default:
			out = append(out, schema.Record{Op: schema.OpUpsert, Key: key, Row: binary.AppendUvarint(nil, uint64(now))})
		}
	}
	slices.SortFunc(out, func(a, b schema.Record) int { return slices.Compare(a.Key, b.Key) })
	return out, nil
}

// countUses reads a row of uses.
func countUses(get func(schema.Instance, []byte) ([]byte, bool, error), of use) (uint64, error) {
	row, ok, err := get(schema.InstanceCollections, of.key())
	if err != nil {
		return 0, fmt.Errorf("count uses of schema %d: %w", of.named, err)
	}
	if !ok {
		return 0, nil
	}
	n, size := binary.Uvarint(row)
	if size <= 0 || size != len(row) || n == 0 || n >= 1<<62 {
		return 0, fmt.Errorf("uses of schema %d: row of %d bytes: %w", of.named, len(row), schema.ErrCorrupt)
	}
	return n, nil
}
