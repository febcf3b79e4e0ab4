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

// withImage is the bit of the op that tells of a before image.
const withImage = 0x80

// Append appends a record:
//
//	op 1 · uvarint length · key · uvarint length · row [· uvarint length · before image]
func Append(dst []byte, r *schema.Record) []byte {
	op := byte(r.Op)
	if len(r.Before) > 0 {
		op |= withImage
	}
	dst = append(dst, op)
	dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(r.Row)))
	dst = append(dst, r.Row...)
	if op&withImage == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Before)))
	return append(dst, r.Before...)
}

// Bound is at least as long as Append makes the record.
func Bound(r *schema.Record) int { return 1 + 3*binary.MaxVarintLen32 + r.Bytes() }

// HaveImages reports whether one of the records has a before image. Objects that
// hold such records have a format version of their own, so that a build that
// does not know of images refuses them.
func HaveImages(records []schema.Record) bool {
	for i := range records {
		if len(records[i].Before) > 0 {
			return true
		}
	}
	return false
}

// Record takes a record; it shares memory with the buffer.
func (p *Parser) Record() schema.Record {
	var r schema.Record
	var image bool
	if op := p.Bytes(1); !p.Bad {
		r.Op, image = schema.Op(op[0]&^withImage), op[0]&withImage != 0
	}
	r.Key = p.Bytes(p.Uvarint())
	r.Row = p.Bytes(p.Uvarint())
	if r.Op < schema.OpInsert || r.Op > schema.OpDelete {
		p.Bad = true
	}
	if image {
		r.Before = p.Bytes(p.Uvarint())
		if len(r.Before) == 0 || !r.Op.Ends() {
			p.Bad = true
		}
	}
	return r
}
