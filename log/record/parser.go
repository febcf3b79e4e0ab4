package record

import "encoding/binary"

// Parser takes integers and bytes from a buffer. What is not there, or not in
// its shortest form, makes it Bad and reads as zero; so a caller looks once,
// after several. It believes no length that goes beyond the buffer.
type Parser struct {
	Buf []byte
	Off int // of what comes next in Buf
	Bad bool
}

// Uvarint takes one in its shortest form.
func (p *Parser) Uvarint() uint64 {
	v, n := binary.Uvarint(p.Buf[p.Off:])
	if n <= 0 || n > 1 && p.Buf[p.Off+n-1] == 0 {
		p.Bad = true
		return 0
	}
	p.Off += n
	return v
}

// Varint takes a zigzag one.
func (p *Parser) Varint() int64 {
	u := p.Uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// Bytes takes n bytes; they are not copied.
func (p *Parser) Bytes(n uint64) []byte {
	if n > uint64(len(p.Buf)-p.Off) {
		p.Bad = true
		return nil
	}
	b := p.Buf[p.Off : p.Off+int(n) : p.Off+int(n)]
	p.Off += int(n)
	return b
}

// End reports whether all of the buffer was taken.
func (p *Parser) End() bool { return p.Off == len(p.Buf) }
