package segment

import (
	"cmp"
	"encoding/binary"
	"math"

	"github.com/trinedb/trine/log/record"
	"github.com/trinedb/trine/schema"
)

// run is what a segment is made of: neighbouring changes of one collection from
// one chunk, their records encoded.
type run struct {
	instance schema.Instance
	first    schema.Seq
	count    int
	number   uint64 // of the chunk
	micros   int64  // its commit time
	records  []byte
}

// maxRunHeader is the most that a run takes beside its records.
const maxRunHeader = 6 * binary.MaxVarintLen64

func (r *run) next() schema.Seq { return r.first + schema.Seq(r.count) }

func (r *run) compare(q *run) int {
	return cmp.Or(cmp.Compare(r.instance, q.instance), cmp.Compare(r.first, q.first))
}

// follows reports whether r may come right after before in a segment.
func (r *run) follows(before *run) bool {
	if r.instance != before.instance {
		return r.instance > before.instance
	}
	return r.first >= before.next() && r.number >= before.number
}

// append encodes the run, as a difference to the one before it in its block.
func (r *run) append(dst []byte, before *run) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.instance-before.instance))
	first := r.first
	if r.instance == before.instance {
		first -= before.next()
	}
	dst = binary.AppendUvarint(dst, uint64(first))
	dst = binary.AppendUvarint(dst, uint64(r.count))
	dst = binary.AppendVarint(dst, int64(r.number-before.number))
	dst = binary.AppendVarint(dst, r.micros-before.micros)
	dst = binary.AppendUvarint(dst, uint64(len(r.records)))
	return append(dst, r.records...)
}

// run takes a run that comes after before in its block. Its records are not
// looked into.
func (p *parser) run(before *run) run {
	delta, first, count := p.Uvarint(), p.Uvarint(), p.Uvarint()
	number, micros := p.Varint(), p.Varint()
	r := run{
		instance: before.instance + schema.Instance(delta),
		number:   before.number + uint64(number), micros: before.micros + micros,
		records: p.Bytes(p.Uvarint()),
	}
	if count == 0 || count > uint64(len(r.records)/record.MinBytes) || first >= maxSeq || r.instance < before.instance || r.instance == 0 {
		p.Bad = true
		return run{}
	}
	r.count, r.first = int(count), schema.Seq(first)
	if delta == 0 {
		r.first += before.next()
	}
	if r.first >= maxSeq || r.next() > maxSeq || !r.follows(before) {
		p.Bad = true
	}
	return r
}

// split cuts off the records that fit in room bytes; atLeast of them, even if
// they do not.
func (r *run) split(room, atLeast int) (head, rest run, ok bool) {
	p := record.Parser{Buf: r.records}
	n, end := 0, 0
	for n < r.count {
		p.Record()
		if p.Bad {
			return run{}, run{}, false
		}
		if p.Off > room && n >= atLeast {
			break
		}
		n, end = n+1, p.Off
	}
	head, rest = *r, *r
	head.count, head.records = n, r.records[:end]
	rest.count, rest.records = r.count-n, r.records[end:]
	rest.first += schema.Seq(n)
	return head, rest, true
}

// group decodes the changes of a run from a Seq on; at is where the records lie
// in the block that p reads.
func (r *run) group(p *parser, ref Ref, from schema.Seq) (Group, error) {
	q := newParser(p.name, p.at+int64(p.Off-len(r.records)), r.records)
	records := make([]schema.Record, r.count)
	for i := range records {
		if records[i] = q.Record(); q.Bad {
			return Group{}, q.fail("record %d of %d of instance %d is malformed", i, r.count, r.instance)
		}
	}
	if q.Off != len(q.Buf) {
		return Group{}, q.fail("%d bytes after the last record of instance %d", len(q.Buf)-q.Off, r.instance)
	}
	g := Group{Position: ref.position(r.number), TimeMicros: r.micros}
	g.Instance, g.FirstSeq, g.Records = r.instance, r.first, records
	if from > r.first {
		g.FirstSeq, g.Records = from, records[min(uint64(from-r.first), math.MaxInt):]
	}
	return g, nil
}
