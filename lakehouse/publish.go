package lakehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trinedb/trine/internal/blob"
	"github.com/trinedb/trine/schema"
)

// Limits of settling a put whose outcome the store did not tell.
const (
	publishTries  = 4
	settleTimeout = 30 * time.Second
)

// publish puts the metadata file create-if-absent, which is the commit, and
// finds out whether it did if the store does not say. An attempt that failed
// may still land later, so it is settled by getting the name taken: by this
// commit, or by another.
func (t *commitTask) publish(ctx context.Context, next *Snapshot) error {
	name := t.path.version(next.version)
	if err := ctx.Err(); err != nil {
		return err
	}
	// Files that no version names are taken for orphans once they are old.
	if took := t.lake.opts.Now().Sub(t.began); took > t.lake.opts.OrphanGrace/2 {
		return fmt.Errorf("commit has taken %s, which is more than half of the grace for orphans: %w", took, schema.ErrUnavailable)
	}
	put, unknown := ctx, false
	for range publishTries {
		err := t.lake.opts.Objects.PutIfAbsent(put, name, next.raw)
		if err == nil {
			t.keep = true
			return t.confirm(ctx, next.version)
		}
		if !unknown && (errors.Is(err, schema.ErrNoSpace) || errors.Is(err, schema.ErrInvalid)) {
			return fmt.Errorf("put %s: %w", name, err)
		}
		if !unknown && !errors.Is(err, blob.ErrExists) {
			// From here on the version may come to be: nothing may be removed,
			// and a caller that goes away does not end it.
			unknown, t.keep = true, true
			var cancel context.CancelFunc
			put, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
			defer cancel()
			t.lake.opts.Logger.Warn("outcome of a commit is unknown, settling it", "name", name, "err", err)
		}
		occupant, getErr := t.lake.opts.Objects.Get(put, name)
		if getErr != nil {
			continue
		}
		if !bytes.Equal(occupant, next.raw) {
			t.keep = false
			return fmt.Errorf("another committer made version %d: %w", next.version, schema.ErrConflict)
		}
		t.keep = true
		// Seen is not durable: only a store that says that the name is taken
		// vouches for what has it.
		if errors.Is(err, blob.ErrExists) {
			return t.confirm(put, next.version)
		}
	}
	return fmt.Errorf("put %s: %w", name, schema.ErrUnknownOutcome)
}

// confirm makes sure that the name of a version was free because nobody had made
// it, rather than because it was removed long ago: then the floor lies above it.
func (t *commitTask) confirm(ctx context.Context, version int) error {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var floor floor
	var err error
	for range publishTries {
		if floor, err = t.lake.readFloor(asking, t.path); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("confirm version %d: %w: %w", version, schema.ErrUnknownOutcome, err)
	}
	if !floor.buries(version) {
		return nil
	}
	t.keep = false
	t.wrote(t.path.version(version))
	return fmt.Errorf("version %d lies below the floor %d: %w", version, floor.version, schema.ErrConflict)
}
