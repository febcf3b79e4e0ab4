package sync

import (
	"context"
	"fmt"
	"time"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// TableStatus is what upkeep knows of a table.
type TableStatus struct {
	Location   string
	SnapshotID int64
	Version    int
	Format     int       // Iceberg's format version
	Snapshots  int       // that the version names
	Oldest     time.Time // of these
	Files      int       // data files
	Bytes      int64     // of data and delete files
	Rows       int64     // live
	Deleted    int64     // rows that are still in data files
	Smallest   int64     // bytes of the smallest and the largest data file
	Largest    int64
	Rewrite    int // data files that compaction would merge or rewrite next
	Layout     lakehouse.LayoutStatus
	NextLook   time.Time // when upkeep looks at the table by itself; zero: after the next commit
}

// TableStatus tells how a collection's table stands; ErrNotFound without one.
func (e *Engine) TableStatus(ctx context.Context, c *schema.Collection) (TableStatus, error) {
	snap, err := e.lake.Current(ctx, c)
	if err != nil {
		return TableStatus{}, fmt.Errorf("status of the table of %s: %w", c, err)
	}
	named := snap.Named()
	s := TableStatus{
		Location: snap.Location(), SnapshotID: snap.ID(), Version: snap.Version(), Format: snap.FormatVersion(),
		Snapshots: len(named), Oldest: named[0].Time, Bytes: snap.Bytes(), Rows: snap.Rows(),
		Rewrite: len(snap.PlanRewrite(c.Schema)), NextLook: e.upkeep.nextLook(c.Instance),
	}
	if s.Layout, err = snap.Layout(c.Schema); err != nil {
		return TableStatus{}, err
	}
	for i, f := range snap.Files() {
		s.Files++
		s.Deleted += f.Deleted
		if i == 0 || f.Bytes < s.Smallest {
			s.Smallest = f.Bytes
		}
		s.Largest = max(s.Largest, f.Bytes)
	}
	return s, nil
}

// Compact rewrites a table's files until nothing is worth it, and tells fn of
// each exchange; fn's error ends it. It takes its turn with what runs by itself.
func (e *Engine) Compact(ctx context.Context, c *schema.Collection, fn func(Compaction) error) error {
	for {
		done, err := e.upkeep.compact(ctx, c.Instance)
		if err == nil && done != nil {
			err = fn(*done)
		}
		if err != nil {
			return fmt.Errorf("compact the table of %s: %w", c, err)
		}
		if done == nil {
			return nil
		}
	}
}

// compact is one exchange, in turn.
func (u *upkeeper) compact(ctx context.Context, inst schema.Instance) (*Compaction, error) {
	if err := u.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer u.turn.Release(1)
	return u.engine.compactOnce(ctx, inst, u.engine.newPacer().pace)
}

// Removal is what ExpireTable removed.
type Removal struct {
	lakehouse.Cleaned
	Orphans int
}

// ExpireTable does now what upkeep does in time: it stops naming snapshots that are
// past count and age, and removes versions, files and orphans past their graces.
// fn is told after each piece; its error ends it.
func (e *Engine) ExpireTable(ctx context.Context, c *schema.Collection, fn func(Removal) error) error {
	for {
		r, err := e.upkeep.expireOnce(ctx, c)
		if err == nil {
			err = fn(r)
		}
		if err != nil {
			return fmt.Errorf("expire snapshots of the table of %s: %w", c, err)
		}
		if !r.More {
			return nil
		}
	}
}

func (u *upkeeper) expireOnce(ctx context.Context, c *schema.Collection) (r Removal, err error) {
	if err := u.turn.Acquire(ctx, 1); err != nil {
		return r, err
	}
	defer u.turn.Release(1)
	snap, err := u.engine.expire(ctx, c)
	if err != nil || snap == nil {
		return r, err
	}
	if r.Cleaned, err = u.engine.lake.Clean(ctx, c, u.spend); err != nil {
		return r, err
	}
	u.engine.metrics.upkeep.cleaned(r.Cleaned)
	if r.More {
		return r, nil
	}
	r.Orphans, err = u.removeOrphans(ctx, c)
	return r, err
}

// MarkTable has upkeep look at a collection's table after the next start, also if
// the collection is dropped by then.
func (e *Engine) MarkTable(ctx context.Context, c *schema.Collection) error {
	return e.index.MarkUpkeep(ctx, c.Instance, upkeepNote(c))
}

// nextLook is when a table is due.
func (u *upkeeper) nextLook(inst schema.Instance) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t := u.tables[inst]; t != nil {
		return t.at
	}
	return time.Time{}
}
