package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// Sizes of the fixed parts.
const (
	footerSize  = 96
	trailerSize = 24
)

// Layout of footer and trailer; see docs/format/segment.md.
const (
	offMagic      = 0
	offVersion    = 4
	offLevel      = 6
	offChannel    = 8
	offGeneration = 12
	offFrom       = 16
	offTo         = 24
	offFirstTime  = 32
	offLastTime   = 40
	offEpoch      = 48
	offChanges    = 56
	offInstances  = 64
	offRaw        = 72
	offBlocks     = 80
	offIndexLen   = 84
	offEmpty      = 88
	offEmptyLen   = 92

	offSize           = 0
	offTailLen        = 8
	offTrailerVersion = 12
	offTrailerCRC     = 16
	offTrailerMagic   = 20
)

var (
	order        = binary.LittleEndian
	footerMagic  = [4]byte{'T', 'R', 'S', 'G'}
	trailerMagic = [4]byte{'G', 'S', 'R', 'T'}
)

// Info is what a segment says about all that it holds.
type Info struct {
	FirstMicros, LastMicros int64        // commit times of the first and the last chunk
	Epoch                   schema.Epoch // the highest of the chunks
	Changes                 uint64
	Instances               uint64 // collections that have changes in it
	RawBytes                uint64 // blocks before compression
	Bytes                   int64  // the object
	Images                  bool   // records may have before images
	// Empty are the numbers of chunks that held nothing: fences, fillers and
	// void ones. They are never deleted, and no data chunk is among them.
	Empty []uint64
	// LeftOut is how many bytes of records a merge left out; a segment that is read
	// does not tell.
	LeftOut uint64
}

// tail is the end of a segment, decoded.
type tail struct {
	info   Info
	index  index
	filter filter
	start  int64 // where it begins in the object
	size   int64 // in bytes
}

// version is the format version of the segment.
func (i *Info) version() uint16 {
	if i.Images {
		return version
	}
	return plainVersion
}

// appendTail ends an object whose blocks have blocksLen bytes.
func appendTail(dst []byte, ref Ref, info *Info, blocksLen int64, blocks uint32, index []byte, f *filterWriter) ([]byte, error) {
	f.seal()
	empty := appendNumbers(nil, ref, info.Empty)
	n := footerSize + len(index) + len(empty) + len(f.firsts) + len(f.bits) + trailerSize
	info.Bytes = blocksLen + int64(n)
	if n > MaxTailBytes || info.Bytes > MaxObjectBytes {
		return nil, fmt.Errorf("segment %v of %d bytes, index and filter of %d: %w", ref, info.Bytes, n, schema.ErrTooLarge)
	}
	at := len(dst)
	dst = append(dst, make([]byte, footerSize)...)
	b := dst[at:]
	copy(b[offMagic:], footerMagic[:])
	order.PutUint16(b[offVersion:], info.version())
	b[offLevel] = byte(ref.Level)
	order.PutUint32(b[offChannel:], ref.Channel)
	order.PutUint32(b[offGeneration:], ref.Generation)
	order.PutUint64(b[offFrom:], ref.From)
	order.PutUint64(b[offTo:], ref.To)
	order.PutUint64(b[offFirstTime:], uint64(info.FirstMicros))
	order.PutUint64(b[offLastTime:], uint64(info.LastMicros))
	order.PutUint64(b[offEpoch:], uint64(info.Epoch))
	order.PutUint64(b[offChanges:], info.Changes)
	order.PutUint64(b[offInstances:], info.Instances)
	order.PutUint64(b[offRaw:], info.RawBytes)
	order.PutUint32(b[offBlocks:], blocks)
	order.PutUint32(b[offIndexLen:], uint32(len(index)))
	order.PutUint32(b[offEmpty:], uint32(len(info.Empty)))
	order.PutUint32(b[offEmptyLen:], uint32(len(empty)))
	dst = append(dst, index...)
	dst = append(dst, empty...)
	dst = append(dst, f.firsts...)
	dst = append(dst, f.bits...)
	dst = order.AppendUint64(dst, uint64(info.Bytes))
	dst = order.AppendUint32(dst, uint32(n))
	dst = order.AppendUint16(dst, info.version())
	dst = order.AppendUint16(dst, 0)
	dst = order.AppendUint32(dst, crc(dst[at:]))
	return append(dst, trailerMagic[:]...), nil
}

// appendNumbers encodes chunk numbers of a segment, which rise.
func appendNumbers(dst []byte, ref Ref, numbers []uint64) []byte {
	before := ref.From - 1
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, n-before)
		before = n
	}
	return dst
}

// tailSize tells how many bytes of the object's end are its tail, given at
// least the trailer.
func tailSize(name string, end []byte) (int64, error) {
	switch {
	case len(end) == 0:
		return 0, corrupt(name, 0, "the object is empty")
	case len(end) < trailerSize:
		return 0, corrupt(name, 0, "cut short: %d bytes", len(end))
	}
	t := end[len(end)-trailerSize:]
	if !bytes.Equal(t[offTrailerMagic:], trailerMagic[:]) {
		return 0, corrupt(name, 0, "does not end as a segment does (%x): cut short or overwritten", t[offTrailerMagic:])
	}
	if v := order.Uint16(t[offTrailerVersion:]); v < plainVersion || v > version {
		return 0, fmt.Errorf("segment %s: format version %d: %w", name, v, schema.ErrUnsupported)
	}
	size, n := order.Uint64(t[offSize:]), int64(order.Uint32(t[offTailLen:]))
	if n < footerSize+trailerSize || n > MaxTailBytes || size > MaxObjectBytes || n > int64(size) {
		return 0, corrupt(name, 0, "trailer tells of %d bytes, %d of them index and filter", size, n)
	}
	return n, nil
}

// decodeTail reads the end of the segment called name, of which it needs at
// least the last tailSize bytes, and demands that it is the one of ref.
func decodeTail(name string, ref Ref, end []byte) (*tail, error) {
	n, err := tailSize(name, end)
	if err != nil {
		return nil, err
	}
	if int64(len(end)) < n {
		return nil, corrupt(name, 0, "cut short in its tail: %d of %d bytes", len(end), n)
	}
	b := end[int64(len(end))-n:]
	trailer := b[n-trailerSize:]
	t := &tail{size: n}
	t.info.Images = order.Uint16(trailer[offTrailerVersion:]) > plainVersion
	t.info.Bytes = int64(order.Uint64(trailer[offSize:]))
	t.start = t.info.Bytes - n
	if got, want := crc(b[:n-8]), order.Uint32(trailer[offTrailerCRC:]); got != want || order.Uint16(trailer[offTrailerVersion+2:]) != 0 {
		return nil, corrupt(name, t.start, "CRC of the tail is %08x, bytes give %08x", want, got)
	}
	if err := t.decode(name, ref, b[:n-trailerSize]); err != nil {
		return nil, err
	}
	return t, nil
}

// decode reads footer, index, numbers of empty chunks, and filter.
func (t *tail) decode(name string, ref Ref, b []byte) error {
	if !bytes.Equal(b[:4], footerMagic[:]) || order.Uint16(b[offVersion:]) != t.info.version() || b[offLevel+1] != 0 {
		return corrupt(name, t.start, "magic and version are %x", b[:offChannel])
	}
	got := Ref{
		Channel: order.Uint32(b[offChannel:]), Generation: order.Uint32(b[offGeneration:]), Level: int(b[offLevel]),
		From: order.Uint64(b[offFrom:]), To: order.Uint64(b[offTo:]),
	}
	if got != ref || !got.valid() {
		return corrupt(name, t.start, "holds segment %v", got)
	}
	i := &t.info
	i.FirstMicros, i.LastMicros = int64(order.Uint64(b[offFirstTime:])), int64(order.Uint64(b[offLastTime:]))
	i.Epoch = schema.Epoch(order.Uint64(b[offEpoch:]))
	i.Changes, i.Instances, i.RawBytes = order.Uint64(b[offChanges:]), order.Uint64(b[offInstances:]), order.Uint64(b[offRaw:])
	blocks, indexLen := order.Uint32(b[offBlocks:]), uint64(order.Uint32(b[offIndexLen:]))
	empty, emptyLen := order.Uint32(b[offEmpty:]), uint64(order.Uint32(b[offEmptyLen:]))
	rest := uint64(len(b) - footerSize)
	bits, parts := filterLen(min(i.Instances, MaxTailBytes))
	if indexLen > rest || uint64(blocks) > indexLen/minEntry || emptyLen > rest-indexLen || uint64(empty) > emptyLen ||
		i.Instances > MaxTailBytes || bits+parts > rest-indexLen-emptyLen || i.Changes < i.Instances || (blocks == 0) != (i.Instances == 0) {
		return corrupt(name, t.start, "%d blocks, %d collections, %d empty chunks do not fit a tail of %d", blocks, i.Instances, empty, t.size)
	}
	at := t.start + footerSize
	part := func(n uint64) *parser {
		off := uint64(at - t.start)
		p := newParser(name, at, b[off:off+n])
		at += int64(n)
		return &p
	}
	var ok bool
	p := part(indexLen)
	if t.index, ok = p.index(blocks, t.start); !ok {
		return p.fail("the index does not fit the blocks")
	}
	if p = part(emptyLen); !p.numbers(ref, empty, i) {
		return p.fail("malformed numbers of empty chunks")
	}
	p = part(rest - indexLen - emptyLen)
	if t.filter, ok = p.filter(i.Instances); !ok {
		return p.fail("malformed filter")
	}
	return nil
}

// numbers takes the numbers of empty chunks.
func (p *parser) numbers(ref Ref, n uint32, info *Info) bool {
	before := ref.From - 1
	for range n {
		delta := p.Uvarint()
		if p.Bad || delta == 0 || delta > ref.To-before {
			return false
		}
		before += delta
		info.Empty = append(info.Empty, before)
	}
	return p.Off == len(p.Buf)
}
