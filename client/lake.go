package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// TableStatus is how a collection's Iceberg table stands.
type TableStatus struct {
	Location       string     `json:"location"`
	Snapshot       int64      `json:"snapshot"`
	Version        int        `json:"version"`
	FormatVersion  int        `json:"format_version"` // Iceberg's
	Snapshots      int        `json:"snapshots"`
	OldestSnapshot time.Time  `json:"oldest_snapshot"`
	Files          int        `json:"files"`
	Bytes          int64      `json:"bytes"`
	SmallestFile   int64      `json:"smallest_file_bytes"`
	LargestFile    int64      `json:"largest_file_bytes"`
	Rows           int64      `json:"rows"`
	DeletedRows    int64      `json:"deleted_rows"`
	Rewrite        int        `json:"rewrite"`   // data files that compaction would rewrite next
	NextLook       *time.Time `json:"next_look"` // of upkeep; nil: after the next commit

	Spec            int      `json:"partition_spec"`
	Partition       []string `json:"partition"` // of that spec: day(ts), bucket(16, origin)
	Partitions      int      `json:"partitions"`
	OldSpecFiles    int      `json:"old_spec_files"` // data files of another spec, which compaction brings over
	SortOrder       int      `json:"sort_order"`
	Sort            []string `json:"sort"`              // of that order: origin, delay desc; none: by key, or seq
	OtherOrderFiles int      `json:"other_order_files"` // data files of another order, which stay until they are rewritten
}

// Compaction is one exchange of data files for new ones with the same rows.
type Compaction struct {
	FilesBefore int     `json:"files_before"`
	FilesAfter  int     `json:"files_after"`
	BytesBefore int64   `json:"bytes_before"`
	BytesAfter  int64   `json:"bytes_after"`
	Rows        int64   `json:"rows"`
	Seconds     float64 `json:"seconds"`
}

// Expiry is what one piece of an expiry removed.
type Expiry struct {
	Versions int        `json:"versions"`
	Files    int        `json:"files"`
	Bytes    int64      `json:"bytes"`
	Orphans  int        `json:"orphans"`
	Next     *time.Time `json:"next"` // when more can be removed; nil: after the next commit
}

// TableStatus tells how a collection's table stands.
func (c *Client) TableStatus(ctx context.Context, ref Ref) (TableStatus, error) {
	var out TableStatus
	err := c.object(ctx, request{method: http.MethodGet, path: ref.path() + "/lake", again: true}, &out)
	return out, err
}

// Compact has the server merge a table's small and worn files, and yields each
// exchange.
func (c *Client) Compact(ctx context.Context, ref Ref) iter.Seq2[Compaction, error] {
	return reports[Compaction](ctx, c, "compact", request{method: http.MethodPost, path: ref.path() + "/lake/compact"})
}

// Expire has the server remove what is past its time, and yields each piece.
func (c *Client) Expire(ctx context.Context, ref Ref) iter.Seq2[Expiry, error] {
	return reports[Expiry](ctx, c, "expire", request{method: http.MethodPost, path: ref.path() + "/lake/expire"})
}
