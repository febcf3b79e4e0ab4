package ingest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trinedb/trine/schema"
)

// maxUniqueRounds bounds how often what is left of a batch is looked at again
// after records were left out for a unique index: each may have been about to
// give up what another takes.
const maxUniqueRounds = 32

// unique refuses records that break a unique index, or with skip leaves them
// out. places are those of records in the builder, nil for the same ones.
func (d *decision) unique(b *builder, inst schema.Instance, records []schema.Record, places []int) ([]schema.Record, error) {
	for range maxUniqueRounds {
		found, err := d.w.o.Index.Collisions(inst, records)
		if err != nil || len(found) == 0 {
			return records, err
		}
		if places == nil {
			for i := range records {
				places = append(places, i)
			}
			records = slices.Clone(records)
		}
		if err := d.collided(b, found, records, places); err != nil {
			return nil, err
		}
		if !d.skip {
			return nil, nil // refused, by what was told
		}
		for _, c := range slices.Backward(found) {
			records = slices.Delete(records, c.Record, c.Record+1)
			places = slices.Delete(places, c.Record, c.Record+1)
		}
	}
	d.skip = false
	return nil, nil
}

// collided tells of collisions.
func (d *decision) collided(b *builder, found []schema.Collision, records []schema.Record, places []int) error {
	now, err := newest(d.w, b)
	if err != nil {
		return err
	}
	for _, c := range found {
		wrong := &schema.FieldError{Line: int(b.lines[places[c.Record]])}
		wrong.Field, wrong.Value = indexedText(now, c)
		if c.Other >= 0 {
			wrong.Rule = fmt.Sprintf("the record in line %d, with key %s, has the same in this batch, and index %s is unique",
				b.lines[places[c.Other]], b.keyTextOf(c.Key), c.Index)
		} else {
			wrong.Rule = fmt.Sprintf("the record with key %s has this already, and index %s is unique", b.keyTextOf(c.Key), c.Index)
		}
		d.kind = first(d.kind, schema.ErrConflict)
		d.skipped++
		if len(d.errs) < schema.MaxFieldErrors {
			d.errs = append(d.errs, wrong)
		}
	}
	return nil
}

// newest is the schema of the builder's collection as it stands.
func newest(w *Writer, b *builder) (*schema.Schema, error) {
	ctx := context.Background() // the log calls, not a client
	now, err := w.o.Registry.Get(ctx, b.collection.Tenant, b.collection.Name)
	if err != nil {
		return nil, err
	}
	if now.Instance == b.collection.Instance {
		return now.Schema, nil // the collection may have evolved since the batch was read
	}
	return b.schema, nil
}

// indexedText is what a record has in the fields of an index.
func indexedText(s *schema.Schema, c schema.Collision) (names, values string) {
	var fields []int
	var list []string
	for _, id := range c.FieldIDs {
		at := s.IndexID(id)
		if at < 0 {
			return c.Index, "" // dropped meanwhile, and the index with it
		}
		fields = append(fields, at)
		list = append(list, s.Fields[at].Name)
	}
	parts, _, err := s.DecodeIndexFields(fields, c.Fields, nil)
	if err != nil {
		return strings.Join(list, ","), ""
	}
	var text []byte
	for i, f := range fields {
		if i > 0 {
			text = append(text, ',')
		}
		text = schema.AppendText(text, s.Fields[f].Type, parts[i])
	}
	return strings.Join(list, ","), cut(string(text))
}

// indexTooLong is what is wrong with a row whose indexed fields cannot be kept.
func indexTooLong(c *schema.Collection, s *schema.Schema, row []schema.Value) *schema.FieldError {
	for _, x := range c.Indexes {
		room := schema.MaxIndexedBytes
		for _, id := range x.FieldIDs {
			at := s.IndexID(id)
			if at < 0 {
				continue
			}
			if room -= indexedBytes(&row[at]); room < 0 {
				return &schema.FieldError{Field: s.Fields[at].Name, Rule: fmt.Sprintf(
					"is indexed by %s, whose fields may have %d bytes at most", x.Name, schema.MaxIndexedBytes)}
			}
		}
	}
	return nil
}

// indexedBytes is no less than what a value takes in the key format.
func indexedBytes(v *schema.Value) int {
	const most = 1 + 16 // a mark and a number
	if v.IsNull() {
		return 1
	}
	b := v.Bytes()
	return most + len(b) + bytes.Count(b, []byte{0}) // and escapes
}
