package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/trinedb/trine/schema"
)

// Limits of what a message's metadata may claim. Flatbuffers let many places
// point at the same bytes, so that small metadata can stand for much: what is
// reached is counted as often as it is reached.
const (
	maxArrowFields = 10_000  // of a schema, nested ones counted
	maxArrowDepth  = 64      // of nested types
	maxArrowText   = 4 << 20 // names and custom metadata of a message
)

// Where the fields of Arrow's flatbuffer tables are in their vtables
// (format/Message.fbs, Schema.fbs): 4 + 2 × the field's number.
const (
	messageHeaderType = 6
	messageHeader     = 8
	messageBodyLength = 10
	messageMetadata   = 12

	schemaFields   = 6
	schemaMetadata = 8
	fieldName      = 4
	fieldTypeType  = 8
	fieldType      = 10
	fieldChildren  = 14
	fieldMetadata  = 16

	timestampZone = 6

	batchLength      = 4
	batchNodes       = 6
	batchBuffers     = 8
	batchCompression = 10
	batchVariadic    = 12

	compressionCodec = 4
	dictionaryData   = 6
)

// The values of Arrow's unions and enums that are told apart here.
const (
	headerSchema     = 1
	headerDictionary = 2
	headerBatch      = 3
	typeTimestamp    = 10
	codecLZ4         = 0
	codecZstd        = 1
)

// arrowCheck checks the metadata of messages before ipc.Reader believes it.
// Bad offsets panic; the caller recovers.
type arrowCheck struct {
	in      *body
	maxRows int64
	fields  int
	text    int
	kept    int64 // bytes of dictionaries, which later batches refer to
	zstd    *zstd.Decoder
}

func root(meta []byte) flatbuffers.Table {
	return flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
}

func bodyLength(meta []byte) (int64, error) {
	t := root(meta)
	n := t.GetInt64Slot(messageBodyLength, 0)
	if n < 0 {
		return 0, errors.New("a message's body has a negative length")
	}
	return n, nil
}

// message checks a message. It gives the body, or what it becomes when
// decompressed; meta is then changed to match.
func (c *arrowCheck) message(meta, data []byte) ([]byte, error) {
	c.fields, c.text = 0, 0
	m := root(meta)
	if err := c.keyValues(m, messageMetadata); err != nil {
		return nil, err
	}
	header, ok := child(m, messageHeader)
	if !ok {
		return nil, errors.New("a message has no header")
	}
	switch m.GetByteSlot(messageHeaderType, 0) {
	case headerSchema:
		if err := c.keyValues(header, schemaMetadata); err != nil {
			return nil, err
		}
		return data, c.fieldList(header, schemaFields, 0)
	case headerDictionary:
		batch, ok := child(header, dictionaryData)
		if !ok {
			return nil, errors.New("a dictionary has no data")
		}
		out, err := c.batch(batch, data)
		c.kept += int64(len(out))
		return out, err
	case headerBatch:
		return c.batch(header, data)
	default:
		return nil, errors.New("a message is neither schema, dictionary nor record batch")
	}
}

// child is the table that a slot points at.
func child(t flatbuffers.Table, slot flatbuffers.VOffsetT) (flatbuffers.Table, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return flatbuffers.Table{}, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(o + t.Pos)}, true
}

// vector is where a slot's vector begins, and its length.
func vector(t flatbuffers.Table, slot flatbuffers.VOffsetT) (start, n int) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return 0, 0
	}
	return int(t.Vector(o)), t.VectorLen(o)
}

func (c *arrowCheck) fieldList(t flatbuffers.Table, slot flatbuffers.VOffsetT, depth int) error {
	if depth > maxArrowDepth {
		return fmt.Errorf("types nest more than %d deep", maxArrowDepth)
	}
	start, n := vector(t, slot)
	if c.fields += n; c.fields > maxArrowFields || n < 0 {
		return fmt.Errorf("a schema has more than %d fields: %w", maxArrowFields, schema.ErrTooLarge)
	}
	for i := range n {
		f := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(flatbuffers.UOffsetT(start + 4*i))}
		if err := c.string(f, fieldName); err != nil {
			return err
		}
		if f.GetByteSlot(fieldTypeType, 0) == typeTimestamp {
			if ts, ok := child(f, fieldType); ok {
				if err := c.string(ts, timestampZone); err != nil {
					return err
				}
			}
		}
		if err := c.keyValues(f, fieldMetadata); err != nil {
			return err
		}
		if err := c.fieldList(f, fieldChildren, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *arrowCheck) keyValues(t flatbuffers.Table, slot flatbuffers.VOffsetT) error {
	start, n := vector(t, slot)
	for i := range n {
		kv := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(flatbuffers.UOffsetT(start + 4*i))}
		for _, part := range []flatbuffers.VOffsetT{4, 6} {
			if err := c.string(kv, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// string counts a slot's string.
func (c *arrowCheck) string(t flatbuffers.Table, slot flatbuffers.VOffsetT) error {
	const perString = 32 // what an empty one costs
	_, n := vector(t, slot)
	if c.text += n + perString; c.text > maxArrowText || n < 0 {
		return fmt.Errorf("a message has more than %d bytes of names and metadata: %w", maxArrowText, schema.ErrTooLarge)
	}
	return nil
}

// batch checks a record batch, or a dictionary's.
func (c *arrowCheck) batch(t flatbuffers.Table, data []byte) ([]byte, error) {
	rows := t.GetInt64Slot(batchLength, 0)
	if rows < 0 || rows > c.maxRows {
		return nil, fmt.Errorf("a batch of %d rows: at most %d are taken: %w", rows, c.maxRows, schema.ErrTooLarge)
	}
	start, n := vector(t, batchBuffers)
	buffers := t.Bytes[start:][:16*n]
	for at := 0; at < len(buffers); at += 16 {
		offset, length := bufferAt(buffers, at)
		if offset < 0 || length < 0 || offset > int64(len(data)) || length > int64(len(data))-offset {
			return nil, fmt.Errorf("a buffer of %d bytes at %d lies outside of its message's %d bytes", length, offset, len(data))
		}
	}
	if vstart, vn := vector(t, batchVariadic); vn > 0 {
		counts := t.Bytes[vstart:][:8*vn]
		for at := 0; at < len(counts); at += 8 {
			if count := binary.LittleEndian.Uint64(counts[at:]); count > uint64(n) {
				return nil, fmt.Errorf("a column has %d buffers, its batch %d", count, n)
			}
		}
	}
	if comp, ok := child(t, batchCompression); ok {
		var err error
		if data, err = c.decompress(comp.GetByteSlot(compressionCodec, codecLZ4), buffers, data); err != nil {
			return nil, err
		}
	}
	// No array has more values than there can be bits, but for those that have
	// no buffers: nulls, and structs of them, as many as there are rows.
	start, n = vector(t, batchNodes)
	nodes := t.Bytes[start:][:16*n]
	most := c.maxRows + 8*int64(len(data))
	for at := 0; at < len(nodes); at += 16 {
		length, nulls := bufferAt(nodes, at)
		if length < 0 || length > most || nulls > length || nulls < -1 {
			return nil, fmt.Errorf("an array of %d values and %d nulls cannot be", length, nulls)
		}
	}
	return data, nil
}

// bufferAt reads a pair of int64, which buffers and nodes both are.
func bufferAt(b []byte, at int) (first, second int64) {
	return int64(binary.LittleEndian.Uint64(b[at:])), int64(binary.LittleEndian.Uint64(b[at+8:]))
}

// decompress lays out a body anew with its buffers decompressed. They keep the
// form of compressed ones: a length, here the -1 that says that what follows
// is not compressed.
//
//	+--------------------------+---------------+
//	| int64: length before, −1 | buffer        |   8-byte aligned
//	+--------------------------+---------------+
func (c *arrowCheck) decompress(codec byte, buffers, data []byte) ([]byte, error) {
	const plain = ^uint64(0)
	total := int64(0)
	for at := 0; at < len(buffers); at += 16 {
		offset, length := bufferAt(buffers, at)
		if length == 0 {
			continue
		}
		if length < 8 {
			return nil, errors.New("a compressed buffer has no length")
		}
		size := int64(binary.LittleEndian.Uint64(data[offset:]))
		if size == -1 {
			size = length - 8
		}
		if size < 0 || size > c.in.maxBytes {
			return nil, fmt.Errorf("a buffer of %d bytes when decompressed is over the batch's limit of %d: %w", size, c.in.maxBytes, schema.ErrTooLarge)
		}
		total += (size+7)&^7 + 8
	}
	if err := c.in.take(total); err != nil {
		return nil, err
	}
	out := make([]byte, 0, total)
	for at := 0; at < len(buffers); at += 16 {
		offset, length := bufferAt(buffers, at)
		if length == 0 {
			continue
		}
		packed, size := data[offset+8:offset+length], binary.LittleEndian.Uint64(data[offset:])
		here := len(out)
		out = binary.LittleEndian.AppendUint64(out, plain)
		if size == plain {
			out = append(out, packed...)
		} else {
			room := out[here+8 : here+8+int(size)]
			if err := c.unpack(codec, room, packed); err != nil {
				return nil, fmt.Errorf("a compressed buffer: %w", err)
			}
			out = out[:here+8+int(size)]
		}
		binary.LittleEndian.PutUint64(buffers[at:], uint64(here))
		binary.LittleEndian.PutUint64(buffers[at+8:], uint64(len(out)-here))
		out = out[:(len(out)+7)&^7]
	}
	return out, nil
}

// unpack fills dst, and no more than it.
func (c *arrowCheck) unpack(codec byte, dst, packed []byte) error {
	switch codec {
	case codecLZ4:
		_, err := io.ReadFull(lz4.NewReader(bytes.NewReader(packed)), dst)
		return err
	case codecZstd:
		if c.zstd == nil {
			z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
			if err != nil {
				return err
			}
			c.zstd = z // without a stream it has nothing to close
		}
		got, err := c.zstd.DecodeAll(packed, dst[:0:len(dst)])
		if err == nil && len(got) != len(dst) {
			err = io.ErrUnexpectedEOF
		}
		return err
	default:
		return fmt.Errorf("codec %d is not known", codec)
	}
}
