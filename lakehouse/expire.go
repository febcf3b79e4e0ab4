package lakehouse

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/schema"
)

// Expire makes a version that no longer names snapshots older than
// Options.SnapshotAge or more than Options.SnapshotsKept, if base names such: a
// table that is not written to any more would name them for ever. What a tag names
// stays, until the tag is removed or past the age that it was given. The current
// snapshot stays what it is. Errors are as Commit's. It reports whether it made a
// version; without one, the snapshot is base.
//
// The files stay where they are until Clean.
func (l *Lake) Expire(ctx context.Context, c *schema.Collection, base *Snapshot) (*Snapshot, bool, error) {
	past := l.past(base.meta)
	if past.empty() {
		return base, false, nil
	}
	t := l.newTask(c, base)
	t.rewrites = true
	next, err := t.follow(ctx, past, nil)
	if err != nil {
		return nil, false, fmt.Errorf("expire %d snapshots of %s: %w", len(past.drop), c, err)
	}
	return next, true, nil
}

// past is what a version names and need not name any more.
func (l *Lake) past(meta table.Metadata) edit {
	e := edit{tags: map[string]*table.SnapshotRef{}}
	stay := tagsOf(meta)
	for name, ref := range stay {
		if end, ok := l.tagEnd(meta, ref); ok && !l.opts.Now().Before(end) {
			e.tags[name] = nil
			delete(stay, name)
		}
	}
	e.drop = l.overdue(meta.Snapshots(), stay, l.opts.SnapshotsKept)
	return e
}

// overdue are the snapshots, of some given oldest first, that are more than most or
// older than Options.SnapshotAge, but for the newest one and those that tags name.
func (l *Lake) overdue(snapshots []table.Snapshot, tags map[string]table.SnapshotRef, most int) (ids []int64) {
	tagged := map[int64]bool{}
	for _, ref := range tags {
		tagged[ref.SnapshotID] = true
	}
	oldest := l.opts.Now().Add(-l.opts.SnapshotAge).UnixMilli()
	for i := range snapshots {
		newer := len(snapshots) - 1 - i // than this one
		if tagged[snapshots[i].SnapshotID] || newer == 0 {
			continue
		}
		if newer >= most || snapshots[i].TimestampMs < oldest {
			ids = append(ids, snapshots[i].SnapshotID)
		}
	}
	return ids
}

// tagEnd is when a tag goes by itself, if ever: Iceberg counts the age of a
// reference from its snapshot's time.
func (l *Lake) tagEnd(meta table.Metadata, ref table.SnapshotRef) (time.Time, bool) {
	snap := meta.SnapshotByID(ref.SnapshotID)
	if ref.MaxRefAgeMs == nil || snap == nil || *ref.MaxRefAgeMs > math.MaxInt64/int64(time.Millisecond) {
		return time.Time{}, false
	}
	return time.UnixMilli(snap.TimestampMs).Add(time.Duration(*ref.MaxRefAgeMs) * time.Millisecond), true
}
