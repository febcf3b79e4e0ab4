package node

import (
	"context"
	"iter"
	"time"

	"github.com/trinedb/trine/arrowhttp"
	"github.com/trinedb/trine/schema"
	"github.com/trinedb/trine/schema/definition"
	"github.com/trinedb/trine/sync"
)

// upkeeps is the node as the HTTP surface's upkeep sees it.
type upkeeps struct{ *sync.Engine }

func (u upkeeps) Status(ctx context.Context, c *schema.Collection) (arrowhttp.TableStatus, error) {
	s, err := u.TableStatus(ctx, c)
	if err != nil {
		return arrowhttp.TableStatus{}, err
	}
	return arrowhttp.TableStatus{
		Location: s.Location, Snapshot: s.SnapshotID, Version: s.Version, FormatVersion: s.Format,
		Snapshots: s.Snapshots, OldestSnapshot: s.Oldest.UTC(),
		Files: s.Files, Bytes: s.Bytes, SmallestFile: s.Smallest, LargestFile: s.Largest,
		Rows: s.Rows, DeletedRows: s.Deleted, Rewrite: s.Rewrite, NextLook: timeOrNil(s.NextLook),
		Spec: s.Layout.SpecID, Partition: definition.PartitionText(s.Layout.Partition, c.Schema), Partitions: s.Layout.Partitions,
		OldSpecFiles: s.Layout.OldFiles, SortOrder: s.Layout.SortOrderID, Sort: definition.SortText(s.Layout.Sort, c.Schema),
		OtherOrderFiles: s.Layout.OtherOrder,
	}, nil
}

func (u upkeeps) Compact(ctx context.Context, c *schema.Collection) iter.Seq2[arrowhttp.Compaction, error] {
	return told(ctx, func(ctx context.Context, tell func(arrowhttp.Compaction) error) error {
		return u.Engine.Compact(ctx, c, func(d sync.Compaction) error {
			return tell(arrowhttp.Compaction{
				FilesBefore: d.FilesBefore, FilesAfter: d.FilesAfter, BytesBefore: d.BytesBefore, BytesAfter: d.BytesAfter,
				Rows: d.Rows, Seconds: d.Took.Seconds(),
			})
		})
	})
}

func (u upkeeps) Expire(ctx context.Context, c *schema.Collection) iter.Seq2[arrowhttp.Expiry, error] {
	return told(ctx, func(ctx context.Context, tell func(arrowhttp.Expiry) error) error {
		return u.ExpireTable(ctx, c, func(r sync.Removal) error {
			return tell(arrowhttp.Expiry{
				Versions: r.Versions, Files: r.Files, Bytes: r.Bytes, Orphans: r.Orphans, Next: timeOrNil(r.Next),
			})
		})
	})
}

// told makes a sequence of what do tells; it ends do when its reader goes.
func told[T any](ctx context.Context, do func(context.Context, func(T) error) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		open := true
		err := do(ctx, func(v T) error {
			if open = yield(v, nil); !open {
				return context.Canceled
			}
			return nil
		})
		if err != nil && open {
			var none T
			yield(none, err)
		}
	}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
