package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// pastMeta is what removal needs to know of a version: which snapshot it made
// current, which ones it names, and when it was made.
type pastMeta struct {
	version   int
	snapshot  int64
	sequence  int64 // Iceberg's number of the snapshot
	named     map[int64]bool
	list      string // URI of the snapshot's manifest list
	committed time.Time
}

// readVersion reads the metadata of an old version. ok is false when there is
// no such version.
func (l *Lake) readVersion(ctx context.Context, path tablePath, version int) (p pastMeta, ok bool, err error) {
	defer damage(&err)
	name := path.version(version)
	raw, err := l.opts.Objects.Get(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("read %s: %w", name, storeError(err))
	}
	meta, err := table.ParseMetadataBytes(raw)
	if err != nil {
		return p, false, fmt.Errorf("parse %s: %w: %w", name, schema.ErrCorrupt, err)
	}
	p, err = pastOf(version, meta)
	if err != nil {
		return p, false, fmt.Errorf("parse %s: %w", name, err)
	}
	return p, true, nil
}

func pastOf(version int, meta table.Metadata) (p pastMeta, err error) {
	current, all := meta.CurrentSnapshot(), meta.Snapshots()
	if current == nil || len(all) == 0 {
		return p, fmt.Errorf("no current snapshot: %w", schema.ErrCorrupt)
	}
	p = pastMeta{
		version: version, snapshot: current.SnapshotID, sequence: current.SequenceNumber,
		list: current.ManifestList, named: map[int64]bool{},
	}
	for i := range all {
		p.named[all[i].SnapshotID] = true
	}
	if text, ok := meta.Properties()[propCommitted]; ok {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return p, fmt.Errorf("property %s: %w: %w", propCommitted, schema.ErrCorrupt, err)
		}
		p.committed = time.UnixMilli(ms)
	}
	return p, nil
}

// lowest is the lowest version that is still there: the floor, or below it what
// a removal that was cut short has left.
func (l *Lake) lowest(ctx context.Context, path tablePath) (int, error) {
	floor, err := l.readFloor(ctx, path)
	if err != nil {
		return 0, err
	}
	low := max(1, floor.version)
	if floor.withdrawn {
		low++ // of a table that is made anew
	}
	for low > 1 {
		found, err := l.exists(ctx, path.version(low-1))
		if err != nil {
			return 0, err
		}
		if !found {
			break
		}
		low--
	}
	return low, nil
}
