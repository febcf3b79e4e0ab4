package ingest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trinedb/trine/schema"
)

// limits count a batch against its Options, over all its collections.
type limits struct {
	o       *Options
	share   *share
	records int
	bytes   int64
}

// take counts a record's encoded bytes.
func (l *limits) take(n int) error {
	l.records++
	l.bytes += int64(n)
	switch {
	case l.records > l.o.MaxBatchRecords:
		return fmt.Errorf("batch has more than %d records, send it as several: %w", l.o.MaxBatchRecords, schema.ErrTooLarge)
	case l.bytes > l.o.MaxBatchBytes:
		return fmt.Errorf("batch is larger than %d bytes when encoded, send it as several: %w", l.o.MaxBatchBytes, schema.ErrTooLarge)
	}
	return l.share.add(recordBytes)
}

// recordBytes is what a record takes in memory beside its bytes: its place in
// the batch and in what finds its key.
const recordBytes = 104

// builder encodes the records of one collection's part of a batch.
type builder struct {
	collection *schema.Collection
	schema     *schema.Schema
	findings   *findings
	limits     *limits
	digest     *digester // nil when nobody asks

	records []schema.Record
	lines   []int32    // of the records
	given   [][]uint64 // of the records that are patches: bit i is set if field i was given; nil without patches

	conditions []condition // on the rows that records replace; may end early
	keys       keySet
	arena      arena
	scratch    []byte
}

// operation says what op is in the collection, or why it is not offered there.
// The Op of a keyed record says what Decide will do: an OpInsert must not meet
// its key, an OpUpdate is a patch.
func operation(c *schema.Collection, op Op) (schema.Op, *schema.FieldError) {
	keyed := c.Schema.Keyed()
	switch {
	case op == OpDefault && keyed, op == OpUpsert && keyed:
		return schema.OpUpsert, nil
	case op == OpDefault, op == OpInsert:
		return schema.OpInsert, nil
	case op == OpDelete && keyed:
		return schema.OpDelete, nil
	case op == OpPatch && keyed:
		return schema.OpUpdate, nil
	case op == OpUpsert, op == OpDelete, op == OpPatch:
		return 0, &schema.FieldError{Field: "op", Value: string(op), Rule: "the collection has no key, its records can only be inserted"}
	default:
		return 0, &schema.FieldError{Field: "op", Value: cut(string(op)), Rule: "is no operation: there are insert, upsert, delete and patch"}
	}
}

// partial reports whether records of op need not have all required fields.
func partial(op schema.Op) bool { return op == schema.OpDelete || op == schema.OpUpdate }

// add takes a record that was found valid. present tells of a partial one
// which fields it has; it and row are not kept.
func (b *builder) add(line int, op schema.Op, row []schema.Value, present []bool) error {
	key := b.scratch[:0]
	if b.schema.Keyed() {
		key = b.schema.AppendKey(key, row)
	}
	keyLen := len(key)
	data := key
	if op != schema.OpDelete {
		data = b.schema.AppendRow(data, row)
	}
	b.scratch = data[:0]
	key = data[:keyLen]
	switch {
	case len(data) > b.limits.o.MaxRecordBytes:
		b.findings.tooLarge(line, fmt.Sprintf("the record has %d bytes when encoded, at most %d are kept", len(data), b.limits.o.MaxRecordBytes))
		return b.findings.refused()
	case keyLen > b.limits.o.MaxKeyBytes:
		b.findings.tooLarge(line, fmt.Sprintf("the key has %d bytes when encoded, at most %d are kept", keyLen, b.limits.o.MaxKeyBytes))
		return b.findings.refused()
	}
	if op != schema.OpDelete {
		if wrong := indexTooLong(b.collection, b.schema, row); wrong != nil {
			wrong.Line = line
			b.findings.tell(wrong)
			return b.findings.refused()
		}
	}
	if b.schema.Keyed() {
		if place, found := b.keys.put(b.records, key); found {
			b.findings.tell(&schema.FieldError{
				Line: line, Field: b.keyNames(), Value: b.keyText(row),
				Rule: fmt.Sprintf("has the same key as the record in line %d: a batch has each key once", b.lines[place]),
			})
			return b.findings.refused()
		}
	}
	if err := b.limits.take(len(data)); err != nil {
		return err
	}
	if !partial(op) {
		present = nil // absent is null
	}
	if b.digest != nil {
		b.digest.add(b.collection.Instance, op, b.schema.Fields, row, present)
	}
	data = b.arena.copy(data)
	rec := schema.Record{Op: op, Key: data[:keyLen:keyLen], Row: data[keyLen:]}
	if op == schema.OpUpdate {
		b.addGiven(present)
	}
	if len(b.records) == cap(b.records) {
		b.records = slices.Grow(b.records, max(1, len(b.records)))
		b.lines = slices.Grow(b.lines, max(1, len(b.lines)))
	}
	b.records = append(b.records, rec)
	b.lines = append(b.lines, int32(line))
	return nil
}

// addGiven keeps which fields the patch at the next place has.
func (b *builder) addGiven(present []bool) {
	bits := make([]uint64, (len(b.schema.Fields)+63)/64)
	for i, p := range present {
		if p {
			bits[i/64] |= 1 << (i % 64)
		}
	}
	for len(b.given) < len(b.records) {
		b.given = append(b.given, nil)
	}
	b.given = append(b.given, bits)
}

func (b *builder) keyNames() string {
	names := make([]string, len(b.schema.Key))
	for i, f := range b.schema.Key {
		names[i] = b.schema.Fields[f].Name
	}
	return strings.Join(names, ",")
}

// keyText is a row's key as errors tell it.
func (b *builder) keyText(row []schema.Value) string {
	var out []byte
	for i, f := range b.schema.Key {
		if i > 0 {
			out = append(out, ',')
		}
		out = schema.AppendText(out, b.schema.Fields[f].Type, row[f])
	}
	return cut(string(out))
}

// keyTextOf is keyText of an encoded key.
func (b *builder) keyTextOf(key []byte) string {
	parts, err := b.schema.DecodeKey(key, nil)
	if err != nil {
		return ""
	}
	var out []byte
	for i, t := range b.schema.KeyTypes() {
		if i > 0 {
			out = append(out, ',')
		}
		out = schema.AppendText(out, t, parts[i])
	}
	return cut(string(out))
}

// relaxed is the schema of records that have only some of the fields: what
// they lack is not required of them.
func relaxed(s *schema.Schema, present []bool) *schema.Schema {
	r := *s
	r.Fields = make([]schema.Field, len(s.Fields))
	for i, f := range s.Fields {
		f.Required = f.Required && present[i]
		r.Fields[i] = f
	}
	return &r
}

// missingKey is the error of records that come without a field of the key.
func missingKey(s *schema.Schema, present []bool, line int) *schema.FieldError {
	for _, f := range s.Key {
		if !present[f] {
			return &schema.FieldError{Line: line, Field: s.Fields[f].Name, Rule: "is part of the key and missing: there is no such column"}
		}
	}
	return nil
}

// arena holds encoded records in blocks, so that a batch of a million is a few
// hundred allocations. Blocks double from a small one: the log keeps a batch for
// as long as the batch is in its tail, and counts its bytes, not its blocks.
type arena struct{ block []byte }

const (
	arenaFirstBytes = 64
	arenaBlockBytes = 256 << 10
)

func (a *arena) copy(data []byte) []byte {
	if len(data) > cap(a.block)-len(a.block) {
		if len(data) > arenaBlockBytes/4 {
			return append([]byte(nil), data...)
		}
		size := min(max(2*cap(a.block), arenaFirstBytes), arenaBlockBytes)
		a.block = make([]byte, 0, max(size, len(data)))
	}
	at := len(a.block)
	a.block = append(a.block, data...)
	return a.block[at:len(a.block):len(a.block)]
}

// cut shortens a value to what an error tells of it.
func cut(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
