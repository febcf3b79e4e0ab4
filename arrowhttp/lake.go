package arrowhttp

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/trinedb/trine/schema"
)

// Upkeep looks after the tables of the lake; it also does so by itself.
type Upkeep interface {
	// Status tells how a collection's table stands; schema.ErrNotFound without one.
	Status(ctx context.Context, c *schema.Collection) (TableStatus, error)
	// Compact merges small and worn data files until nothing is worth it, and
	// yields each exchange. It yields at most one error, last.
	Compact(ctx context.Context, c *schema.Collection) iter.Seq2[Compaction, error]
	// Expire removes what is past its time, and yields each piece. It yields at
	// most one error, last.
	Expire(ctx context.Context, c *schema.Collection) iter.Seq2[Expiry, error]
}

// TableStatus is how a collection's table stands.
type TableStatus struct {
	Location       string     `json:"location"`
	Snapshot       int64      `json:"snapshot"`
	Version        int        `json:"version"`
	FormatVersion  int        `json:"format_version"`  // Iceberg's
	Snapshots      int        `json:"snapshots"`       // that can be read
	OldestSnapshot time.Time  `json:"oldest_snapshot"` // of these
	Files          int        `json:"files"`           // data files
	Bytes          int64      `json:"bytes"`           // of data and delete files
	SmallestFile   int64      `json:"smallest_file_bytes"`
	LargestFile    int64      `json:"largest_file_bytes"`
	Rows           int64      `json:"rows"`         // live
	DeletedRows    int64      `json:"deleted_rows"` // still in data files
	Rewrite        int        `json:"rewrite"`      // data files that compaction would rewrite next
	NextLook       *time.Time `json:"next_look"`    // of upkeep; null: after the next commit

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
	Next     *time.Time `json:"next"` // when more can be removed; null: after the next commit
}

// getLake answers GET C/lake.
func getLake(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	status, err := q.s.backend.Upkeep.Status(q.ctx(), c)
	if err != nil {
		return err
	}
	return q.object(http.StatusOK, status)
}

// compactLake answers POST C/lake/compact: a line for each exchange.
func compactLake(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	leave, err := q.s.gates.upkeeps.enter()
	if err != nil {
		return err
	}
	defer leave()
	return reports(q, q.s.backend.Upkeep.Compact(q.ctx(), c))
}

// expireLake answers POST C/lake/expire: a line for each piece.
func expireLake(q *request) error {
	c, err := q.collection()
	if err != nil {
		return err
	}
	leave, err := q.s.gates.upkeeps.enter()
	if err != nil {
		return err
	}
	defer leave()
	return reports(q, q.s.backend.Upkeep.Expire(q.ctx(), c))
}
