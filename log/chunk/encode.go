package chunk

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/trinedb/trine/log/record"
	"github.com/trinedb/trine/schema"
)

// How a block's payload is stored.
const (
	codecNone = 0
	codecZstd = 1
)

// minCompress is the smallest group that is worth a try: below it a group costs
// as much time as one several times its size (1 KiB: 10 µs) to save little.
const minCompress = 4096

// Encoder encodes chunks, one at a time. It keeps its working memory.
type Encoder struct {
	plain   bool
	zstd    *zstd.Encoder
	records []byte // of the group at hand, before compression
	footer  []byte
	answers []byte
}

// NewEncoder makes an Encoder.
func NewEncoder() (*Encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("new chunk encoder: %w", err)
	}
	return &Encoder{zstd: z}, nil
}

// Compress says whether groups that are worth it are compressed, as they are to
// begin with.
func (e *Encoder) Compress(on bool) { e.plain = !on }

// Append encodes a chunk to dst, which must be empty. Groups are sorted by
// instance, one for each, and none is empty.
func (e *Encoder) Append(dst []byte, h Header, groups []schema.Group, answers []schema.Answer) ([]byte, error) {
	v := versionOf(groups)
	dst = h.append(dst[:0], v)
	e.answers = e.answers[:0]
	for i := range answers {
		e.answers = appendAnswer(e.answers, &answers[i])
	}
	e.footer = h.append(e.footer[:0], v)
	e.footer = binary.AppendUvarint(e.footer, uint64(len(groups)))
	e.footer = binary.AppendUvarint(e.footer, uint64(len(answers)))
	e.footer = binary.AppendUvarint(e.footer, uint64(len(e.answers)))
	var before schema.Instance
	total := 0
	for i := range groups {
		g := &groups[i]
		if g.Instance <= before || len(g.Records) == 0 {
			return dst, fmt.Errorf("encode chunk %v: group %d of instance %d is empty or out of order: %w",
				h.Position, i, g.Instance, schema.ErrInvalid)
		}
		var raw int
		dst, raw = e.appendBlock(dst, g, before)
		before = g.Instance
		if total += raw; raw > MaxGroupBytes || total > MaxRecordBytes {
			return dst, fmt.Errorf("encode chunk %v: %d bytes in group %d, %d in all: %w", h.Position, raw, i, total, schema.ErrTooLarge)
		}
	}
	if len(answers) > 0 {
		dst = append(dst, e.answers...)
		dst = order.AppendUint32(dst, crc(e.answers))
	}
	dst = append(dst, e.footer...)
	size := len(dst) + TrailerSize
	if size > MaxObjectBytes || len(e.footer) > MaxFooterBytes {
		return dst, fmt.Errorf("encode chunk %v: %d bytes, footer %d: %w", h.Position, size, len(e.footer), schema.ErrTooLarge)
	}
	dst = appendTrailer(dst, uint64(size), len(e.footer), v)
	e.trim()
	return dst, nil
}

// versionOf is the format version of a chunk of those groups.
func versionOf(groups []schema.Group) uint16 {
	for i := range groups {
		if record.HaveImages(groups[i].Records) {
			return version
		}
	}
	return plainVersion
}

// trim lets go of working memory that only an unusual chunk needed.
func (e *Encoder) trim() {
	const keep = 4 << 20
	if cap(e.records) > keep {
		e.records = nil
	}
	if cap(e.footer) > keep {
		e.footer = nil
	}
	if cap(e.answers) > keep {
		e.answers = nil
	}
}

// appendBlock appends one group's block and its footer entry, and tells how
// long its records are.
func (e *Encoder) appendBlock(dst []byte, g *schema.Group, before schema.Instance) ([]byte, int) {
	start := len(dst)
	codec, raw := codecNone, 0
	if size := recordsSize(g.Records); size < minCompress || e.plain {
		dst = appendRecords(dst, g.Records)
		raw = len(dst) - start
	} else {
		e.records = appendRecords(e.records[:0], g.Records)
		raw = len(e.records)
		dst = e.zstd.EncodeAll(e.records, dst)
		if codec = codecZstd; len(dst)-start > raw-raw/8 {
			codec = codecNone
			dst = append(dst[:start], e.records...)
		}
	}
	stored := len(dst) - start
	dst = order.AppendUint32(dst, crc(dst[start:]))
	e.footer = binary.AppendUvarint(e.footer, uint64(g.Instance-before))
	e.footer = binary.AppendUvarint(e.footer, uint64(stored))
	e.footer = binary.AppendUvarint(e.footer, uint64(raw)<<2|uint64(codec))
	e.footer = binary.AppendUvarint(e.footer, uint64(len(g.Records)))
	e.footer = binary.AppendUvarint(e.footer, uint64(g.FirstSeq))
	return dst, raw
}

// recordsSize is about how many bytes appendRecords will append.
func recordsSize(records []schema.Record) int {
	n := 0
	for i := range records {
		n += records[i].Bytes() + record.MinBytes
	}
	return n
}

func appendRecords(dst []byte, records []schema.Record) []byte {
	for i := range records {
		dst = record.Append(dst, &records[i])
	}
	return dst
}

func appendAnswer(dst []byte, a *schema.Answer) []byte {
	dst = append(dst, a.Key[:]...)
	dst = append(dst, a.Digest[:]...)
	dst = binary.AppendUvarint(dst, uint64(a.Instance))
	dst = binary.AppendUvarint(dst, uint64(a.FirstSeq))
	return binary.AppendUvarint(dst, uint64(a.Count))
}

func appendTrailer(dst []byte, size uint64, footer int, version uint16) []byte {
	start := len(dst) - footer
	dst = order.AppendUint64(dst, size)
	dst = order.AppendUint32(dst, uint32(footer))
	dst = order.AppendUint16(dst, version)
	dst = order.AppendUint16(dst, 0)
	dst = order.AppendUint32(dst, crc(dst[start:]))
	return append(dst, trailerMagic[:]...)
}

// AnswerKey is the key of the answer for the i-th group of a batch.
func AnswerKey(key schema.DedupKey, i int) schema.DedupKey {
	if i == 0 {
		return key
	}
	var b [20]byte
	copy(b[:], key[:])
	binary.BigEndian.PutUint32(b[16:], uint32(i))
	sum := sha256.Sum256(b[:])
	return schema.DedupKey(sum[:16])
}
