// Package record encodes and decodes records as chunks and segments hold them,
// the parts of docs/format/chunk.md and docs/format/segment.md that are the
// same in both, so that a record is copied from one to the other as it is.
package record

import (
	"encoding/binary"

	"github.com/trinedb/trine/schema"
)

// MinBytes is the length of the shortest record.
const MinBytes = 3

// Append appends a record:
//
//	op 1 · uvarint length · key · uvarint length · row
func Append(dst []byte, r *schema.Record) []byte {
	dst = append(dst, byte(r.Op))
	dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(r.Row)))
	return append(dst, r.Row...)
}

// Bound is at least as long as Append makes the record.
func Bound(r *schema.Record) int {
	return 1 + 2*binary.MaxVarintLen32 + len(r.Key) + len(r.Row)
}

// Record takes a record; it shares memory with the buffer.
func (p *Parser) Record() schema.Record {
	var r schema.Record
	if op := p.Bytes(1); !p.Bad {
		r.Op = schema.Op(op[0])
	}
	r.Key = p.Bytes(p.Uvarint())
	r.Row = p.Bytes(p.Uvarint())
	if r.Op < schema.OpInsert || r.Op > schema.OpDelete {
		p.Bad = true
	}
	return r
}
