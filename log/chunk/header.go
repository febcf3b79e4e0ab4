package chunk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/trinedb/trine/schema"
)

// Kind says what a chunk is for.
type Kind uint8

// The kinds.
const (
	Data   Kind = iota + 1
	Fence       // put at the first free number by a take-over
	Filler      // put at the numbers after the fence that may have been in flight
	Marker      // what a take-over seals a number with, in one of three zones
)

// String is the kind's name.
func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Fence:
		return "fence"
	case Filler:
		return "filler"
	case Marker:
		return "marker"
	default:
		return "kind(" + strconv.Itoa(int(k)) + ")"
	}
}

// PutID tells the chunks apart that writers try to put at one number.
type PutID [16]byte

// Header is what a chunk says about itself, at both of its ends.
type Header struct {
	Kind       Kind
	Channel    uint32
	Position   schema.Position
	Epoch      schema.Epoch
	TimeMicros int64
	PutID      PutID
	WriterID   string // at most 47 bytes
	// DurableUpto is a number below the chunk's, 0 if nothing is known: its
	// writer knew all up to it to be durable when it made the chunk.
	DurableUpto uint64
}

// SameChunk reports whether two headers are of one chunk, or of copies of it: an
// owner makes one chunk at a number that anybody can come to see.
func (h Header) SameChunk(o Header) bool {
	h.PutID, o.PutID = PutID{}, PutID{}
	return h == o
}

// Layout of a header; see docs/format/chunk.md.
const (
	offMagic      = 0
	offVersion    = 4
	offKind       = 6
	offAhead      = 7
	offChannel    = 8
	offGeneration = 12
	offNumber     = 16
	offEpoch      = 24
	offTime       = 32
	offPutID      = 40
	offWriterLen  = 56
	offWriter     = 57
	offZero       = 104
	offHeaderCRC  = 108

	maxWriterID = offZero - offWriter

	// aheadUnknown, in place of how many chunks were ahead of this one and
	// perhaps not durable.
	aheadUnknown = 255
)

var (
	headerMagic  = [4]byte{'T', 'R', 'C', 'K'}
	trailerMagic = [4]byte{'K', 'C', 'R', 'T'}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	order        = binary.LittleEndian
)

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Name is the name of the object that holds the chunk at a position.
func Name(channel uint32, pos schema.Position) string {
	return fmt.Sprintf("ch/%d/%d/%020d", channel, pos.Generation, pos.Chunk)
}

// HeadName is the name of a channel's head.
func HeadName(channel uint32) string { return fmt.Sprintf("ch/%d/head", channel) }

func (h *Header) append(dst []byte, version uint16) []byte {
	var b [HeaderSize]byte
	copy(b[offMagic:], headerMagic[:])
	order.PutUint16(b[offVersion:], version)
	b[offKind] = byte(h.Kind)
	b[offAhead] = aheadUnknown
	if ahead := h.Position.Chunk - 1 - h.DurableUpto; h.DurableUpto > 0 && ahead < aheadUnknown {
		b[offAhead] = byte(ahead)
	}
	order.PutUint32(b[offChannel:], h.Channel)
	order.PutUint32(b[offGeneration:], h.Position.Generation)
	order.PutUint64(b[offNumber:], h.Position.Chunk)
	order.PutUint64(b[offEpoch:], uint64(h.Epoch))
	order.PutUint64(b[offTime:], uint64(h.TimeMicros))
	copy(b[offPutID:], h.PutID[:])
	b[offWriterLen] = byte(copy(b[offWriter:offZero], h.WriterID))
	order.PutUint32(b[offHeaderCRC:], crc(b[:offHeaderCRC]))
	return append(dst, b[:]...)
}

// DecodeHeader reads the header at the front of the chunk called name, whose
// first bytes are data, and demands that it is the one of that channel and
// position.
func DecodeHeader(name string, channel uint32, pos schema.Position, data []byte) (Header, error) {
	return decodeHeader(name, channel, pos, 0, data)
}

// decodeHeader reads a header that lies at byte at of the object.
func decodeHeader(name string, channel uint32, pos schema.Position, at int64, b []byte) (Header, error) {
	if len(b) == 0 {
		return Header{}, corrupt(name, at, "the object is empty")
	}
	if len(b) < HeaderSize {
		return Header{}, corrupt(name, at, "cut short in its header: %d bytes", len(b))
	}
	if !bytes.Equal(b[:4], headerMagic[:]) {
		return Header{}, corrupt(name, at, "magic is %x", b[:4])
	}
	v := order.Uint16(b[offVersion:])
	if v < firstVersion || v > version {
		return Header{}, fmt.Errorf("chunk %s: format version %d: %w", name, v, schema.ErrUnsupported)
	}
	if got, want := crc(b[:offHeaderCRC]), order.Uint32(b[offHeaderCRC:]); got != want {
		return Header{}, corrupt(name, at, "header CRC is %08x, bytes give %08x", want, got)
	}
	h := Header{
		Kind:     Kind(b[offKind]),
		Channel:  order.Uint32(b[offChannel:]),
		Position: schema.Position{Generation: order.Uint32(b[offGeneration:]), Chunk: order.Uint64(b[offNumber:])},
		Epoch:    schema.Epoch(order.Uint64(b[offEpoch:])), TimeMicros: int64(order.Uint64(b[offTime:])),
		PutID: PutID(b[offPutID:offWriterLen]),
	}
	n := int(b[offWriterLen])
	if n > maxWriterID || h.Kind < Data || h.Kind > Marker {
		return Header{}, corrupt(name, at, "%v, writer id of %d bytes", h.Kind, n)
	}
	h.WriterID = string(b[offWriter : offWriter+n])
	if ahead := uint64(b[offAhead]); v > firstVersion && ahead != aheadUnknown && ahead < h.Position.Chunk {
		h.DurableUpto = h.Position.Chunk - 1 - ahead
	}
	if h.Channel != channel || h.Position != pos {
		return Header{}, corrupt(name, at, "holds the chunk of channel %d, position %v", h.Channel, h.Position)
	}
	return h, nil
}
