package sync

import (
	"context"
	"fmt"
	"time"

	"github.com/trinedb/trine/log/segment"
	"github.com/trinedb/trine/schema"
)

// forgetDropped has the index forget which collections were dropped before a commit
// time of which all chunks are given up to segments, once neither the segments nor the
// lake have anything of them: nobody asks any more. It looks at all that are not
// forgotten yet, so not at each segment.
func (e *Engine) forgetDropped(ctx context.Context, a *segment.Archive, given int64) error {
	now := e.opts.Now()
	if now.Before(e.forgetAt) {
		return nil
	}
	e.forgetAt = now.Add(e.opts.RetainEvery)
	n, err := e.index.ForgetDropped(ctx, given, func(ctx context.Context, inst schema.Instance) (bool, error) {
		// A commit that began before the drop may still be recorded; none begins after.
		if e.tables.busy(inst) {
			return true, nil
		}
		holders, err := a.Holders(ctx, inst)
		return len(holders) > 0, err
	})
	e.metrics.forgotten.Add(float64(n))
	if err != nil {
		return fmt.Errorf("collections dropped before %s: %w", time.UnixMicro(given).UTC().Format(time.RFC3339), err)
	}
	if n > 0 {
		e.logger.Debug("dropped collections forgotten", "collections", n)
	}
	return nil
}
