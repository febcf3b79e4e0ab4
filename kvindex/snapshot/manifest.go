package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/trinedb/trine/kvindex"
	"github.com/trinedb/trine/schema"
)

// manifest says what a snapshot is made of; docs/format/index-snapshot.md draws
// its bytes.
type manifest struct {
	channel       uint32
	epoch         schema.Epoch
	number        uint64
	position      schema.Position
	createdMicros int64
	tables        []tableEntry
}

type tableEntry struct {
	level uint8
	bytes int64
	tableID
}

const (
	magic         = "TRNS"
	formatVersion = 1

	// maxTables is half a TiB of Badger's smallest tables; deep ones are larger.
	maxTables = 1 << 18
	// maxManifestBytes is what a manifest of so many tables can have.
	maxManifestBytes = 128 + maxTables*(1+3*binary.MaxVarintLen64+32)
	// minTableBytes is the least that a table takes in a manifest.
	minTableBytes = 1 + 3 + 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m *manifest) encode() []byte {
	b := append([]byte(magic), formatVersion, kvindex.FormatVersion)
	b = binary.AppendUvarint(b, uint64(m.channel))
	b = binary.AppendUvarint(b, uint64(m.epoch))
	b = binary.AppendUvarint(b, m.number)
	b = binary.AppendUvarint(b, uint64(m.position.Generation))
	b = binary.AppendUvarint(b, m.position.Chunk)
	b = binary.AppendVarint(b, m.createdMicros)
	b = binary.AppendUvarint(b, uint64(len(m.tables)))
	for i := range m.tables {
		t := &m.tables[i]
		b = append(b, t.level)
		b = binary.AppendUvarint(b, uint64(t.bytes))
		b = binary.AppendUvarint(b, uint64(t.epoch))
		b = binary.AppendUvarint(b, t.number)
		b = append(b, t.hash[:]...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeManifest reads the manifest that should be that of a channel and number.
// One of another version is ErrUnsupported, any other that breaks a rule ErrCorrupt.
func decodeManifest(channel uint32, number uint64, data []byte) (*manifest, error) {
	d := decoder{rest: data}
	if string(d.take(len(magic))) != magic {
		return nil, fmt.Errorf("manifest does not begin with %s: %w", magic, schema.ErrCorrupt)
	}
	format, index := d.byte(), d.byte()
	if !d.bad && (format != formatVersion || index != kvindex.FormatVersion) {
		return nil, fmt.Errorf("manifest of version %d, index of %d, want %d and %d: %w", format, index, formatVersion, kvindex.FormatVersion, schema.ErrUnsupported)
	}
	if len(d.rest) < crc32.Size {
		return nil, fmt.Errorf("manifest of %d bytes: %w", len(data), schema.ErrCorrupt)
	}
	body := len(data) - crc32.Size
	if got, want := crc32.Checksum(data[:body], castagnoli), binary.BigEndian.Uint32(data[body:]); got != want {
		return nil, fmt.Errorf("manifest has CRC %08x, its end says %08x: %w", got, want, schema.ErrCorrupt)
	}
	d.rest = d.rest[:len(d.rest)-crc32.Size]
	m := &manifest{channel: uint32(d.uvarint(math.MaxUint32)), epoch: schema.Epoch(d.uvarint(math.MaxUint64)), number: d.uvarint(math.MaxUint64)}
	m.position = schema.Position{Generation: uint32(d.uvarint(math.MaxUint32)), Chunk: d.uvarint(math.MaxUint64)}
	m.createdMicros = d.varint()
	m.decodeTables(&d)
	switch {
	case d.bad || len(d.rest) > 0:
		return nil, fmt.Errorf("manifest: %d bytes left over, cut short %t: %w", len(d.rest), d.bad, schema.ErrCorrupt)
	case m.channel != channel || m.number != number:
		return nil, fmt.Errorf("manifest is that of channel %d, number %d: %w", m.channel, m.number, schema.ErrCorrupt)
	}
	return m, m.check()
}

func (m *manifest) decodeTables(d *decoder) {
	n := d.uvarint(maxTables)
	if n > uint64(len(d.rest)/minTableBytes) {
		d.bad = true
		return
	}
	m.tables = make([]tableEntry, n)
	for i := range m.tables {
		t := &m.tables[i]
		t.level, t.bytes = d.byte(), int64(d.uvarint(math.MaxInt64))
		t.epoch, t.number = schema.Epoch(d.uvarint(math.MaxUint64)), d.uvarint(math.MaxUint64)
		copy(t.hash[:], d.take(len(t.hash)))
	}
}

// check demands what the codec cannot.
func (m *manifest) check() error {
	if len(m.tables) > maxTables {
		return fmt.Errorf("manifest of %d tables, want at most %d: %w", len(m.tables), maxTables, schema.ErrTooLarge)
	}
	if m.epoch == 0 || m.number == 0 {
		return fmt.Errorf("manifest of epoch %d, number %d: %w", m.epoch, m.number, schema.ErrCorrupt)
	}
	var level uint8
	var total int64
	for i, t := range m.tables {
		if t.level < level || t.level > kvindex.MaxLevel {
			return fmt.Errorf("manifest: table %d is of level %d after %d: %w", i, t.level, level, schema.ErrCorrupt)
		}
		level = t.level
		if t.bytes <= 0 || t.bytes > math.MaxInt64-total {
			return fmt.Errorf("manifest: table %d of %d bytes: %w", i, t.bytes, schema.ErrCorrupt)
		}
		total += t.bytes
		if t.epoch == 0 || t.number == 0 || t.epoch > m.epoch || t.number > m.number {
			return fmt.Errorf("manifest: table %d is of epoch %d, number %d: %w", i, t.epoch, t.number, schema.ErrCorrupt)
		}
	}
	return nil
}

func (m *manifest) totalBytes() (n int64) {
	for i := range m.tables {
		n += m.tables[i].bytes
	}
	return n
}

// decoder reads from the front. After the first thing that does not fit it
// gives zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || len(d.rest) < n {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.bad || n <= 0 || v > most {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint(math.MaxUint64)
	return int64(u>>1) ^ -int64(u&1)
}
