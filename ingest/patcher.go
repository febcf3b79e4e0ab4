package ingest

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// patcher lays patches over rows. Rows and patches may be of any schema in the
// collection's line; what comes out is of the newest.
type patcher struct {
	w        *Writer
	b        *builder
	to       *schema.Schema
	decoders map[schema.SchemaID]*schema.RowDecoder
	from     *schema.RowDecoder // of the patches
	given    []int              // place in the patch's schema of each field, or -1
	row      []schema.Value
	patch    []schema.Value
}

func newPatcher(w *Writer, b *builder) (*patcher, error) {
	to, err := newest(w, b)
	if err != nil {
		return nil, err
	}
	p := &patcher{w: w, b: b, to: to, decoders: make(map[schema.SchemaID]*schema.RowDecoder)}
	p.from = schema.NewRowDecoder(b.schema, to)
	p.given = make([]int, len(to.Fields))
	for i, f := range to.Fields {
		p.given[i] = b.schema.IndexID(f.ID)
	}
	return p, nil
}

// apply lays the fields of a patch that were given over a row, and encodes the
// outcome. What breaks a rule comes back as wrong.
func (p *patcher) apply(cur, patch []byte, given []uint64) (row []byte, wrong *schema.FieldError, err error) {
	dec, err := p.decoder(cur)
	if err != nil {
		return nil, nil, err
	}
	if p.row, err = dec.Decode(cur, p.row[:0]); err != nil {
		return nil, nil, err
	}
	if p.patch, err = p.from.Decode(patch, p.patch[:0]); err != nil {
		return nil, nil, err
	}
	for i, at := range p.given {
		if at >= 0 && given[at/64]&(1<<(at%64)) != 0 {
			p.row[i] = p.patch[i]
		}
	}
	if wrong := p.to.CheckRow(p.row); wrong != nil {
		return nil, wrong, nil
	}
	if wrong := indexTooLong(p.b.collection, p.to, p.row); wrong != nil {
		return nil, wrong, nil
	}
	row = p.to.AppendRow(nil, p.row)
	if most := p.w.o.MaxRecordBytes; len(row) > most {
		return nil, &schema.FieldError{Rule: fmt.Sprintf("the patched record has %d bytes when encoded, at most %d are kept", len(row), most)}, nil
	}
	return row, nil, nil
}

// decoder reads rows of the schema that a row was written with.
func (p *patcher) decoder(row []byte) (*schema.RowDecoder, error) {
	id, err := schema.RowSchemaID(row)
	if err != nil {
		return nil, err
	}
	if d := p.decoders[id]; d != nil {
		return d, nil
	}
	from, err := p.w.o.Registry.Schema(context.Background(), id)
	if err != nil {
		return nil, fmt.Errorf("schema %d of a row: %w", id, err)
	}
	d := schema.NewRowDecoder(from, p.to)
	p.decoders[id] = d
	return d, nil
}
