package kvindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/trinedb/trine/schema"
)

// decoder reads a value from the front. After the first thing that does not
// fit it gives zeros; finish tells.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

// take is the next n bytes, or nil.
func (d *decoder) take(n int) []byte {
	if d.bad || len(d.rest) < n {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// int64 is an unsigned number that fits one.
func (d *decoder) int64() int64 {
	v := d.uvarint()
	if v > math.MaxInt64 {
		d.bad = true
		return 0
	}
	return int64(v)
}

func (d *decoder) int() int { return int(d.int64()) }

func (d *decoder) uint32() uint32 {
	v := d.uvarint()
	if v > math.MaxUint32 {
		d.bad = true
		return 0
	}
	return uint32(v)
}

// bytes is a length and as many bytes, in memory of their own.
func (d *decoder) bytes(most int) []byte {
	n := d.int()
	if n > most {
		d.bad = true
		return nil
	}
	return bytes.Clone(d.take(n))
}

func (d *decoder) position() schema.Position {
	return schema.Position{Generation: d.uint32(), Chunk: d.uvarint()}
}

func (d *decoder) finish(what string) error {
	if d.bad || len(d.rest) > 0 {
		return fmt.Errorf("index %s: %d bytes left over, cut short %t: %w", what, len(d.rest), d.bad, schema.ErrCorrupt)
	}
	return nil
}
