package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Defaults of Options.
const (
	DefaultTargetFileBytes = 128 << 20 // Iceberg's usual lower bound for a scan's split
	DefaultRowGroupBytes   = 16 << 20  // bounds what a writer holds and what a reader decodes from
	DefaultRowGroupRows    = 1 << 18
	DefaultSnapshotsKept   = 10
	DefaultSnapshotAge     = 24 * time.Hour
	DefaultFileGrace       = 4 * time.Hour  // longer than a query runs that loaded the table at its beginning
	DefaultOrphanGrace     = 72 * time.Hour // as Iceberg's own remove_orphan_files
	DefaultCacheBytes      = 64 << 20
	DefaultArrangeBytes    = 64 << 20 // about half of what a flush holds anyway

	nearReadBytes = 32 << 10
	farReadBytes  = 4 << 20
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
	SnapshotsKept   int              // most snapshots that the metadata names; default DefaultSnapshotsKept
	SnapshotAge     time.Duration    // of these, older ones are not named but for the newest; default DefaultSnapshotAge
	FileGrace       time.Duration    // files stay so long after the last version that names them; default DefaultFileGrace
	OrphanGrace     time.Duration    // files that no version names stay so long; a commit must take less than half; default DefaultOrphanGrace
	Sole            bool             // no other process ever commits to the store: see ForgetWithdrawn
	CacheBytes      int64            // bound of the newest versions in memory; default DefaultCacheBytes
	ReadBytes       int64            // of a column that is read at a time; default 32 KiB of file: and 4 MiB of other URIs, whose requests cost more
	ArrangeBytes    int64            // bound of the rows that wait to be sorted by partition; default DefaultArrangeBytes
}

func (o *Options) validate() error {
	if o.Objects == nil {
		return fmt.Errorf("open lake: no object store: %w", schema.ErrInvalid)
	}
	if !strings.Contains(o.BaseURI, "://") {
		return fmt.Errorf("open lake: base URI %q has no scheme, as in file:///data/lake: %w", o.BaseURI, schema.ErrInvalid)
	}
	o.BaseURI = strings.TrimRight(o.BaseURI, "/")
	if strings.HasPrefix(o.BaseURI, "file:") {
		o.ReadBytes = orDefault(o.ReadBytes, nearReadBytes)
	}
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
	o.SnapshotAge = orDefault(o.SnapshotAge, DefaultSnapshotAge)
	o.FileGrace = orDefault(o.FileGrace, DefaultFileGrace)
	o.OrphanGrace = orDefault(o.OrphanGrace, DefaultOrphanGrace)
	o.CacheBytes = orDefault(o.CacheBytes, DefaultCacheBytes)
	o.ArrangeBytes = orDefault(o.ArrangeBytes, DefaultArrangeBytes)
	o.ReadBytes = orDefault(o.ReadBytes, farReadBytes)
	return nil
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Lake is the tables of a deployment. It is safe for concurrent use, and so
// are several Lakes on one store.
type Lake struct {
	opts  Options
	cache *cache
	pins  *pins
}

// Open makes a Lake on an object store. It does no I/O and holds nothing that
// would have to be closed.
func Open(opts Options) (*Lake, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	return &Lake{opts: opts, cache: newCache(opts.CacheBytes), pins: newPins()}, nil
}

// OrphanGrace is Options.OrphanGrace, as it is in force.
func (l *Lake) OrphanGrace() time.Duration { return l.opts.OrphanGrace }

// Current is the newest version of a collection's table. It asks the store
// whether a newer one than the one it knows exists, so it is right however the
// newer one came about. Without a table, or with one that is withdrawn, it returns
// schema.ErrNotFound.
func (l *Lake) Current(ctx context.Context, c *schema.Collection) (*Snapshot, error) {
	s, err := l.last(ctx, c)
	if err == nil && s.gone {
		err = fmt.Errorf("table of %s is withdrawn: %w", c, schema.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// last is the newest version, also if that withdraws the table.
func (l *Lake) last(ctx context.Context, c *schema.Collection) (*Snapshot, error) {
	table := tableOf(c)
	known := l.cache.get(table)
	version, gone, err := l.newest(ctx, table, known)
	if err != nil {
		return nil, fmt.Errorf("find table of %s: %w", c, err)
	}
	if known != nil && known.version == version && (!gone || known.meta == nil) {
		return known, nil
	}
	if gone {
		s := l.withdrawn(table, version)
		l.cache.drop(table)
		l.cache.put(s)
		return s, nil
	}
	s, err := l.load(ctx, c, table, version)
	if err != nil {
		return nil, fmt.Errorf("load version %d of the table of %s: %w", version, c, err)
	}
	l.cache.put(s)
	return s, nil
}

// newest is the number of a table's newest version. From the floor on versions
// have no gaps, so a probe upward from any that exists is exact; the hint only
// shortens it. Below the floor versions may be gone, so that an absent one proves
// nothing: the floor is asked after the probe. gone: the floor says that the table
// was withdrawn, and there is none after that.
func (l *Lake) newest(ctx context.Context, table tablePath, known *Snapshot) (version int, gone bool, err error) {
	from, exists := l.probeFrom(ctx, table, known), known != nil
	for {
		last, err := l.probe(ctx, table, from, exists)
		if err != nil {
			return 0, false, err
		}
		floor, err := l.readFloor(ctx, table)
		switch {
		case err != nil:
			return 0, false, err
		case floor.withdrawn && last < floor.version: // a table after it begins above
			from, exists = floor.version, true
		case floor.withdrawn:
			return last, last == floor.version, nil
		case floor.version > last && floor.version != from: // versions were removed under the probe
			from, exists = floor.version, false
		case last > 0:
			return last, false, nil
		case from > 1 && floor.version == 0: // the hint was wrong
			from = 1
		default:
			return 0, false, schema.ErrNotFound
		}
	}
}

// probeFrom is a version that exists, or should.
func (l *Lake) probeFrom(ctx context.Context, table tablePath, known *Snapshot) int {
	if known != nil {
		return known.version
	}
	hint, err := l.opts.Objects.Get(ctx, table.hint())
	if err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(hint))); err == nil && n > 1 {
			return n
		}
	} else if !errors.Is(err, blob.ErrNotFound) {
		l.opts.Logger.Warn("version hint cannot be read", "table", string(table), "err", err)
	}
	return 1
}

// probe finds the last of the versions from one on, or 0 if that does not exist:
// it doubles its step while versions exist, then halves it.
func (l *Lake) probe(ctx context.Context, table tablePath, from int, exists bool) (int, error) {
	if !exists {
		found, err := l.exists(ctx, table.version(from))
		if err != nil || !found {
			return 0, err
		}
	}
	last, step := from, 1
	for grow := true; step > 0; {
		found, err := l.exists(ctx, table.version(last+step))
		if err != nil {
			return 0, err
		}
		if found {
			last += step
		} else {
			grow = false
		}
		if grow {
			step *= 2
		} else {
			step /= 2
		}
	}
	return last, nil
}

func (l *Lake) exists(ctx context.Context, name string) (bool, error) {
	r, err := l.opts.Objects.Open(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", name, storeError(err))
	}
	return true, r.Close()
}

// hintEvery is how many versions pass between hints. What it saves a cold start
// are a few probes, so that it need not cost each commit a write.
const hintEvery = 8

// putHint notes the newest version where a cold start, or an engine that reads
// the folder without a catalog, looks for it. It may fail.
func (l *Lake) putHint(ctx context.Context, table tablePath, version int) {
	data, old, err := l.opts.Objects.Read(ctx, table.hint())
	if errors.Is(err, blob.ErrNotFound) {
		old, err = blob.Absent, nil
	}
	if n, perr := strconv.Atoi(string(data)); perr == nil && n >= version {
		return
	}
	if err == nil {
		_, err = l.opts.Objects.Swap(ctx, table.hint(), old, strconv.AppendInt(nil, int64(version), 10))
	}
	if err != nil && !errors.Is(err, blob.ErrChanged) {
		l.opts.Logger.Warn("version hint cannot be written", "table", string(table), "version", version, "err", err)
	}
}

// Location is the URI of the folder that a collection's table has, or would have.
func (l *Lake) Location(c *schema.Collection) string { return l.uri(string(tableOf(c))) }

// Untouched reports that there is no object of a collection's table, nor one that
// a crash left of it. It is one request.
func (l *Lake) Untouched(ctx context.Context, c *schema.Collection) (bool, error) {
	for _, err := range l.opts.Objects.List(ctx, string(tableOf(c))+"/", "") {
		if err != nil {
			return false, fmt.Errorf("look for the table of %s: %w", c, storeError(err))
		}
		return false, nil
	}
	return true, nil
}

// Drop deletes a collection's table: the hint, the floor and the first version
// before all else, so that it is gone at once. It may be repeated until it succeeds, also
// without a table. The collection's instance is not used again, so nothing can
// take what is left for another table.
func (l *Lake) Drop(ctx context.Context, c *schema.Collection) error {
	table := tableOf(c)
	l.cache.drop(table)
	first := []string{table.hint(), table.floor(), table.version(1)}
	for _, name := range first {
		if err := l.opts.Objects.Delete(ctx, name); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("drop table of %s: delete %s: %w", c, name, storeError(err))
		}
	}
	for name, err := range l.opts.Objects.List(ctx, string(table)+"/", "") {
		if err != nil {
			return fmt.Errorf("drop table of %s: %w", c, storeError(err))
		}
		if err := l.opts.Objects.Delete(ctx, name); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("drop table of %s: delete %s: %w", c, name, storeError(err))
		}
	}
	return nil
}
