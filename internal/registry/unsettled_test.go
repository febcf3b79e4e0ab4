package registry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
)

// lossyStore is a store whose answers may be lost, and that lets a test look
// while an append is durable and not answered.
type lossyStore struct {
	*memStore
	lose    bool         // appends land and answer that nobody knows
	delayed func() error // an append that lands later
	late    bool         // appends wait to be landed
	durable func()       // runs between durable and answered
}

func (s *lossyStore) Append(ctx context.Context, writes []schema.Instance, decide func(registry.Sequenced) ([]schema.Group, error)) error {
	land := func() error { return s.memStore.Append(ctx, writes, decide) }
	if s.late {
		s.delayed = land
		return schema.ErrUnknownOutcome
	}
	err := land()
	if err == nil && s.durable != nil {
		s.durable()
	}
	if err == nil && s.lose {
		return schema.ErrUnknownOutcome
	}
	return err
}

// A drop whose answer was lost, as when its client went away, has happened: a
// cache that still knew the collection would have writers acknowledged into a
// collection that is gone.
func TestDropOfUnknownOutcome(t *testing.T) {
	for _, late := range []bool{false, true} {
		store := &lossyStore{memStore: newMemStore()}
		r := open(t, store)
		apply(t, r, define(t, "acme", "a", ""))
		store.lose, store.late = !late, late
		if _, err := r.Drop(t.Context(), "acme", "a"); !errors.Is(err, schema.ErrUnknownOutcome) {
			t.Fatalf("drop: %v", err)
		}
		if late {
			if _, err := r.Get(t.Context(), "acme", "a"); err != nil {
				t.Fatalf("before it lands: %v", err)
			}
			if err := store.delayed(); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := r.Get(t.Context(), "acme", "a"); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("late %t: after a drop that landed: %v, %v", late, c, err)
		}
		store.lose, store.late = false, false
		apply(t, r, define(t, "acme", "a", ""))
	}
}

// From the moment that an evolution is durable every reader sees it: one that
// saw the old schema after another saw the new would flush new rows as old ones.
func TestEvolutionIsSeenOnceItIsDurable(t *testing.T) {
	store := &lossyStore{memStore: newMemStore()}
	r := open(t, store)
	first := apply(t, r, define(t, "acme", "a", ""))
	looked := 0
	store.durable = func() {
		looked++
		for _, get := range []func() (*schema.Collection, error){
			func() (*schema.Collection, error) { return r.Get(t.Context(), "acme", "a") },
			func() (*schema.Collection, error) { return r.ByInstance(t.Context(), first.Instance) },
		} {
			if c, err := get(); err != nil || len(c.Schema.Fields) != 2 {
				t.Errorf("durable and not answered: %v, %v", c, err)
			}
		}
	}
	apply(t, r, define(t, "acme", "a", `,{"name":"x","type":"long"}`))
	if looked != 1 {
		t.Errorf("looked %d times", looked)
	}
}

// slowStore lets a test act between a look-up and its answer.
type slowStore struct {
	*memStore
	between func()
}

func (s *slowStore) Get(ctx context.Context, inst schema.Instance, key []byte) ([]byte, bool, error) {
	row, ok, err := s.memStore.Get(ctx, inst, key)
	if fn := s.between; fn != nil {
		s.between = nil
		fn()
	}
	return row, ok, err
}

// A reader that began before a change and ends after it must not leave what it
// found behind for those who come later.
func TestSlowReaderLeavesNothingOld(t *testing.T) {
	store := &slowStore{memStore: newMemStore()}
	apply(t, open(t, store), define(t, "acme", "a", ""))
	r := open(t, store) // which has nothing in its cache
	evolved := define(t, "acme", "a", `,{"name":"x","type":"long"}`)
	store.between = func() { apply(t, r, evolved) }
	if c, err := r.Get(t.Context(), "acme", "a"); err != nil || len(c.Schema.Fields) != 1 {
		t.Fatalf("it read before the change: %v, %v", c, err)
	}
	if c, err := r.Get(t.Context(), "acme", "a"); err != nil || len(c.Schema.Fields) != 2 {
		t.Errorf("after the change: %v, %v", c, err)
	}
}

var _ registry.Store = (*lossyStore)(nil)
