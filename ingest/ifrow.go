package ingest

import (
	"encoding/binary"
	"strconv"

	"github.com/trinedb/trine/schema"
)

// ifSeqMember is the member of a record that is a condition on the row that it
// replaces.
const ifSeqMember = "_if_seq"

// condition is an IfRow; the zero value is none.
type condition struct {
	set    bool
	absent bool
	seq    schema.Seq
}

func conditionOf(r *IfRow) condition {
	if r == nil {
		return condition{}
	}
	return condition{set: true, absent: r.Absent, seq: r.Seq}
}

// parseCondition reads the value of ifSeqMember, or nil for none.
func parseCondition(data []byte) (condition, *schema.FieldError) {
	switch {
	case data == nil:
		return condition{}, nil
	case string(data) == "null":
		return condition{set: true, absent: true}, nil
	}
	n, err := strconv.ParseUint(string(data), 10, 63)
	if err != nil {
		return condition{}, &schema.FieldError{Field: ifSeqMember, Value: cut(string(data)),
			Rule: "want the _seq of the row as it is, or null if there must be none"}
	}
	return condition{set: true, seq: schema.Seq(n)}, nil
}

// require puts a condition on the record that was added last.
func (b *builder) require(c condition) {
	if !c.set || len(b.records) == 0 {
		return
	}
	for len(b.conditions) < len(b.records) {
		b.conditions = append(b.conditions, condition{})
	}
	b.conditions[len(b.records)-1] = c
	if b.digest != nil {
		b.digest.condition(c)
	}
}

// requireRow puts the condition of a whole request on its one record.
func (b *builder) requireRow(r *IfRow) error {
	switch {
	case r == nil:
		return nil
	case !b.schema.Keyed():
		return &schema.FieldError{Field: "Trine-If-Row-Seq", Rule: "the collection has no key: there is no row that a record replaces"}
	case len(b.records) != 1:
		return &schema.FieldError{Field: "Trine-If-Row-Seq", Value: strconv.Itoa(len(b.records)) + " records",
			Rule: "is about one record: send one, or write " + ifSeqMember + " in each"}
	case len(b.conditions) > 0:
		return &schema.FieldError{Field: "Trine-If-Row-Seq", Rule: "the record has " + ifSeqMember + " already: send one of them"}
	}
	b.require(conditionOf(r))
	return nil
}

// conditionOn is the condition on the record at a place.
func (b *builder) conditionOn(i int) condition {
	if i < len(b.conditions) {
		return b.conditions[i]
	}
	return condition{}
}

// check holds a condition against the row that there is.
func (c condition) check(seq schema.Seq, exists bool) (rule string) {
	switch {
	case !c.set, c.absent && !exists, !c.absent && exists && seq == c.seq:
		return ""
	case !exists:
		return "there is no record with this key, " + ifSeqMember + " wants one of seq " + formatSeq(c.seq)
	case c.absent:
		return "there is a record with this key, of seq " + formatSeq(seq) + ", " + ifSeqMember + " wants none"
	default:
		return "the record with this key is of seq " + formatSeq(seq) + ", not " + formatSeq(c.seq)
	}
}

func formatSeq(s schema.Seq) string { return strconv.FormatUint(uint64(s), 10) }

// condition takes the condition on the record that was added last.
func (d *digester) condition(c condition) {
	d.buf = append(d.buf[:0], 'c')
	if !c.absent {
		d.buf = binary.AppendUvarint(d.buf, uint64(c.seq)+1)
	} else {
		d.buf = append(d.buf, 0)
	}
	d.hash.Write(d.buf)
}
