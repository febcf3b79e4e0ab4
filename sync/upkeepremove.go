package sync

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/trinedb/trine/lakehouse"
	"github.com/trinedb/trine/schema"
)

// remove expires snapshots and removes what nobody needs any more, as far as it
// is time, and tells when it will be again.
func (u *upkeeper) remove(ctx context.Context, c *schema.Collection, t *tableUpkeep) (*lakehouse.Snapshot, time.Time, error) {
	e := u.engine
	snap, err := e.expire(ctx, c)
	if err != nil || snap == nil {
		return nil, time.Time{}, err
	}
	now := e.opts.Now()
	next := snap.NextExpiry()
	if now.Before(t.cleanAt) {
		return snap, earlier(next, t.cleanAt), nil
	}
	if !t.orphansAt.IsZero() && !now.Before(t.orphansAt) {
		if _, err := u.removeOrphans(ctx, c); err != nil {
			return nil, next, err
		}
		t.orphansAt = time.Time{}
	}
	cleaned, err := e.lake.Clean(ctx, c, u.spend)
	e.metrics.upkeep.cleaned(cleaned)
	if err != nil && !errors.Is(err, schema.ErrConflict) {
		return nil, next, err
	}
	t.cleanAt = now.Add(e.opts.UpkeepEvery)
	switch {
	case err != nil: // another process removes as well, or it is being dropped
		cleaned.Next = t.cleanAt
	case cleaned.More:
		t.cleanAt, cleaned.Next = time.Time{}, now
	}
	if !cleaned.Next.IsZero() && cleaned.Next.Before(t.cleanAt) {
		cleaned.Next = t.cleanAt
	}
	return snap, earlier(earlier(next, cleaned.Next), t.orphansAt), nil
}

// earlier is the first of two times, of which a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (u *upkeeper) removeOrphans(ctx context.Context, c *schema.Collection) (int, error) {
	n, err := u.engine.lake.RemoveOrphans(ctx, c, u.spend)
	u.engine.metrics.upkeep.orphans.Add(float64(n))
	if n > 0 {
		u.engine.logger.Info("removed files that no version names", "collection", c.String(), "files", n)
	}
	return n, err
}

// dropTable removes the table that a dropped collection may have left.
func (u *upkeeper) dropTable(ctx context.Context, inst schema.Instance, name string) error {
	tenant, table, _ := strings.Cut(name, "/")
	return u.engine.lake.Drop(ctx, &schema.Collection{Tenant: tenant, Name: table, Instance: inst})
}

// spend waits until the rate allows some more requests.
func (u *upkeeper) spend(ctx context.Context, requests int) error {
	return u.requests.WaitN(ctx, requests)
}

// expire makes a version that names fewer snapshots, if it is time for that, and
// tells the table's newest snapshot, nil if there is none.
func (e *Engine) expire(ctx context.Context, c *schema.Collection) (*lakehouse.Snapshot, error) {
	snap, err := e.currentSnapshot(ctx, c)
	if err != nil || snap == nil || !snap.Overdue() {
		return snap, err
	}
	lock := e.tables.acquire(c.Instance)
	defer e.tables.release(c.Instance)
	unlock, err := lock.lockCommit(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if snap, err = e.currentSnapshot(ctx, c); err != nil || snap == nil {
		return snap, err
	}
	snap, _, err = e.lake.Expire(ctx, c, snap)
	if err != nil {
		return nil, err
	}
	return snap, e.dropIfGone(ctx, c)
}
