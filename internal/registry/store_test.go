package registry_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	stdsync "sync"

	"github.com/trinedb/trine/internal/registry"
	"github.com/trinedb/trine/schema"
)

// state is the rows and the next seqs of a store.
type state struct {
	rows map[schema.Instance]map[string][]byte
	next map[schema.Instance]schema.Seq
}

func newState() state {
	return state{rows: map[schema.Instance]map[string][]byte{}, next: map[schema.Instance]schema.Seq{}}
}

func (s state) clone() state {
	out := state{rows: map[schema.Instance]map[string][]byte{}, next: maps.Clone(s.next)}
	for inst, rows := range s.rows {
		out.rows[inst] = maps.Clone(rows)
	}
	return out
}

func (s state) apply(groups []schema.Group) {
	for _, g := range groups {
		if s.rows[g.Instance] == nil {
			s.rows[g.Instance] = map[string][]byte{}
		}
		for _, rec := range g.Records {
			if rec.Op == schema.OpDelete {
				delete(s.rows[g.Instance], string(rec.Key))
			} else {
				s.rows[g.Instance][string(rec.Key)] = bytes.Clone(rec.Row)
			}
			s.next[g.Instance]++
		}
	}
}

// decidedOn is a state while a batch is decided.
type decidedOn struct {
	state
	writes []schema.Instance
}

func (d decidedOn) Get(inst schema.Instance, key []byte) ([]byte, bool, error) {
	row, ok := d.rows[inst][string(key)]
	return row, ok, nil
}

func (d decidedOn) NextSeq(inst schema.Instance) (schema.Seq, error) {
	if !slices.Contains(d.writes, inst) {
		return 0, schema.ErrInvalid
	}
	return d.next[inst], nil
}

// memStore is a log and an index in memory. What it sequences it makes durable
// at once, or, while it holds, in chunks that land or fail when the test says.
type memStore struct {
	mu        stdsync.Mutex
	moved     *stdsync.Cond
	durable   state
	sequenced state
	appends   int // that wrote something
	written   struct{ records, bytes int }
	fail      error
	hold      bool
	waiting   []*held
}

// held is a batch that is sequenced and not durable, or one that wrote nothing
// or was refused, which is answered when what it was decided on is durable.
type held struct {
	groups []schema.Group
	done   bool
	err    error
}

func newMemStore() *memStore {
	m := &memStore{durable: newState(), sequenced: newState()}
	m.moved = stdsync.NewCond(&m.mu)
	return m
}

func (m *memStore) records(inst schema.Instance) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.durable.next[inst])
}

func (m *memStore) Get(_ context.Context, inst schema.Instance, key []byte) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.durable.rows[inst][string(key)]
	return row, ok, nil
}

func (m *memStore) Range(_ context.Context, inst schema.Instance, from, to []byte, fn func(key, row []byte) (bool, error)) error {
	m.mu.Lock()
	rows := maps.Clone(m.durable.rows[inst])
	m.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		if k < string(from) || to != nil && k >= string(to) {
			continue
		}
		if more, err := fn([]byte(k), rows[k]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *memStore) Append(_ context.Context, writes []schema.Instance, decide func(registry.Sequenced) ([]schema.Group, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	on := decidedOn{m.sequenced, writes}
	_, _ = decide(on) // it may be called more than once
	groups, refused := decide(on)
	writes = nil
	for _, g := range groups {
		if len(g.Records) > 0 {
			writes = append(writes, g.Instance)
		}
	}
	if refused == nil && len(writes) > 0 {
		m.appends++
		for _, g := range groups {
			for _, rec := range g.Records {
				m.written.records++
				m.written.bytes += len(rec.Key) + len(rec.Row)
			}
		}
		m.sequenced.apply(groups)
	} else if groups = nil; len(m.waiting) == 0 {
		return refused
	}
	if !m.hold {
		m.durable.apply(groups)
		return nil
	}
	h := &held{groups: groups, err: refused}
	m.waiting = append(m.waiting, h)
	m.moved.Broadcast()
	for !h.done {
		m.moved.Wait()
	}
	return h.err
}

// await waits until n batches are sequenced and not durable.
func (m *memStore) await(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.waiting) < n {
		m.moved.Wait()
	}
}

// land makes the first n batches that wait durable, tells them err, and takes
// back the rest with lost, as if their chunks had failed.
func (m *memStore) land(n int, err, lost error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, h := range m.waiting {
		h.done = true
		switch {
		case i >= n:
			h.err = lost
		case len(h.groups) > 0:
			m.durable.apply(h.groups)
			h.err = err
		}
	}
	m.waiting = nil
	m.sequenced = m.durable.clone()
	m.moved.Broadcast()
}
