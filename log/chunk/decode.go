package chunk

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/trinedb/trine/schema"
)

// Decoder decodes chunks. It is safe for concurrent use.
type Decoder struct{ zstd *zstd.Decoder }

// NewDecoder makes a Decoder that works for as many goroutines at once as are
// told; more of them take turns.
func NewDecoder(concurrency int) (*Decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(concurrency), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxGroupBytes), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("new chunk decoder: %w", err)
	}
	return &Decoder{zstd: z}, nil
}

// Close lets go of the decoder's memory.
func (d *Decoder) Close() { d.zstd.Close() }

// Decode reads a whole chunk, which shares memory with data.
func (d *Decoder) Decode(name string, channel uint32, pos schema.Position, data []byte) (Header, *schema.Chunk, error) {
	f, err := DecodeFooter(name, channel, pos, data)
	if err != nil {
		return Header{}, nil, err
	}
	if f.Size != int64(len(data)) {
		return Header{}, nil, corrupt(name, f.Size, "the object has %d bytes, its trailer tells of %d", len(data), f.Size)
	}
	footerAt := f.answersOff
	if f.answers > 0 {
		footerAt += int64(f.answersLen) + crcSize
	}
	if !bytes.Equal(data[:HeaderSize], data[footerAt:footerAt+HeaderSize]) {
		return Header{}, nil, corrupt(name, 0, "the header differs from its copy in the footer")
	}
	c := &schema.Chunk{
		Position: pos, Epoch: f.Header.Epoch, TimeMicros: f.Header.TimeMicros, Bytes: len(data),
	}
	if len(f.Entries) > 0 {
		c.Groups = make([]schema.Group, len(f.Entries))
	}
	for i, e := range f.Entries {
		if c.Groups[i], err = d.Group(name, e, data[e.Offset:e.Offset+e.Length()]); err != nil {
			return Header{}, nil, err
		}
	}
	if f.answers > 0 {
		b := data[f.answersOff : f.answersOff+int64(f.answersLen)+crcSize]
		if c.Answers, err = decodeAnswers(name, f, b); err != nil {
			return Header{}, nil, err
		}
	}
	return f.Header, c, nil
}

// Group reads the group that e tells of from its block, with which it may share
// memory.
func (d *Decoder) Group(name string, e Entry, block []byte) (schema.Group, error) {
	if int64(len(block)) != e.Length() {
		return schema.Group{}, corrupt(name, e.Offset, "cut short in a block: %d of %d bytes", len(block), e.Length())
	}
	payload := block[:e.stored]
	if got, want := crc(payload), order.Uint32(block[e.stored:]); got != want {
		return schema.Group{}, corrupt(name, e.Offset, "CRC of the block of instance %d is %08x, bytes give %08x", e.Instance, want, got)
	}
	if e.zstd {
		raw, err := d.zstd.DecodeAll(payload, make([]byte, 0, e.raw))
		if err != nil || len(raw) != e.raw {
			return schema.Group{}, corrupt(name, e.Offset, "block of instance %d decompresses to %d of %d bytes (%v)", e.Instance, len(raw), e.raw, err)
		}
		payload = raw
	}
	p := newParser(name, e.Offset, payload)
	records, err := decodeRecords(p, e.Count)
	if err != nil {
		return schema.Group{}, err
	}
	return schema.Group{Instance: e.Instance, FirstSeq: e.FirstSeq, Records: records}, nil
}

func decodeRecords(p *parser, count int) ([]schema.Record, error) {
	records := make([]schema.Record, count)
	for i := range records {
		if records[i] = p.Record(); p.Bad {
			return nil, corrupt(p.name, p.at, "record %d of %d is malformed", i, count)
		}
	}
	if p.Off != len(p.Buf) {
		return nil, corrupt(p.name, p.at, "%d bytes after the last record", len(p.Buf)-p.Off)
	}
	return records, nil
}

func decodeAnswers(name string, f *Footer, b []byte) ([]schema.Answer, error) {
	if got, want := crc(b[:f.answersLen]), order.Uint32(b[f.answersLen:]); got != want {
		return nil, corrupt(name, f.answersOff, "CRC of the answers is %08x, bytes give %08x", want, got)
	}
	p := newParser(name, f.answersOff, b[:f.answersLen])
	answers := make([]schema.Answer, f.answers)
	for i := range answers {
		a := &answers[i]
		copy(a.Key[:], p.Bytes(16))
		copy(a.Digest[:], p.Bytes(16))
		id, first, count := p.Uvarint(), p.Uvarint(), p.Uvarint()
		if p.Bad || first >= maxSeq || count > MaxRecordBytes/3 {
			return nil, p.fail("answer %d of %d is malformed", i, len(answers))
		}
		a.Instance, a.FirstSeq, a.Count = schema.Instance(id), schema.Seq(first), int(count)
		a.Position = f.Header.Position
	}
	if p.Off != len(p.Buf) {
		return nil, p.fail("bytes after the last answer")
	}
	return answers, nil
}
