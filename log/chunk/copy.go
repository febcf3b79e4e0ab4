package chunk

import (
	"bytes"

	"github.com/trinedb/trine/schema"
)

// Copy is the chunk called name, of that channel and position, under a put id of
// its own. data must have been decoded without an error and is not changed.
func Copy(name string, channel uint32, pos schema.Position, data []byte, id PutID) ([]byte, error) {
	if _, err := DecodeHeader(name, channel, pos, data); err != nil {
		return nil, err
	}
	n, err := FooterSize(name, data)
	if err != nil {
		return nil, err
	}
	at := int64(len(data)) - n
	if at < HeaderSize {
		return nil, corrupt(name, at, "the footer begins in the header")
	}
	// The bytes of the version that the chunk has, not of the one that is written
	// now: only the id differs, and the sums over it.
	dup := bytes.Clone(data)
	for _, header := range [][]byte{dup[:HeaderSize], dup[at : at+HeaderSize]} {
		copy(header[offPutID:], id[:])
		order.PutUint32(header[offHeaderCRC:], crc(header[:offHeaderCRC]))
	}
	order.PutUint32(dup[len(dup)-8:], crc(dup[at:len(dup)-8]))
	return dup, nil
}
