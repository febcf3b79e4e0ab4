package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	stdsync "sync"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/lakehouse/laketest"
	"github.com/trinedb/trine/schema"
)

// foreign notes the objects that an SQL engine makes.
type foreign struct {
	lakehouse.Objects
	mu    stdsync.Mutex
	names []string
}

func (f *foreign) note(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = append(f.names, name)
}

func (f *foreign) Create(ctx context.Context, name string) (blob.Writer, error) {
	f.note(name)
	return f.Objects.Create(ctx, name)
}

func (f *foreign) PutIfAbsent(ctx context.Context, name string, data []byte) error {
	f.note(name)
	return f.Objects.PutIfAbsent(ctx, name, data)
}

// engineRewrites has an SQL engine rewrite the table, perhaps while others write and
// flush between its files and its commit, and then it has to lose.
func (s *upkeepSim) engineRewrites() {
	snap, err := s.r.lake.Current(s.t.Context(), s.c)
	if s.laidOut { // iceberg-go rewrites a group of files only if its rows come by partition
		return
	}
	if !s.c.Schema.Keyed() || errors.Is(err, schema.ErrNotFound) || err == nil && len(snap.Files()) == 0 {
		return
	}
	if err != nil {
		s.t.Fatal(err)
	}
	made := &foreign{Objects: s.objects}
	ask, err := (&laketest.Engine{Objects: made, URI: "file:///lake"}).Rewrite(s.t.Context(), snap)
	if err != nil {
		s.t.Fatalf("engine: %v", err)
	}
	raced := s.random.IntN(3) == 0
	if raced {
		s.write()
		if _, err := s.r.engine.Flush(s.t.Context(), s.c); err != nil {
			s.t.Fatal(err)
		}
	}
	outcome := errors.New("none")
	s.lit("engine", func(ctx context.Context) error {
		_, outcome = s.r.engine.CommitByEngine(ctx, s.c, ask)
		if errors.Is(outcome, schema.ErrConflict) { // by the background, if not by the race
			s.counts["engine overtaken"]++
			return nil
		}
		if raced && outcome == nil {
			s.t.Fatal("an engine's rewrite won over the flush before it")
		}
		return outcome
	})
	switch {
	case outcome == nil:
		s.counts["engine commits"]++
		for _, name := range made.names { // engines remove these too
			if kindOf(name) != "data" {
				s.stray = append(s.stray, name)
			}
		}
	default: // an engine that does not know leaves its files
		s.stray = append(s.stray, made.names...)
	}
}

// left counts what is in the store by kind, but for what engines left behind.
func (s *upkeepSim) left() map[string]int {
	left := map[string]int{}
	for name := range s.objects.List(s.t.Context(), "", "") {
		if !slices.Contains(s.stray, name) || strings.Contains(s.live(), name) {
			left[kindOf(name)]++
		}
	}
	return left
}

// live are the URIs of the table's data files.
func (s *upkeepSim) live() string {
	snap, err := s.r.lake.Current(s.t.Context(), s.c)
	if err != nil {
		s.t.Fatal(err)
	}
	var uris []string
	for _, f := range snap.Files() {
		uris = append(uris, f.URI)
	}
	return strings.Join(uris, " ")
}
