package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Decoder decompresses blocks. It is safe for concurrent use.
type Decoder struct{ zstd *zstd.Decoder }

// NewDecoder makes a Decoder that works for as many goroutines at once as are
// told; more of them take turns.
func NewDecoder(concurrency int) (*Decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(concurrency), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxBlockBytes), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("new segment decoder: %w", err)
	}
	return &Decoder{zstd: z}, nil
}

// Close lets go of the decoder's memory.
func (d *Decoder) Close() { d.zstd.Close() }

// check compares a block with its CRC.
func (e *entry) check(name string, block []byte) error {
	if int64(len(block)) != e.length() {
		return corrupt(name, e.offset, "cut short in a block: %d of %d bytes", len(block), e.length())
	}
	if got, want := crc(block[:e.stored]), binary.LittleEndian.Uint32(block[e.stored:]); got != want {
		return corrupt(name, e.offset, "CRC of the block is %08x, bytes give %08x", want, got)
	}
	return nil
}

// open checks a block and gives its runs. Those share memory with the block if
// it is not compressed, and else with buf if that is long enough.
func (d *Decoder) open(name string, e *entry, block, buf []byte) (*blockReader, error) {
	if err := e.check(name, block); err != nil {
		return nil, err
	}
	payload := block[:e.stored]
	if e.zstd {
		if cap(buf) < int(e.raw) {
			buf = make([]byte, 0, e.raw)
		}
		raw, err := d.zstd.DecodeAll(payload, buf[:0:e.raw])
		if err != nil || len(raw) != int(e.raw) {
			return nil, corrupt(name, e.offset, "block decompresses to %d of %d bytes (%v)", len(raw), e.raw, err)
		}
		payload = raw
	}
	return &blockReader{parser: newParser(name, e.offset, payload), entry: e}, nil
}

// blockReader gives the runs of one block, in order.
type blockReader struct {
	parser
	entry *entry
	run   run
}

// next moves to the next run, and reports whether there is one.
func (b *blockReader) next(ref Ref) (bool, error) {
	if b.Off == len(b.Buf) {
		if b.run.instance != b.entry.last {
			return false, b.fail("block ends with instance %d, the index says %d", b.run.instance, b.entry.last)
		}
		return false, nil
	}
	first := b.Off == 0
	r := b.parser.run(&b.run)
	if b.Bad || r.number < ref.From || r.number > ref.To || r.instance > b.entry.last {
		return false, b.fail("malformed after seq %d of instance %d", b.run.first, b.run.instance)
	}
	if first && (r.instance != b.entry.first || r.first != b.entry.seq) {
		return false, b.fail("block begins with seq %d of instance %d, the index says %d of %d", r.first, r.instance, b.entry.seq, b.entry.first)
	}
	b.run = r
	return true, nil
}
