package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// The floor of a table is a number that only rises. Version files below it may
// be gone; the one it names exists. It is raised before any is deleted, and
// they are deleted in ascending order. So:
//
//   - A version that is absent was never made, if the floor, read after that was
//     seen, does not lie above it.
//   - A committer that slept until its version was removed can make it again, but
//     finds the floor above it, and knows that it has lost.

// floor is a table's floor, 0 if none was set.
func (l *Lake) floor(ctx context.Context, table tablePath) (int, error) {
	n, _, err := l.readFloor(ctx, table)
	return n, err
}

func (l *Lake) readFloor(ctx context.Context, table tablePath) (int, blob.Version, error) {
	data, version, err := l.opts.Objects.Read(ctx, table.floor())
	if errors.Is(err, blob.ErrNotFound) {
		return 0, blob.Absent, nil
	}
	if err != nil {
		return 0, blob.Absent, fmt.Errorf("read %s: %w", table.floor(), storeError(err))
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || n < 1 {
		return 0, blob.Absent, fmt.Errorf("read %s: %.20q is no version: %w", table.floor(), data, schema.ErrCorrupt)
	}
	return n, version, nil
}

// raiseFloor makes the floor at least to. schema.ErrConflict: somebody else
// raises it at this moment.
func (l *Lake) raiseFloor(ctx context.Context, table tablePath, to int) error {
	now, version, err := l.readFloor(ctx, table)
	if err != nil || now >= to {
		return err
	}
	_, err = l.opts.Objects.Swap(ctx, table.floor(), version, strconv.AppendInt(nil, int64(to), 10))
	if errors.Is(err, blob.ErrChanged) {
		return fmt.Errorf("raise %s to %d: %w", table.floor(), to, schema.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("raise %s to %d: %w", table.floor(), to, storeError(err))
	}
	return nil
}
