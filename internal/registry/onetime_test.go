package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
)

// A reader that found an entry before its collection left a schema does not join it
// with a version that came after: own fields and the schema's may have one id.
func TestEntryAndSchemaOfOneTime(t *testing.T) {
	own := "{tenant: acme, collection: a, key: [id], fields: [{name: id, type: long, required: true}, {name: mine, type: int}]}"
	for _, cached := range []bool{false, true} {
		lossy := &lossyStore{memStore: newMemStore()}
		store := &slowStore{memStore: lossy.memStore}
		r := open(t, struct {
			*slowStore
			appender
		}{store, lossy})
		must(t, r, event(t))
		must(t, r, of(t, "acme/a", ""))
		if cached { // the entry, and not the schema: whether it changed nobody knows
			lossy.lose = true
			if _, _, err := r.ApplyFile(t.Context(), event(t, fieldNote), false); !errors.Is(err, schema.ErrUnknownOutcome) {
				t.Fatal(err)
			}
			lossy.lose = false
			if _, err := r.Get(t.Context(), "acme", "a"); err != nil {
				t.Fatal(err)
			}
		} else {
			r = open(t, struct {
				*slowStore
				appender
			}{store, lossy})
		}
		store.between = func() {
			f := own
			if cached {
				f = strings.Replace(own, "{name: mine", "{name: note, type: string}, {name: mine", 1)
			}
			must(t, r, file(t, f))
			must(t, r, event(t, fieldNote, fieldKind))
		}
		c, err := r.Get(t.Context(), "acme", "a")
		if err != nil || c.Named != 0 && strings.Contains(fieldsOf(c), "kind") {
			t.Errorf("cached %t: read as %s of schema %q, %v", cached, fieldsOf(c), c.SchemaName, err)
		}
		if c, err = r.Get(t.Context(), "acme", "a"); err != nil || c.Named != 0 || !strings.HasSuffix(fieldsOf(c), "mine") {
			t.Errorf("cached %t: then %s, %v", cached, fieldsOf(c), err)
		}
	}
}

type appender interface {
	Append(ctx context.Context, writes []schema.Instance, decide func(registry.Sequenced) ([]schema.Group, error)) error
}
