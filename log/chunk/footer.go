package chunk

import (
	"bytes"
	"fmt"
	"sort"

	"github.com/trinedb/trine/log/record"
	"github.com/trinedb/trine/schema"
)

// Entry says where one group lies in its chunk.
type Entry struct {
	Instance schema.Instance
	FirstSeq schema.Seq
	Count    int
	Offset   int64 // of the block in the object
	stored   int   // payload's bytes
	raw      int   // records' bytes
	zstd     bool
}

// Length is how many bytes the block has, its CRC included.
func (e Entry) Length() int64 { return int64(e.stored) + crcSize }

// Footer is the directory of a chunk.
type Footer struct {
	Header  Header
	Size    int64 // of the object
	Entries []Entry

	answers    int
	answersLen int
	answersOff int64
}

// Find is the entry of a collection.
func (f *Footer) Find(id schema.Instance) (Entry, bool) {
	i := sort.Search(len(f.Entries), func(i int) bool { return f.Entries[i].Instance >= id })
	if i < len(f.Entries) && f.Entries[i].Instance == id {
		return f.Entries[i], true
	}
	return Entry{}, false
}

// FooterSize tells how many bytes of the object's end hold the footer and the
// trailer, given at least the trailer.
func FooterSize(name string, tail []byte) (int64, error) {
	switch {
	case len(tail) == 0:
		return 0, corrupt(name, 0, "the object is empty")
	case len(tail) < TrailerSize:
		return 0, corrupt(name, 0, "cut short: %d bytes", len(tail))
	}
	t := tail[len(tail)-TrailerSize:]
	size := int64(order.Uint64(t))
	if !bytes.Equal(t[20:], trailerMagic[:]) {
		return 0, corrupt(name, 0, "does not end as a chunk does (%x): cut short or overwritten", t[20:])
	}
	if v := order.Uint16(t[12:]); v < firstVersion || v > version {
		return 0, fmt.Errorf("chunk %s: format version %d: %w", name, v, schema.ErrUnsupported)
	}
	n := int64(order.Uint32(t[8:]))
	if n < HeaderSize+3 || n > MaxFooterBytes || size > MaxObjectBytes || n+HeaderSize+TrailerSize > size {
		return 0, corrupt(name, 0, "trailer tells of %d bytes with a footer of %d", size, n)
	}
	return n + TrailerSize, nil
}

// DecodeFooter reads the footer from the end of the object, of which it needs
// at least the last FooterSize bytes.
func DecodeFooter(name string, channel uint32, pos schema.Position, tail []byte) (*Footer, error) {
	n, err := FooterSize(name, tail)
	if err != nil {
		return nil, err
	}
	if int64(len(tail)) < n {
		return nil, corrupt(name, 0, "cut short in its footer: %d of %d bytes", len(tail), n)
	}
	tail = tail[int64(len(tail))-n:]
	trailer := tail[n-TrailerSize:]
	size := int64(order.Uint64(trailer))
	at := size - n // the footer's offset in the object
	if got, want := crc(tail[:n-8]), order.Uint32(trailer[16:]); got != want || order.Uint16(trailer[14:]) != 0 {
		return nil, corrupt(name, at, "footer CRC is %08x, bytes give %08x", want, got)
	}
	f := &Footer{Size: size}
	if f.Header, err = decodeHeader(name, channel, pos, at, tail); err != nil {
		return nil, err
	}
	d := newParser(name, at, tail[:n-TrailerSize])
	d.Off = HeaderSize
	if err := f.decode(d, at); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *Footer) decode(d *parser, end int64) error {
	groups, answers, answersLen := d.Uvarint(), d.Uvarint(), d.Uvarint()
	if d.Bad || groups > uint64(len(d.Buf)-d.Off)/5 || answers > answersLen/35 || answersLen > uint64(end) || (answers == 0) != (answersLen == 0) {
		return d.fail("%d groups, %d answers in %d bytes", groups, answers, answersLen)
	}
	if f.Header.Kind != Data && (groups > 0 || answers > 0) {
		return d.fail("%v with %d groups, %d answers", f.Header.Kind, groups, answers)
	}
	f.Entries = make([]Entry, groups)
	offset, total, before := int64(HeaderSize), uint64(0), uint64(0)
	for i := range f.Entries {
		delta, stored, coded, count, first := d.Uvarint(), d.Uvarint(), d.Uvarint(), d.Uvarint(), d.Uvarint()
		raw, codec := coded>>2, coded&3
		if d.Bad || delta == 0 || before+delta < before || stored > uint64(end-offset) || raw > MaxGroupBytes ||
			codec > codecZstd || codec == codecNone && raw != stored || raw > stored<<15 || count == 0 || count > raw/3 ||
			first >= maxSeq || first+count > maxSeq {
			return d.fail("entry %d does not fit its chunk", i)
		}
		if total += raw; total > MaxRecordBytes {
			return d.fail("more than %d bytes of records", MaxRecordBytes)
		}
		before += delta
		f.Entries[i] = Entry{
			Instance: schema.Instance(before), FirstSeq: schema.Seq(first), Count: int(count),
			Offset: offset, stored: int(stored), raw: int(raw), zstd: codec == codecZstd,
		}
		offset += int64(stored) + crcSize
	}
	f.answers, f.answersLen, f.answersOff = int(answers), int(answersLen), offset
	if answers > 0 {
		offset += int64(answersLen) + crcSize
	}
	if d.Off != len(d.Buf) || offset != end {
		return d.fail("blocks end at %d, the footer begins at %d", offset, end)
	}
	return nil
}

// parser reads a part of the object that begins at byte at.
type parser struct {
	record.Parser
	name string
	at   int64
}

func newParser(name string, at int64, buf []byte) *parser {
	return &parser{Parser: record.Parser{Buf: buf}, name: name, at: at}
}

func (d *parser) fail(format string, args ...any) error {
	return corrupt(d.name, d.at+int64(d.Off), format, args...)
}
