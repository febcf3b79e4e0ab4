package kvindex

import (
	"encoding/binary"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Bounds of what is stored of a collection's secondary indexes; a decoder
// trusts no more.
const (
	maxSecondaries      = 1 << 10
	maxSecondaryFields  = 1 << 8
	maxSecondaryName    = 1 << 8
	maxSecondaryNote    = MaxKeyBytes
	maxReasonBytes      = 1 << 10
	secondaryFlagUnique = 1 << 0
)

func appendSecondaries(dst []byte, s *secondaries) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s.list)))
	for i := range s.list {
		x := &s.list[i]
		dst = binary.AppendUvarint(dst, uint64(x.id))
		flags := byte(0)
		if x.unique {
			flags |= secondaryFlagUnique
		}
		dst = append(dst, flags, byte(x.state))
		dst = binary.AppendUvarint(dst, uint64(len(x.fields)))
		for _, f := range x.fields {
			dst = binary.AppendUvarint(dst, uint64(f))
		}
		dst = appendBytes(dst, []byte(x.name))
		dst = binary.AppendUvarint(dst, uint64(x.rows))
		dst = appendBytes(dst, x.note)
	}
	return dst
}

func decodeSecondaries(val []byte) (*secondaries, error) {
	d := decoder{rest: val}
	n := d.int()
	if n == 0 || n > maxSecondaries {
		d.bad = true
	}
	var list []secondary
	for i := 0; i < n && !d.bad; i++ {
		x := secondary{id: schema.IndexID(d.uint32())}
		flags := d.byte()
		x.unique, x.state = flags&secondaryFlagUnique != 0, SecondaryState(d.byte())
		fields := d.int()
		if fields == 0 || fields > maxSecondaryFields || flags&^secondaryFlagUnique != 0 ||
			x.state < SecondaryBuilding || x.state > SecondaryFailed || len(list) > 0 && list[len(list)-1].id >= x.id {
			return nil, fmt.Errorf("secondary index %d: %w", x.id, schema.ErrCorrupt)
		}
		for range fields {
			x.fields = append(x.fields, d.int())
		}
		x.name = string(d.bytes(maxSecondaryName))
		x.rows = d.int64()
		x.note = d.bytes(maxSecondaryNote)
		list = append(list, x)
	}
	if err := d.finish("secondary indexes"); err != nil {
		return nil, err
	}
	return newSecondaries(list), nil
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
