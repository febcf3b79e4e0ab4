package registry

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/trinedb/trine/schema"
)

// entryDecoder reads an entry from the front. After the first thing that does
// not fit it gives zeros.
type entryDecoder struct {
	rest []byte
	bad  bool
}

func (d *entryDecoder) want(ok bool) { d.bad = d.bad || !ok }

func (d *entryDecoder) byte() byte {
	if d.bad || len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *entryDecoder) uvarint() uint64 {
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

func (d *entryDecoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// atMost is a number up to most.
func (d *entryDecoder) atMost(most uint64) uint64 {
	v := d.uvarint()
	if v > most {
		d.bad = true
		return 0
	}
	return v
}

func (d *entryDecoder) duration() time.Duration { return time.Duration(d.atMost(math.MaxInt64)) }

func (d *entryDecoder) text() string {
	n := d.atMost(uint64(len(d.rest)))
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// member reads what follows the number of a member into c.
func (d *entryDecoder) member(m byte, c *schema.Collection) {
	switch o := &c.Options; m {
	case memberRetention:
		o.LogRetention = d.duration()
	case memberLake:
		o.Lake = schema.LakeMode(d.text())
		d.want(o.Lake == schema.LakePinned || o.Lake == schema.LakeOff)
	case memberFreshness:
		o.LakeFreshness = d.duration()
	case memberFormat:
		o.LakeFormat = int(d.atMost(math.MaxInt32))
	case memberBeforeImages:
		o.BeforeImages = true
	case memberLastIndexID:
		c.LastIndexID = schema.IndexID(d.atMost(math.MaxUint32))
	case memberIndex:
		c.Indexes = append(c.Indexes, d.index())
	case memberRetentionBytes:
		o.LogRetentionBytes = int64(d.atMost(math.MaxInt64))
	case memberPartition:
		o.LakePartition = d.partition()
	case memberSort:
		o.LakeSort = d.sort()
	case memberPartitioned:
		c.Partitioned = d.partitioned()
	default:
		d.bad = true
	}
}

// count is how many of a kind follow, at least one, each of at least size bytes: no
// length is believed that cannot be.
func (d *entryDecoder) count(size int) uint64 {
	n := d.atMost(uint64(len(d.rest) / size))
	d.want(n > 0)
	return n
}

func (d *entryDecoder) fieldID() int {
	id := int(d.atMost(math.MaxInt32))
	d.want(id > 0)
	return id
}

func (d *entryDecoder) partition() (fields []schema.PartitionField) {
	for n := d.count(3); n > 0 && !d.bad; n-- {
		f := schema.PartitionField{FieldID: d.fieldID()}
		f.Transform.Kind = schema.TransformKind(d.atMost(math.MaxUint8))
		f.Transform.Width = int(d.atMost(math.MaxInt32))
		d.want(f.Transform.Valid())
		fields = append(fields, f)
	}
	return fields
}

func (d *entryDecoder) sort() (fields []schema.SortField) {
	for n := d.count(2); n > 0 && !d.bad; n-- {
		f := schema.SortField{FieldID: d.fieldID()}
		flags := d.atMost(sortDesc | sortNullsLast)
		f.Desc, f.NullsLast = flags&sortDesc != 0, flags&sortNullsLast != 0
		fields = append(fields, f)
	}
	return fields
}

func (d *entryDecoder) partitioned() (ids []int) {
	for n := d.count(1); n > 0 && !d.bad; n-- {
		id := d.fieldID()
		d.want(len(ids) == 0 || id > ids[len(ids)-1])
		ids = append(ids, id)
	}
	return ids
}

func (d *entryDecoder) index() schema.IndexSpec {
	x := schema.IndexSpec{ID: schema.IndexID(d.atMost(math.MaxUint32)), Unique: d.atMost(1) == 1, Name: d.text()}
	// A field takes two bytes at least: no length is believed that cannot be.
	n := d.atMost(uint64(len(d.rest) / 2))
	for range n {
		x.Fields = append(x.Fields, d.text())
		x.FieldIDs = append(x.FieldIDs, int(d.atMost(math.MaxInt32)))
		if d.bad {
			break
		}
	}
	return x
}
