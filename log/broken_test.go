package log_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/log"
	"github.com/trinedb/trine/log/chunk"
	"github.com/trinedb/trine/schema"
)

// brokenStore is a store that breaks one rule, or hides from the log's code that
// which makes it keep one.
type brokenStore struct {
	stepStore
	rule
	mu      sync.Mutex
	head    []byte // what this owner wrote last
	version blob.Version
	own     map[string][]byte // chunks that only this owner sees
}

// rule is what a brokenStore does.
type rule struct {
	noFence, noFillers  bool // these chunks are not put, though who put them sees them
	takenIsStored       bool // 412 is told as success
	lostIsStored        bool // a lost request is told as success
	unknownIsNone       bool // an unknown outcome is told as none
	headIsOurs          bool // the head is not read again after it was written, the first time
	swapAlways, replace bool // conditions are ignored
}

// kindOf is the kind of the chunk that a header, or more, is of.
func kindOf(data []byte) chunk.Kind {
	const offKind = 6 // docs/format/chunk.md
	if len(data) <= offKind {
		return 0
	}
	return chunk.Kind(data[offKind])
}

func (s *brokenStore) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	kind := kindOf(data)
	if s.noFence && kind == chunk.Fence || s.noFillers && kind == chunk.Filler {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.own[name] = bytes.Clone(data)
		return nil
	}
	if s.replace {
		if err := s.Delete(ctx, name); err != nil {
			return err
		}
	}
	err := s.stepStore.PutIfAbsent(ctx, name, data)
	switch {
	case s.takenIsStored && errors.Is(err, blob.ErrExists):
		return nil
	case err == nil || blob.NoEffect(err):
		return err
	case s.lostIsStored && strings.Contains(err.Error(), string(lost)):
		return nil
	case s.unknownIsNone:
		return schema.ErrUnavailable
	}
	return err
}

func (s *brokenStore) Read(ctx context.Context, name string) ([]byte, blob.Version, error) {
	s.mu.Lock()
	head, version := bytes.Clone(s.head), s.version
	s.head = nil
	s.mu.Unlock()
	if s.headIsOurs && head != nil {
		return head, version, nil
	}
	return s.stepStore.Read(ctx, name)
}

func (s *brokenStore) Swap(ctx context.Context, name string, old blob.Version, data []byte) (v blob.Version, err error) {
	if s.swapAlways {
		if _, old, err = s.stepStore.Read(ctx, name); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return blob.Absent, err
		}
	}
	v, err = s.stepStore.Swap(ctx, name, old, data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head = bytes.Clone(data); err != nil {
		s.head = nil
	}
	s.version = v
	return v, err
}

func (s *brokenStore) mine(name string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.own[name]
	return bytes.Clone(data), ok
}

func (s *brokenStore) Get(ctx context.Context, name string) ([]byte, error) {
	if data, ok := s.mine(name); ok {
		return data, nil
	}
	return s.stepStore.Get(ctx, name)
}

func (s *brokenStore) GetRange(ctx context.Context, name string, off, n int64) ([]byte, error) {
	if data, ok := s.mine(name); ok && off == 0 {
		return data[:min(n, int64(len(data)))], nil
	}
	return s.stepStore.GetRange(ctx, name, off, n)
}

// TestSchedulesBite breaks one rule at a time: the scheduler has to find a
// schedule that shows it, by the oracles and, where it tells, by the model.
func TestSchedulesBite(t *testing.T) {
	plain := setting{steps: 400, owners: 6, harm: 15, reads: true}
	withFloor := setting{steps: 600, owners: 6, harm: 2, floor: 8, rare: true}
	for _, c := range []struct {
		what  string
		o     setting
		rule  rule
		model bool // porcupine has to find it too
	}{
		{"no fence", plain, rule{noFence: true}, true},
		{"no fillers", plain, rule{noFillers: true}, true},
		{"the head is not read again", withFloor, rule{headIsOurs: true}, false},
		{"412 is success", plain, rule{takenIsStored: true}, true},
		{"lost is success", plain, rule{lostIsStored: true}, true},
		{"unknown is none", plain, rule{unknownIsNone: true}, true},
		{"swaps without condition", plain, rule{swapAlways: true}, false},
		{"puts without condition", plain, rule{replace: true}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.o.broken = func(s stepStore) log.ChunkStore {
				return &brokenStore{stepStore: s, rule: c.rule, own: map[string][]byte{}}
			}
			byOracle, byModel := uint64(0), uint64(0)
			for seed := uint64(1); seed <= bites && (byOracle == 0 || c.model && byModel == 0); seed++ {
				w, found := play(t, seed, c.o)
				if byOracle == 0 && len(found) > 0 {
					byOracle = seed
					t.Logf("seed %d: %s", seed, found[0])
				}
				if c.model && byModel == 0 && w.last != nil && w.check() != nil {
					byModel = seed
				}
			}
			t.Logf("found by the oracles at seed %d, by the model at seed %d", byOracle, byModel)
			if byOracle == 0 || c.model && byModel == 0 {
				t.Errorf("not found in %d schedules", bites)
			}
		})
	}
}

// bites is how many schedules may be needed to find a broken rule.
const bites = 3000
