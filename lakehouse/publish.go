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
	put, unknown := ctx, false
	for range publishTries {
		err := t.lake.opts.Objects.PutIfAbsent(put, name, next.raw)
		if err == nil {
			t.keep = true
			return nil
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
			return nil
		}
	}
	return fmt.Errorf("put %s: %w", name, schema.ErrUnknownOutcome)
}
