package lakehouse

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// The floor of a table is a number that only rises. Version files below it may
// be gone, but for those that are held for a tag; the one it names exists. It is
// raised before any is deleted, and they are deleted in ascending order. So:
//
//   - A version that is absent was never made, if the floor, read after that was
//     seen, does not lie above it.
//   - A committer that slept until its version was removed can make it again, but
//     finds the floor above it, and knows that it has lost.
//
// The floor of a withdrawn table names the version that withdrew it: that one is gone
// too, or about to be, and the versions of a table that is made anew lie above.
type floor struct {
	version int    // 0: none was set
	held    []held // ascending
	object  blob.Version

	withdrawn bool // the version is the last of a table that was withdrawn
}

// held is a version below the floor that was left where it is, with all files of
// its snapshot, because a later version still names that snapshot: by a tag.
type held struct {
	version  int
	snapshot int64
	sequence int64 // Iceberg's sequence number of the snapshot
}

// withdrawnLine follows the number of a withdrawn table's floor.
const withdrawnLine = "withdrawn"

// buries reports that a version lies where no commit can make one any more.
func (f *floor) buries(version int) bool {
	return version < f.version || f.withdrawn && version == f.version
}

func (l *Lake) readFloor(ctx context.Context, table tablePath) (floor, error) {
	data, object, err := l.opts.Objects.Read(ctx, table.floor())
	if errors.Is(err, blob.ErrNotFound) {
		return floor{object: blob.Absent}, nil
	}
	if err != nil {
		return floor{}, fmt.Errorf("read %s: %w", table.floor(), storeError(err))
	}
	f, err := parseFloor(data)
	if err != nil {
		return floor{}, fmt.Errorf("read %s: %w", table.floor(), err)
	}
	f.object = object
	return f, nil
}

// parseFloor reads the number, and a line for each held version.
func parseFloor(data []byte) (f floor, err error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Scan()
	if f.version, err = strconv.Atoi(strings.TrimSpace(lines.Text())); err != nil || f.version < 1 {
		return f, fmt.Errorf("%.20q is no version: %w", data, schema.ErrCorrupt)
	}
	for lines.Scan() {
		if lines.Text() == withdrawnLine && len(f.held) == 0 && !f.withdrawn {
			f.withdrawn = true
			continue
		}
		var h held
		if n, err := fmt.Sscanf(lines.Text(), "%d %d %d", &h.version, &h.snapshot, &h.sequence); n != 3 || err != nil {
			return f, fmt.Errorf("%.60q is no held version: %w", lines.Text(), schema.ErrCorrupt)
		}
		if last := len(f.held) - 1; f.withdrawn || h.version < 1 || h.version >= f.version || last >= 0 && h.version <= f.held[last].version {
			return f, fmt.Errorf("held version %d is out of order: %w", h.version, schema.ErrCorrupt)
		}
		f.held = append(f.held, h)
	}
	return f, lines.Err()
}

func (f *floor) encode() []byte {
	out := strconv.AppendInt(nil, int64(f.version), 10)
	if f.withdrawn {
		out = append(out, "\n"+withdrawnLine...)
	}
	for _, h := range f.held {
		out = fmt.Appendf(out, "\n%d %d %d", h.version, h.snapshot, h.sequence)
	}
	return out
}

// setFloor puts a floor in the place of the one that was read. schema.ErrConflict:
// somebody else changes it at this moment.
func (l *Lake) setFloor(ctx context.Context, table tablePath, old floor, next floor) (floor, error) {
	object, err := l.opts.Objects.Swap(ctx, table.floor(), old.object, next.encode())
	if errors.Is(err, blob.ErrChanged) {
		return old, fmt.Errorf("raise %s to %d: %w", table.floor(), next.version, schema.ErrConflict)
	}
	if err != nil {
		return old, fmt.Errorf("raise %s to %d: %w", table.floor(), next.version, storeError(err))
	}
	next.object = object
	return next, nil
}
