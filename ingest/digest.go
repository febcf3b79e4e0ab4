package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"github.com/trinedb/trine/schema"
)

// dedupKey names a write that may be sent again. It is a cryptographic digest:
// no tenant can find a key that is another's. A collection that was dropped and
// made again starts anew.
func dedupKey(tenant, collection string, instance schema.Instance, key string) (out schema.DedupKey) {
	h := sha256.New()
	buf := binary.AppendUvarint(nil, uint64(instance))
	for _, s := range []string{tenant, collection, key} {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	h.Write(buf)
	copy(out[:], h.Sum(nil))
	return out
}

// digester tells batches of the same content from others. The content is what
// the records say, by field id, without nulls: neither the body's form nor a
// schema that evolves between two tries makes a difference.
type digester struct {
	hash hash.Hash
	buf  []byte
}

func newDigester() *digester { return &digester{hash: sha256.New()} }

// add takes a record's operation and values; present tells of each field
// whether it was given, nil that all were.
func (d *digester) add(instance schema.Instance, op schema.Op, fields []schema.Field, row []schema.Value, present []bool) {
	d.buf = binary.AppendUvarint(d.buf[:0], uint64(instance))
	d.buf = append(d.buf, byte(op))
	for i := range fields {
		switch {
		case !row[i].IsNull():
			d.buf = binary.AppendUvarint(d.buf, uint64(fields[i].ID))
			d.buf = appendContent(d.buf, fields[i].Type, row[i])
		case present != nil && present[i]: // a patch to null
			d.buf = binary.AppendUvarint(d.buf, uint64(fields[i].ID))
			d.buf = append(d.buf, 'n')
		}
	}
	d.buf = append(d.buf, 0) // no field has id 0
	d.hash.Write(d.buf)
}

func (d *digester) sum() (out [16]byte) {
	copy(out[:], d.hash.Sum(nil))
	return out
}

// appendContent appends a value so that no two different ones look the same.
func appendContent(dst []byte, t schema.Type, v schema.Value) []byte {
	if v.IsNull() {
		return append(dst, 'n')
	}
	switch t.Kind {
	case schema.KindStruct:
		dst = append(dst, 's')
		for i, f := range t.Fields {
			if e := v.Elems()[i]; !e.IsNull() {
				dst = binary.AppendUvarint(dst, uint64(f.ID))
				dst = appendContent(dst, f.Type, e)
			}
		}
		return append(dst, 0)
	case schema.KindList, schema.KindMap:
		dst = append(dst, 'l')
		dst = binary.AppendUvarint(dst, uint64(len(v.Elems())))
		for i, e := range v.Elems() {
			dst = appendContent(dst, t.Fields[i%len(t.Fields)].Type, e)
		}
		return dst
	case schema.KindDecimal, schema.KindString, schema.KindJSON, schema.KindUUID, schema.KindFixed, schema.KindBinary:
		dst = append(dst, 'b')
		dst = binary.AppendUvarint(dst, uint64(len(v.Bytes())))
		return append(dst, v.Bytes()...)
	case schema.KindFloat, schema.KindDouble:
		return binary.BigEndian.AppendUint64(append(dst, 'f'), math.Float64bits(v.Float()))
	default:
		return binary.AppendVarint(append(dst, 'i'), v.Int())
	}
}
