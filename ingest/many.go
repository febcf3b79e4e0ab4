package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trinedb/trine/schema"
)

// WriteMany decodes, validates and appends one batch over many collections of
// a tenant. It is written whole or not at all; errors are as Write's.
func (w *Writer) WriteMany(ctx context.Context, r ManyRequest) (ManyResult, error) {
	if r.Format != "" {
		form, err := parseFormat(r.Format)
		if err != nil {
			return ManyResult{}, err
		}
		if form != formatNDJSON {
			return ManyResult{}, fmt.Errorf("%w: %s; a batch over many collections is application/x-ndjson", ErrMediaType, form)
		}
	}
	if err := checkKey(r.IdempotencyKey); err != nil {
		return ManyResult{}, err
	}
	share := &share{inFlight: &w.inFlight, ctx: ctx}
	defer share.release()
	m := &manyBatch{w: w, ctx: ctx, tenant: r.Tenant, limits: limits{o: &w.o, share: share}, parts: make(map[string]*part)}
	m.dedup, m.findings.skip = r.IdempotencyKey != "", r.SkipBad
	if err := w.read(r.Body, r.Encoding, r.Size, share, &m.findings, func(in *body) error {
		return eachLine(in, &m.findings, w.o.MaxTextBytes, m.line)
	}); err != nil {
		return ManyResult{}, err
	}
	batch, builders := m.batch()
	if m.dedup {
		batch.Dedup = dedupKey(r.Tenant, "", 0, r.IdempotencyKey)
	}
	d := newDecision(w, builders, &m.findings)
	batch.Decide = d.decide()
	ack, err := w.o.Log.Append(ctx, batch)
	if err != nil {
		return ManyResult{}, fmt.Errorf("write to %s: %w", r.Tenant, err)
	}
	out := manyResult(ack, builders)
	out.Skipped, out.SkippedCount = d.report()
	return out, nil
}

func manyResult(ack Ack, builders []*builder) ManyResult {
	seqs := make(map[schema.Instance]AckGroup, len(ack.Groups))
	for _, g := range ack.Groups {
		seqs[g.Instance] = g
	}
	out := ManyResult{Position: ack.Position, Replayed: ack.Replayed}
	for _, b := range builders {
		g, ok := seqs[b.collection.Instance]
		if !ok || g.Count == 0 {
			continue
		}
		out.Collections = append(out.Collections, CollectionResult{
			Collection: b.collection.Name, FirstSeq: g.FirstSeq, LastSeq: g.FirstSeq + schema.Seq(g.Count-1), Count: g.Count,
		})
		out.Count += g.Count
	}
	return out
}

// manyBatch gathers the lines of a batch by collection.
type manyBatch struct {
	w        *Writer
	ctx      context.Context
	tenant   string
	dedup    bool
	findings findings
	limits   limits
	parts    map[string]*part // nil for a collection that cannot be written to
	order    []*part
}

// part is what a batch has for one collection.
type part struct {
	builder *builder
	records *jsonRecords
}

// line takes one line of the body.
func (m *manyBatch) line(line int, data []byte) error {
	f := &m.findings
	e, wrong := parseEnvelope(data)
	if wrong != nil {
		wrong.Line = line
		f.tell(wrong)
		return f.refused()
	}
	p, err := m.part(line, e.collection)
	if err != nil {
		return err
	}
	if p == nil {
		return f.refused()
	}
	op, wrong := operation(p.builder.collection, e.op)
	if wrong != nil {
		wrong.Line = line
		f.tell(wrong)
		return f.refused()
	}
	return p.records.add(line, op, e.record)
}

// part finds or begins the part of a collection. It is nil, and told, when
// there is no such collection.
func (m *manyBatch) part(line int, name string) (*part, error) {
	if p, ok := m.parts[name]; ok {
		if p == nil {
			m.unknown(line, name)
		}
		return p, nil
	}
	if len(m.parts) >= m.w.o.MaxCollections {
		return nil, fmt.Errorf("batch writes to more than %d collections, send it as several: %w", m.w.o.MaxCollections, schema.ErrTooLarge)
	}
	c, err := m.w.o.Registry.Get(m.ctx, m.tenant, name)
	if err != nil {
		if !errors.Is(err, schema.ErrNotFound) && !errors.Is(err, schema.ErrInvalid) {
			return nil, err
		}
		m.parts[name] = nil
		m.unknown(line, name)
		return nil, nil
	}
	b := &builder{collection: c, schema: c.Schema, findings: &m.findings, limits: &m.limits}
	if m.dedup {
		b.digest = newDigester()
	}
	p := &part{builder: b, records: newJSONRecords(b)}
	m.parts[name] = p
	m.order = append(m.order, p)
	return p, nil
}

func (m *manyBatch) unknown(line int, name string) {
	m.findings.tell(&schema.FieldError{Line: line, Field: "collection", Value: cut(name), Rule: "there is no such collection"})
}

// batch is what was gathered. Its digest is over the parts in their order.
func (m *manyBatch) batch() (Batch, []*builder) {
	var (
		batch    Batch
		builders []*builder
		digest   = sha256.New()
	)
	for _, p := range m.order {
		batch.Groups = append(batch.Groups, Group{Instance: p.builder.collection.Instance, Records: p.builder.records})
		builders = append(builders, p.builder)
		if m.dedup {
			sum := p.builder.digest.sum()
			digest.Write(sum[:])
		}
	}
	if m.dedup {
		copy(batch.Digest[:], digest.Sum(nil))
	}
	return batch, builders
}

// envelope is a line of a batch over many collections.
type envelope struct {
	collection string
	op         Op
	record     []byte
}

// parseEnvelope reads {"collection":…,"op":…,"record":{…}}.
func parseEnvelope(data []byte) (e envelope, wrong *schema.FieldError) {
	const form = `want {"collection":…,"op":…,"record":{…}}`
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if dec.PeekKind() != '{' {
		return e, &schema.FieldError{Value: cut(string(data)), Rule: form}
	}
	bad := func(err error) (envelope, *schema.FieldError) {
		return e, &schema.FieldError{Rule: "is not JSON: " + err.Error()}
	}
	if _, err := dec.ReadToken(); err != nil {
		return bad(err)
	}
	seen := make(map[string]bool, 3)
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return bad(err)
		}
		name := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return bad(err)
		}
		if seen[name] {
			return e, &schema.FieldError{Field: cut(name), Rule: "is given twice"}
		}
		seen[name] = true
		switch name {
		case "collection", "op":
			text, err := jsontext.AppendUnquote(nil, value)
			if value.Kind() != '"' || err != nil {
				return e, &schema.FieldError{Field: name, Value: cut(string(value)), Rule: "want a string"}
			}
			if name == "op" {
				e.op = Op(text)
			} else {
				e.collection = string(text)
			}
		case "record":
			e.record = bytes.Clone(value)
		default:
			return e, &schema.FieldError{Field: cut(name), Rule: "is not known here: " + form}
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return bad(err)
	}
	if dec.PeekKind() != 0 || dec.InputOffset() != int64(len(bytes.TrimRight(data, " \t\r"))) {
		return e, &schema.FieldError{Rule: "there is more on the line after its object"}
	}
	switch {
	case e.collection == "":
		return e, &schema.FieldError{Field: "collection", Rule: "is required: " + form}
	case e.record == nil:
		return e, &schema.FieldError{Field: "record", Rule: "is required: " + form}
	}
	return e, nil
}
