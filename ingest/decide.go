package ingest

import (
	"fmt"
	"slices"

	"github.com/trinedb/trine/schema"
)

// decision settles, once a batch's place in the log is known, what depends on
// the rows before it: an insert must not meet its key, a patch must, and becomes
// the whole row; a condition on a row must hold; no record may take what another
// row has in a unique index; and where before images are kept, each change is told
// as what it is and takes the row that it ends along.
type decision struct {
	w        *Writer
	builders []*builder // as the batch's groups
	skip     bool
	decoding *findings // what was found before
	// What the last call found.
	errs    schema.FieldErrors
	kind    error // of what was found first
	skipped int
	images  images
}

func newDecision(w *Writer, builders []*builder, f *findings) *decision {
	return &decision{w: w, builders: builders, decoding: f}
}

// decide is the Batch's Decide, or nil when the batch needs none. Which indexes
// are unique is known only then, so that all that have keys need one.
func (d *decision) decide() func([]Group) ([]Group, error) {
	for _, b := range d.builders {
		if b.schema.Keyed() {
			return d.run
		}
	}
	return nil
}

// run may be called more than once, each time from the start.
func (d *decision) run(groups []Group) ([]Group, error) {
	d.errs, d.kind, d.skipped, d.skip = nil, nil, 0, d.decoding.skip
	d.images = images{most: d.w.o.MaxBatchBytes}
	out := make([]Group, 0, len(groups))
	for _, g := range groups {
		b := d.builder(g.Instance)
		if !b.schema.Keyed() {
			out = append(out, g)
			continue
		}
		records, err := d.group(b, g)
		if err != nil {
			return nil, fmt.Errorf("decide batch of %s: %w", b.collection, err)
		}
		if len(records) > 0 {
			out = append(out, Group{Instance: g.Instance, Records: records})
		}
	}
	if len(d.errs) > 0 && !d.skip {
		return nil, d.refusal()
	}
	return out, nil
}

func (d *decision) builder(instance schema.Instance) *builder {
	for _, b := range d.builders {
		if b.collection.Instance == instance {
			return b
		}
	}
	panic(fmt.Sprintf("ingest: the log asks to decide on instance %d, which the batch does not have", instance))
}

// group settles the records of one collection, into a slice of its own unless
// they stay as they are.
func (d *decision) group(b *builder, g Group) ([]schema.Record, error) {
	records, places := g.Records, []int(nil)
	if b.conditional() {
		var err error
		if records, places, err = d.settle(b, g); err != nil {
			return nil, err
		}
		if len(d.errs) > 0 && !d.skip {
			return nil, nil
		}
	}
	return d.unique(b, g.Instance, records, places)
}

// conditional reports whether a record depends on the row with its key.
func (b *builder) conditional() bool {
	return b.keepsImages() || len(b.conditions) > 0 || slices.ContainsFunc(b.records, func(r schema.Record) bool {
		return r.Op == schema.OpInsert || r.Op == schema.OpUpdate
	})
}

// keepsImages reports whether the collection keeps before images; if that is
// being changed, as it was when the batch was begun.
func (b *builder) keepsImages() bool { return b.collection.Options.BeforeImages }

// settle looks at the rows that records meet. It gives the records that may go
// on, and their places.
func (d *decision) settle(b *builder, g Group) ([]schema.Record, []int, error) {
	out := make([]schema.Record, 0, len(g.Records))
	places := make([]int, 0, len(g.Records))
	var p *patcher
	for i, rec := range g.Records {
		wrong, err := d.meet(b, i, g.Instance, &rec, &p)
		if err != nil {
			return nil, nil, err
		}
		if wrong == nil {
			out, places = append(out, rec), append(places, i)
			continue
		}
		wrong.Line = int(b.lines[i])
		d.skipped++
		if len(d.errs) < schema.MaxFieldErrors {
			d.errs = append(d.errs, wrong)
		} else if !d.skip {
			break
		}
	}
	return out, places, nil
}

// meet holds one record against the row with its key, makes a patch the whole
// row, and keeps the image. What stands against it comes back as wrong.
func (d *decision) meet(b *builder, i int, inst schema.Instance, rec *schema.Record, p **patcher) (wrong *schema.FieldError, err error) {
	cond := b.conditionOn(i)
	if rec.Op != schema.OpInsert && rec.Op != schema.OpUpdate && !cond.set && !b.keepsImages() {
		return nil, nil
	}
	cur, seq, exists, err := d.w.o.Index.GetSequenced(inst, rec.Key)
	if err != nil {
		return nil, err
	}
	refuse := func(kind error, rule string) *schema.FieldError {
		d.kind = first(d.kind, kind)
		return &schema.FieldError{Field: b.keyNames(), Value: b.keyTextOf(rec.Key), Rule: rule}
	}
	if rule := cond.check(seq, exists); rule != "" {
		return refuse(schema.ErrPrecondition, rule), nil
	}
	switch {
	case rec.Op == schema.OpInsert && exists:
		return refuse(schema.ErrConflict, "there is a record with this key already: use upsert to replace it"), nil
	case rec.Op == schema.OpUpdate && !exists:
		return refuse(schema.ErrNotFound, "there is no record with this key to patch: use upsert to make it"), nil
	case rec.Op == schema.OpUpdate:
		if *p == nil {
			if *p, err = newPatcher(d.w, b); err != nil {
				return nil, err
			}
		}
		if rec.Row, wrong, err = (*p).apply(cur, rec.Row, b.given[i]); wrong != nil || err != nil {
			return wrong, err
		}
	}
	if b.keepsImages() {
		err = d.images.take(rec, cur, exists)
	}
	return nil, err
}

// refusal is the error of the batch.
func (d *decision) refusal() error {
	if d.kind == nil {
		return d.errs
	}
	return &BatchError{Kind: d.kind, Records: d.errs}
}

// report is what was left out of a batch, here and before. The log is done
// with it, so that run does not run any more.
func (d *decision) report() (errs schema.FieldErrors, count int) {
	errs = append(errs, d.decoding.errs...)
	errs = append(errs, d.errs...)
	return errs[:min(len(errs), schema.MaxFieldErrors)], d.decoding.skipped + d.skipped
}

func first(have, or error) error {
	if have != nil {
		return have
	}
	return or
}
