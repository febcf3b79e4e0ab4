package segment

import (
	"encoding/binary"

	"github.com/trinedb/trine/schema"
)

// minRecord is the length of the shortest record.
const minRecord = 3

// appendRecord appends a record as chunks hold it.
func appendRecord(dst []byte, r *schema.Record) []byte {
	dst = append(dst, byte(r.Op))
	dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(r.Row)))
	return append(dst, r.Row...)
}

// recordSize is at least as long as appendRecord makes it.
func recordSize(r *schema.Record) int {
	return 1 + 2*binary.MaxVarintLen32 + len(r.Key) + len(r.Row)
}

// record takes a record; it shares memory with the buffer.
func (p *parser) record() schema.Record {
	var r schema.Record
	if op := p.bytes(1); !p.bad {
		r.Op = schema.Op(op[0])
	}
	r.Key = p.bytes(p.uvarint())
	r.Row = p.bytes(p.uvarint())
	if r.Op < schema.OpInsert || r.Op > schema.OpDelete {
		p.bad = true
	}
	return r
}

// parser reads a part of the object that begins at byte at.
type parser struct {
	name string
	at   int64
	buf  []byte
	off  int
	bad  bool
}

// fail is the error for what was read last; bytes of a compressed block are
// counted as they are decompressed.
func (p *parser) fail(format string, args ...any) error {
	return corrupt(p.name, p.at+int64(p.off), format, args...)
}

// uvarint takes one in its shortest form.
func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.buf[p.off:])
	if n <= 0 || n > 1 && p.buf[p.off+n-1] == 0 {
		p.bad = true
		return 0
	}
	p.off += n
	return v
}

// varint takes a zigzag one.
func (p *parser) varint() int64 {
	u := p.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// bytes takes n bytes; they are not copied.
func (p *parser) bytes(n uint64) []byte {
	if n > uint64(len(p.buf)-p.off) {
		p.bad = true
		return nil
	}
	b := p.buf[p.off : p.off+int(n) : p.off+int(n)]
	p.off += int(n)
	return b
}
