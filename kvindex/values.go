package kvindex

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/trinedb/trine/schema"
)

// The value codecs; docs/format/index.md draws them all. Every decoder refuses
// what it does not understand with ErrCorrupt, bytes left over included.

// Long rows are cut into parts; see docs/format/index.md.
const (
	partBytes = 256 << 10
	rowInline = 0x01
	rowParted = 0x02
)

// rowHeaderMax is room for the header of any row.
const rowHeaderMax = 1 + 4*binary.MaxVarintLen64

// storedRow is a row's value: either its bytes or how many parts hold them.
type storedRow struct {
	Row         // Bytes alias the value, nil when parts > 0
	length, num int
}

func appendRow(dst []byte, r Row) []byte {
	dst = append(dst, rowInline)
	dst = binary.AppendUvarint(dst, uint64(r.Seq))
	dst = binary.AppendVarint(dst, r.TimeMicros)
	return append(dst, r.Bytes...)
}

func appendPartedRow(dst []byte, r Row, parts int) []byte {
	dst = append(dst, rowParted)
	dst = binary.AppendUvarint(dst, uint64(r.Seq))
	dst = binary.AppendVarint(dst, r.TimeMicros)
	dst = binary.AppendUvarint(dst, uint64(len(r.Bytes)))
	return binary.AppendUvarint(dst, uint64(parts))
}

func decodeRow(val []byte) (storedRow, error) {
	d := decoder{rest: val}
	form := d.byte()
	r := storedRow{Row: Row{Seq: schema.Seq(d.uvarint()), TimeMicros: d.varint()}}
	switch {
	case form == rowInline && !d.bad:
		r.Bytes, r.length = d.rest, len(d.rest)
		return r, nil
	case form == rowParted:
		r.length, r.num = d.int(), d.int()
		if r.length > MaxRowBytes || r.num != (r.length+partBytes-1)/partBytes {
			d.bad = true
		}
		return r, d.finish("row")
	}
	return r, fmt.Errorf("index row: form %#x: %w", form, schema.ErrCorrupt)
}

// progress is how far the index has applied the log.
type progress struct {
	applied schema.Position // whole chunks
	partial schema.Position // the chunk after, when it is applied in part
	units   int             // how many of its units are
}

func appendProgress(dst []byte, p progress) []byte {
	dst = appendPosition(dst, p.applied)
	dst = appendPosition(dst, p.partial)
	return binary.AppendUvarint(dst, uint64(p.units))
}

func decodeProgress(val []byte) (progress, error) {
	d := decoder{rest: val}
	p := progress{applied: d.position(), partial: d.position(), units: d.int()}
	return p, d.finish("position")
}

// tally is a collection's stats as stored.
type tally struct {
	nextSeq      schema.Seq
	rows         int64
	bytes        int64
	logBytes     int64
	lakeSeq      schema.Seq
	lakeSnapshot int64
	lakeBytes    int64 // logBytes of the changes below lakeSeq
	tailSince    int64 // microseconds; 0: the lake holds all
	last         lastGroup
}

func (t tally) stats() Stats {
	s := Stats{
		NextSeq: t.nextSeq, Rows: t.rows, Bytes: t.bytes, LogBytes: t.logBytes,
		LakeSeq: t.lakeSeq, LakeSnapshot: t.lakeSnapshot, TailBytes: t.logBytes - t.lakeBytes,
	}
	if t.tailSince != 0 {
		s.TailSince = time.UnixMicro(t.tailSince).UTC()
	}
	return s
}

// dirty reports whether Dirty tells of the collection: changes wait, and it has a
// table that lacks them, or as many bytes of them as make one worth it.
func (t tally) dirty(least int64) bool {
	return t.tailSince != 0 && (t.lakeSnapshot != 0 || t.logBytes-t.lakeBytes >= least)
}

// tallyMax is room for any tally.
const tallyMax = 15 * binary.MaxVarintLen64

func appendTally(dst []byte, t tally) []byte {
	dst = binary.AppendUvarint(dst, uint64(t.nextSeq))
	dst = binary.AppendUvarint(dst, uint64(t.rows))
	dst = binary.AppendUvarint(dst, uint64(t.bytes))
	dst = binary.AppendUvarint(dst, uint64(t.logBytes))
	dst = binary.AppendUvarint(dst, uint64(t.lakeSeq))
	dst = binary.AppendVarint(dst, t.lakeSnapshot)
	dst = binary.AppendUvarint(dst, uint64(t.lakeBytes))
	return appendLastGroup(binary.AppendVarint(dst, t.tailSince), t)
}

// appendLastGroup tells the last group by what is known of its collection. It is left
// off if there is none.
func appendLastGroup(dst []byte, t tally) []byte {
	g := t.last
	if g.Count == 0 {
		return dst
	}
	seqs, bytes := uint64(t.nextSeq-g.FirstSeq), uint64(t.logBytes-g.before)
	whole := seqs == uint64(g.Count) && bytes == uint64(g.Bytes)
	dst = binary.AppendUvarint(dst, uint64(g.Count)<<1|flag(!whole))
	dst = appendPosition(dst, g.Position)
	dst = binary.AppendVarint(dst, g.TimeMicros-t.tailSince)
	dst = binary.AppendUvarint(dst, uint64(g.Bytes))
	if !whole {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, seqs), bytes)
	}
	return dst
}

func flag(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

func (d *decoder) lastGroup(t tally) (g lastGroup) {
	if len(d.rest) == 0 {
		return g
	}
	count := d.uvarint()
	g.Count, g.Position = int(count>>1), d.position()
	g.TimeMicros, g.Bytes = t.tailSince+d.varint(), d.int64()
	seqs, bytes := uint64(g.Count), g.Bytes
	if count&1 != 0 {
		seqs, bytes = d.uvarint(), d.int64()
	}
	g.FirstSeq, g.before = t.nextSeq-schema.Seq(seqs), t.logBytes-bytes
	whole := seqs == uint64(g.Count) && bytes == g.Bytes
	if g.Count == 0 || seqs > uint64(t.nextSeq) || g.before < 0 || whole != (count&1 == 0) {
		d.bad = true
	}
	return g
}

func decodeTally(val []byte) (tally, error) {
	d := decoder{rest: val}
	t := tally{
		nextSeq: schema.Seq(d.uvarint()), rows: d.int64(), bytes: d.int64(), logBytes: d.int64(),
		lakeSeq: schema.Seq(d.uvarint()), lakeSnapshot: d.varint(), lakeBytes: d.int64(), tailSince: d.varint(),
	}
	t.last = d.lastGroup(t)
	return t, d.finish("stats")
}

// groupMax is room for any group pointer.
const groupMax = 6 * binary.MaxVarintLen64

func appendGroup(dst []byte, g GroupRef, before int64) []byte {
	dst = appendPosition(dst, g.Position)
	dst = binary.AppendUvarint(dst, uint64(g.Count))
	dst = binary.AppendVarint(dst, g.TimeMicros)
	dst = binary.AppendUvarint(dst, uint64(g.Bytes))
	return binary.AppendUvarint(dst, uint64(before))
}

// decodeGroup reads a group pointer and what logBytes were when it began.
func decodeGroup(key, val []byte) (g GroupRef, before int64, err error) {
	if len(key) != groupKeyLen {
		return g, 0, fmt.Errorf("index group: key of %d bytes: %w", len(key), schema.ErrCorrupt)
	}
	d := decoder{rest: val}
	g = GroupRef{
		FirstSeq: schema.Seq(binary.BigEndian.Uint64(key[prefixLen:])),
		Position: d.position(), Count: d.int(), TimeMicros: d.varint(), Bytes: d.int64(),
	}
	before = d.int64()
	return g, before, d.finish("group")
}

func appendLocation(dst []byte, l Location) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(l.File)), uint64(l.Row))
}

// locationMax is room for any location.
const locationMax = 2 * binary.MaxVarintLen32

func decodeLocation(val []byte) (Location, error) {
	d := decoder{rest: val}
	l := Location{File: d.uint32(), Row: d.uint32()}
	return l, d.finish("location")
}

func appendAnswer(dst []byte, a schema.Answer, timeMicros int64) []byte {
	dst = binary.AppendVarint(dst, timeMicros)
	dst = append(dst, a.Digest[:]...)
	dst = binary.AppendUvarint(dst, uint64(a.Instance))
	dst = binary.AppendUvarint(dst, uint64(a.FirstSeq))
	dst = binary.AppendUvarint(dst, uint64(a.Count))
	return appendPosition(dst, a.Position)
}

// decodeAnswer reads the answer under key and its commit time.
func decodeAnswer(key schema.DedupKey, val []byte) (a schema.Answer, timeMicros int64, err error) {
	d := decoder{rest: val}
	timeMicros = d.varint()
	a.Key = key
	copy(a.Digest[:], d.take(len(a.Digest)))
	a.Instance, a.FirstSeq = schema.Instance(d.uvarint()), schema.Seq(d.uvarint())
	a.Count, a.Position = d.int(), d.position()
	return a, timeMicros, d.finish("answer")
}

func appendPosition(dst []byte, p schema.Position) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(p.Generation)), p.Chunk)
}
