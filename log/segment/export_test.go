package segment

import (
	"github.com/trinedb/trine/log/record"
	"github.com/trinedb/trine/schema"
)

// DecodeTail decodes the tail of a segment whose sum is set right before, and
// encodes it again.
func DecodeTail(ref Ref, data []byte) ([]byte, error) {
	if len(data) >= footerSize+trailerSize {
		t := data[len(data)-trailerSize:]
		copy(t[offTrailerMagic:], trailerMagic[:])
		copy(t[offTrailerVersion:][:2], data[offVersion:])
		order.PutUint32(t[offTailLen:], uint32(len(data)))
		order.PutUint32(t[offTrailerCRC:], crc(data[:len(data)-8]))
	}
	t, err := decodeTail("x", ref, data)
	if err != nil {
		return nil, err
	}
	var index []byte
	before := &entry{}
	for i := range t.index {
		index = t.index[i].append(index, before)
		before = &t.index[i]
	}
	w := filterWriter{bits: t.filter.bits}
	last := schema.Instance(0)
	for _, id := range t.filter.firsts {
		w.firsts = appendDelta(w.firsts, id-last)
		last = id
	}
	return appendTail(nil, ref, &t.info, t.start, uint32(len(t.index)), index, &w)
}

func appendDelta(dst []byte, d schema.Instance) []byte {
	return appendNumbers(dst, Ref{From: 1}, []uint64{uint64(d)})
}

// DecodeBlock decodes the bytes of a block that is not compressed.
func DecodeBlock(d *Decoder, ref Ref, first, last schema.Instance, seq schema.Seq, raw []byte) ([]Group, error) {
	e := &entry{first: first, last: last, seq: seq, stored: uint32(len(raw)), raw: uint32(len(raw))}
	b, err := d.open("x", e, order.AppendUint32(raw[:len(raw):len(raw)], crc(raw)), nil)
	if err != nil {
		return nil, err
	}
	var groups []Group
	for {
		ok, err := b.next(ref)
		if !ok || err != nil {
			return groups, err
		}
		g, err := b.run.group(&b.parser, ref, 0)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
}

// EncodeBlock encodes the groups of a block that is not compressed.
func EncodeBlock(groups []Group) []byte {
	var raw []byte
	var before run
	for _, g := range groups {
		r := run{instance: g.Instance, first: g.FirstSeq, count: len(g.Records), number: g.Position.Chunk, micros: g.TimeMicros}
		for i := range g.Records {
			r.records = record.Append(r.records, &g.Records[i])
		}
		raw = r.append(raw, &before)
		before = r
	}
	return raw
}
