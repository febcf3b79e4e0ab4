package kvindex

import (
	"context"
	"fmt"

	"github.com/trinedb/trine/schema"
)

// prove walks a unique index that is whole, and makes it ready or failed.
func (b *builder) prove(ctx context.Context, ref secondaryRef) error {
	x := b.x
	// Batches that were decided while the index was not whole come first.
	if b.barrier != nil {
		if err := b.barrier(ctx); err != nil {
			return fmt.Errorf("wait for batches under way: %w", err)
		}
	}
	if err := x.Wait(ctx, x.view.Load().durable.pos); err != nil {
		return err
	}
	reason, err := x.collision(ctx, ref)
	if err != nil {
		return err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	set, s, err := x.current(ref)
	if err != nil || s == nil || s.state != SecondaryBuilt {
		return err
	}
	out := new(batch)
	if reason != "" {
		set = out.failSecondary(ref.inst, set, ref.id, reason)
	} else {
		out.delete(secondaryKey(spaceBuild, ref.inst, ref.id))
		set = set.with(ref.id, func(s *secondary) { s.state = SecondaryReady })
	}
	out.putSecondaries(ref.inst, set)
	return x.commitNow(out)
}

// collision names two rows with the same entry in a unique index, or is "".
func (x *Index) collision(ctx context.Context, ref secondaryRef) (string, error) {
	if err := x.gate.enter(); err != nil {
		return "", err
	}
	defer x.gate.leave()
	v := x.pin()
	defer x.unpin(v)
	prefix := secondaryKey(spaceEntry, ref.inst, ref.id)
	c := x.eng.iterate(v.ts, prefix, false)
	defer c.close()
	var fields, key []byte
	n := 0
	for c.seek(prefix); c.valid(); c.next() {
		if n++; n%ctxEvery == 0 {
			if err := x.gate.alive(ctx); err != nil {
				return "", err
			}
		}
		val, err := c.value()
		if err != nil {
			return "", corrupt("read entry", err)
		}
		f, k, null, err := splitEntry(c.key()[entryPrefixLen:], val)
		if err != nil {
			return "", err
		}
		if !null && n > 1 && string(f) == string(fields) {
			return fmt.Sprintf("the records with keys %s and %s have the same values", x.keyText(ref.inst, key), x.keyText(ref.inst, k)), nil
		}
		if fields = append(fields[:0], f...); null {
			fields = append(fields[:0], 0xff) // no mark: equal to none
		}
		key = append(key[:0], k...)
	}
	return "", nil
}

// keyText is a primary key for people.
func (x *Index) keyText(inst schema.Instance, key []byte) string {
	row, ok, err := x.engineRow(inst, key)
	if err != nil || !ok {
		return fmt.Sprintf("%x", key)
	}
	id, err := schema.RowSchemaID(row.Bytes)
	if err != nil {
		return fmt.Sprintf("%x", key)
	}
	s, err := x.opts.Catalog.Schema(context.Background(), id)
	if err != nil {
		return fmt.Sprintf("%x", key)
	}
	parts, err := s.DecodeKey(key, nil)
	if err != nil {
		return fmt.Sprintf("%x", key)
	}
	var text []byte
	for i, t := range s.KeyTypes() {
		if i > 0 {
			text = append(text, ',')
		}
		text = schema.AppendText(text, t, parts[i])
	}
	return string(text)
}
