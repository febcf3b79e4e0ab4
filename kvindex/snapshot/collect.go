package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trinedb/trine/schema"
)

// Collect deletes old snapshots and tables that none names, as the one who has
// taken the snapshot newest.
func (s *Snapshots) Collect(ctx context.Context, newest Info) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.collect(ctx, newest); err != nil {
		return fmt.Errorf("collect index snapshots of channel %d: %w", s.o.Channel, err)
	}
	return nil
}

func (s *Snapshots) collect(ctx context.Context, newest Info) error {
	// Tables before manifests: what is named by a manifest that comes later is of
	// its own number, or named by the highest one that is there now.
	unnamed, err := s.tablesThere(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(unnamed, func(id tableID, _ struct{}) bool { return id.number > newest.Number })
	numbers, err := s.numbers(ctx)
	if err != nil {
		return err
	}
	kept, old, err := s.choose(ctx, numbers)
	if err != nil {
		return err
	}
	for _, m := range kept {
		for _, t := range m.tables {
			delete(unnamed, t.tableID)
		}
	}
	for _, n := range old {
		if err := s.o.Store.Delete(ctx, manifestName(s.o.Channel, n)); err != nil {
			return fmt.Errorf("delete snapshot %d: %w", n, err)
		}
	}
	names := make([]string, 0, len(unnamed))
	for id := range unnamed {
		names = append(names, tableName(s.o.Channel, id))
	}
	slices.Sort(names)
	for _, name := range names {
		if err := s.o.Store.Delete(ctx, name); err != nil {
			return fmt.Errorf("delete table: %w", err)
		}
	}
	return nil
}

// choose reads the manifests and tells which are kept, and the numbers of those
// that are not.
func (s *Snapshots) choose(ctx context.Context, numbers []uint64) (kept []*manifest, old []uint64, err error) {
	young := s.o.Now().Add(-s.o.Grace)
	for _, n := range numbers {
		m, err := s.read(ctx, n)
		if errors.Is(err, schema.ErrNotFound) || errors.Is(err, schema.ErrCorrupt) {
			old = append(old, n) // of no use to anyone
			continue
		}
		if err != nil {
			return nil, nil, err // of another version too: what it names is not known
		}
		if len(kept) < keep || time.UnixMicro(m.createdMicros).After(young) {
			kept = append(kept, m)
		} else {
			old = append(old, n)
		}
	}
	return kept, old, nil
}
